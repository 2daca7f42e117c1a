//! The protocol of rotation as a model, and every interleaving of it within bounds.
//!
//! The decision is the crate's own; the statements around it, with their snapshots and locks, are modelled. What is modelled
//! and what is not, how large the models are and what the mutations show is in `docs/PROOF.md`.
//!
//! `MODEL_BOUNDS=large` adds a refresh and a batch of housekeeping to each. That takes many minutes and gigabytes.
#![allow(clippy::panic, reason = "a helper of tests is a test too")]

mod machine;
mod protocol;

use std::env;

use machine::mutation;
use machine::scenario::Scenario;
use stateright::{Checker, HasDiscoveries, Model as _};

/// Looks at every state. No promise is broken in any, and each witness is seen in some.
fn check(scenario: Scenario) {
    let large = env::var("MODEL_BOUNDS").is_ok_and(|bounds| bounds == "large");
    let scenario = if large { scenario.larger() } else { scenario };
    let name = scenario.name;
    let checker = scenario.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let (states, steps) = (checker.unique_state_count(), checker.max_depth());
    eprintln!("{name}: {states} states, {steps} steps at most");
    checker.assert_properties();
}

#[test]
fn tabs_that_come_back_in_time_keep_their_session_whatever_breaks() {
    check(Scenario::tabs());
}

#[test]
fn housekeeping_beside_prompt_tabs_costs_nobody_a_session() {
    check(Scenario::housekeeping());
}

#[test]
fn statements_slower_than_the_window_fork_no_chain() {
    check(Scenario::slowness());
}

#[test]
fn a_thief_and_an_owner_cannot_both_go_on() {
    check(Scenario::thief());
}

#[test]
fn a_forger_gets_nothing() {
    check(Scenario::forger());
}

#[test]
fn nothing_survives_the_end_of_a_session() {
    check(Scenario::ends());
}

#[test]
fn without_a_window_a_token_is_good_for_one_request() {
    check(Scenario::single_use());
}

#[test]
fn nothing_outlives_its_life() {
    check(Scenario::lives());
}

/// A model that finds nothing wrong with a wrong protocol shows nothing.
#[test]
fn whatever_is_done_wrong_is_found() {
    for (mutation, scenario, promise) in mutation::HARM {
        let checker = scenario().with(mutation).checker();
        let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();

        let Some(history) = checker.discovery(promise) else {
            panic!("{mutation:?} breaks {:?}, not {promise:?}", checker.discoveries().keys());
        };
        eprintln!("{mutation:?}: {promise} is broken after {} steps", history.into_actions().len());
    }
}
