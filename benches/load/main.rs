//! Load over HTTP: a server in a process of its own, clients that check every answer, and ratios from one run.
//!
//! `scripts/bench` runs it, all of it or the parts that are named. Only loopback and Unix sockets are used; everything is
//! bounded in count or time, and the servers end with this process.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing better to do")]
#![allow(clippy::print_stdout, reason = "the tables are the result")]

mod chart;
mod client;
mod cores;
mod crowd;
mod figures;
mod parts;
mod pgbench;
mod process;
mod server;
mod session;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;

use figures::Figures;

/// What was asked for on the command line.
struct Arguments {
    /// The parts to run; none stands for all.
    parts: Vec<String>,
    /// Where raw figures and charts go.
    out: PathBuf,
    /// `cargo bench` asks for a measurement; without its flag one short round shows that everything works.
    measuring: bool,
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == server::FLAG) {
        return server::serve(&arguments.split_off(1));
    }
    let arguments = Arguments::read(arguments);
    for (name, run) in parts::ALL {
        if arguments.parts.is_empty() || arguments.parts.iter().any(|part| part == name) {
            println!("\n## {name}\n");
            let mut figures = Figures::new(name, &arguments.out, arguments.measuring);
            run(&mut figures);
            figures.write();
        }
    }
}

impl Arguments {
    fn read(words: Vec<String>) -> Self {
        let mut arguments = Self { parts: Vec::new(), out: PathBuf::from("target/load"), measuring: false };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--bench" => arguments.measuring = true,
                "--out" => arguments.out = words.next().expect("--out takes a folder").into(),
                part if parts::ALL.iter().any(|(name, _)| *name == part) => arguments.parts.push(word),
                // Other flags are those of cargo's own test runner.
                flag if flag.starts_with("--") => {}
                other => panic!("there is no part {other}; there are {:?}", parts::ALL.map(|(name, _)| name)),
            }
        }
        arguments
    }
}
