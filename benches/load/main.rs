//! Load over HTTP: a server in a process of its own, clients that check every answer, and ratios from one run.
//!
//! `scripts/bench` runs it, all of it or the parts that are named. Only loopback and Unix sockets are used; everything
//! is bounded in count or time, and the servers end with this process.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing better to do")]
#![allow(clippy::print_stdout, reason = "the tables are the result")]

mod chart;
mod client;
mod cores;
mod crowd;
mod parts;
mod pgbench;
mod process;
mod server;
mod session;
#[path = "../support/mod.rs"]
mod support;

use support::arguments::Arguments;
use support::figures::Figures;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|first| first == server::FLAG) {
        return server::serve(&words[1..]);
    }
    let arguments = Arguments::read();
    for name in &arguments.names {
        let known = parts::ALL.iter().any(|(part, _)| part == name);
        assert!(known, "there is no part {name}; there are {:?}", parts::ALL.map(|(part, _)| part));
    }
    for (part, run) in parts::ALL {
        if arguments.names.is_empty() || arguments.names.iter().any(|name| name == part) {
            println!("\n## {part}\n");
            let mut figures = Figures::new(part, &arguments);
            run(&mut figures);
            figures.write();
        }
    }
}
