//! Connections between server and Postgres that break at the rotation, once or several times in a row.

use actix_authflow::testing::TestDatabase;

use crate::client::Manner;
use crate::crowd::Crowd;
use crate::service::Service;
use crate::support::wire::{self, Moment, Proxy, Trap};
use crate::tally::{CONNECTION, rounds};

/// Cuts the connections of so many rotations in a row: two of them together with others, two alone, and the client's next.
const IN_A_ROW: u32 = 5;

fn always(moment: Moment, fault: &str) {
    let database = TestDatabase::empty();
    let wire = Proxy::to(database.url());
    let service = Service::on(wire.url());
    let mut crowd = Crowd::of(1, &service, database.url());
    for round in 0..rounds(CONNECTION) {
        let traps: Vec<_> = (0..=round % IN_A_ROW).map(|_| wire.trap(wire::is_rotation, moment)).collect();
        crowd.round(|| service.address(), Manner::default(), || ());
        crowd.tally.count(traps[0].has_been_reached());
        // Those that have caught nothing.
        traps.iter().for_each(Trap::release);
        wire.forget();
    }
    crowd.are_let_in(service.address());
    crowd.retired_tokens_end_their_sessions(service.address());
    crowd.tally.finish(fault, 99);
}

#[test]
fn a_rotation_that_postgres_never_hears_of_costs_nobody_a_session() {
    always(Moment::CutBefore, "server and Postgres: cut before send");
}

#[test]
fn a_rotation_cut_off_once_it_is_sent_costs_nobody_a_session() {
    always(Moment::CutOnceSent, "server and Postgres: cut after send");
}

#[test]
fn a_rotation_whose_commit_is_not_heard_of_costs_nobody_a_session() {
    always(Moment::CutAfter, "server and Postgres: cut after commit");
}
