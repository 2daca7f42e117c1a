//! How many rounds there are, and what is counted over all of them.

use std::env;

/// As many rounds as were asked for: all, or a tenth.
pub(crate) fn rounds(all: u32) -> u32 {
    if is_full() { all } else { all / 10 }
}

pub(crate) fn is_full() -> bool {
    env::var("AUTHFLOW_FAULT_ROUNDS").is_ok_and(|rounds| rounds == "full")
}

/// Of a fault that ends or stops a process.
pub(crate) const PROCESS: u32 = 200;
/// Of a fault on a connection.
pub(crate) const CONNECTION: u32 = 2000;

/// What is counted of one fault.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u32,
    /// Rounds in which the fault was felt.
    pub(crate) bit: u32,
    /// Rotations that were committed by a request of which no answer arrived.
    pub(crate) unheard: u32,
    /// Sessions that were not there any more, or whose chain was not what the answers said.
    pub(crate) lost: u32,
    /// Tokens for which two different successors were given.
    pub(crate) doubles: u32,
    /// Clients who came back within the window and were refused, or never answered.
    pub(crate) wronged: u32,
}

impl Tally {
    /// Prints the row of the table, and asserts that nobody came to harm and that the fault was felt in at least so many
    /// of a hundred rounds.
    pub(crate) fn finish(&self, fault: &str, percent: u32) {
        let Tally { rounds, bit, unheard, lost, doubles, wronged } = self;
        println!("\n| {fault} | {rounds} | {bit} | {unheard} | {lost} | {doubles} | {wronged} |");
        assert!(*rounds > 0, "{fault}: no round");
        assert_eq!((*lost, *doubles, *wronged), (0, 0, 0), "{fault}: lost, doubles, wronged");
        assert!(bit * 100 >= rounds * percent, "{fault} was felt in {bit} of {rounds} rounds");
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.rounds += other.rounds;
        self.bit += other.bit;
        self.unheard += other.unheard;
        self.lost += other.lost;
        self.doubles += other.doubles;
        self.wronged += other.wronged;
    }

    pub(crate) fn count(&mut self, felt: bool) {
        self.rounds += 1;
        self.bit += u32::from(felt);
    }
}
