//! How often the hot paths allocate. Counts, not times: they are the same on every machine.
#![allow(clippy::print_stdout, reason = "the table is the result")]

mod support;

use std::alloc::System;
use std::hint::black_box;

use actix_authflow::SigningAlgorithm;
use actix_authflow::testing::internals::{Refreshes, Tokens};
use actix_web::http::StatusCode;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::app::{Application, Call};
use support::database::Database;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Rows like that of the guard are differences of many calls; what happens once does not show.
const CALLS: u64 = 1_000;

fn main() {
    println!("| once each | allocations | bytes |");
    println!("|---|---|---|");
    tokens();
    guard();
    refresh();
}

fn tokens() {
    for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Hs256] {
        let tokens = Tokens::new(algorithm);
        let (verifier, token) = (tokens.verifier(), tokens.sign());
        let name = algorithm.as_str();
        print(&format!("sign, {name}"), count(|| drop(black_box(tokens.sign()))));
        print(&format!("verify, {name}"), count(|| assert!(tokens.verify_cold(black_box(&token)))));
        print(
            &format!("verify a remembered token, {name}"),
            count(|| assert!(verifier.verify(&token).is_ok())),
        );
    }
}

fn guard() {
    let tokens = Tokens::new(SigningAlgorithm::EdDsa);
    let token = tokens.sign();
    let app = Application::start(tokens.verifier());
    let [open, guarded, user] = ["/open/item", "/guarded/item", "/guarded/user"].map(|path| {
        let call = Call::new(path, Some(&token));
        assert_eq!(app.status(&call), StatusCode::OK);
        per_call(|| _ = app.time(&call, CALLS), CALLS)
    });
    let above = |(number, bytes): (f64, f64)| (number - open.0, bytes - open.1);
    print("guarded route, beyond those of the open route", above(guarded));
    print("guarded route whose handler takes the user and writes the id", above(user));
}

fn refresh() {
    let database = Database::open();
    let mut refreshes = Refreshes::start(database.url());
    print("refresh in the service, from the token to the new tokens", count(|| _ = refreshes.refresh()));
}

/// Allocations and bytes of one run, once everything has been run a few times.
fn count(mut work: impl FnMut()) -> (f64, f64) {
    (0..10).for_each(|_| work());
    per_call(|| (0..CALLS).for_each(|_| work()), CALLS)
}

fn per_call(work: impl FnOnce(), calls: u64) -> (f64, f64) {
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    (change.allocations as f64 / calls as f64, change.bytes_allocated as f64 / calls as f64)
}

fn print(what: &str, (number, bytes): (f64, f64)) {
    println!("| {what} | {number:.1} | {bytes:.0} |");
}
