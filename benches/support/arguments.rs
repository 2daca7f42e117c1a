//! What was asked for on the command line.

use std::path::PathBuf;

pub(crate) struct Arguments {
    /// `cargo bench` asks for a measurement; without its flag one short round shows that everything works.
    pub(crate) measuring: bool,
    /// Where raw figures and charts go.
    pub(crate) out: PathBuf,
    /// Whatever else was named.
    pub(crate) names: Vec<String>,
}

impl Arguments {
    pub(crate) fn read() -> Self {
        let mut arguments = Self { measuring: false, out: PathBuf::from("target/load"), names: Vec::new() };
        let (mut words, mut testing) = (std::env::args().skip(1), false);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--bench" => arguments.measuring = true,
                "--test" => testing = true,
                "--out" => arguments.out = words.next().expect("--out takes a folder").into(),
                // Other flags are those of cargo's own test runner.
                flag if flag.starts_with("--") => {}
                _ => arguments.names.push(word),
            }
        }
        arguments.measuring &= !testing;
        arguments
    }
}
