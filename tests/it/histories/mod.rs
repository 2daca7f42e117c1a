//! Random histories, lived through by the server, by a reference in a hundred lines, and by the model of the protocol whose every
//! interleaving is checked: every answer and every row agree.
//!
//! `PROPTEST_CASES` says how many histories; 64 where it says nothing.

#[allow(dead_code, reason = "part of it is for the model checker")]
#[path = "../../model/machine/mod.rs"]
mod machine;
mod modelled;
mod reference;
mod world;

use std::cell::RefCell;
use std::env;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use reference::{DAY, Seconds};
use world::World;

/// Who has tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Owner,
    Tab,
    Thief,
}

/// What may go wrong with a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Nothing,
    /// The client never sees the answer.
    Answer,
    /// The connection to the database breaks before the rotation.
    Before,
    /// The connection to the database breaks after the commit of the rotation.
    After,
}

#[derive(Debug, Clone)]
enum Step {
    Refresh(Holder, Loss),
    /// The same token at both nodes at the same time.
    RefreshTwice(Holder),
    /// The second gets what the first has.
    Copy(Holder, Holder),
    Login(Holder),
    Logout(Holder),
    RevokeAll,
    Pass(Seconds),
    Prune,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let holder = || prop::sample::select(&[Holder::Owner, Holder::Tab, Holder::Thief][..]);
    let loss =
        prop::sample::select(&[Loss::Nothing, Loss::Nothing, Loss::Answer, Loss::Before, Loss::After][..]);
    prop_oneof![
        12 => (holder(), loss).prop_map(|(holder, loss)| Step::Refresh(holder, loss)),
        4 => holder().prop_map(Step::RefreshTwice),
        5 => (holder(), holder()).prop_map(|(from, to)| Step::Copy(from, to)),
        // Short of the window, and beyond it when it comes twice.
        10 => Just(Step::Pass(200)),
        // Short of the idle life, and beyond it when it comes twice.
        2 => Just(Step::Pass(9 * DAY)),
        5 => Just(Step::Prune),
        1 => holder().prop_map(Step::Login),
        1 => holder().prop_map(Step::Logout),
        1 => Just(Step::RevokeAll),
        1 => Just(Step::Restart),
    ]
}

#[test]
fn the_server_does_what_reference_and_model_do_in_every_history() {
    let system = actix_web::rt::System::new();
    let world = RefCell::new(system.block_on(World::start()));
    let mut config = Config { failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 64;
    }
    let histories = prop::collection::vec(step(), 1..40);
    let outcome = TestRunner::new(config).run(&histories, |history| {
        let mut world = world.borrow_mut();
        system.block_on(world.live(&history))
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
