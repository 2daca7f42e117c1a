//! Requests and answers that are lost, late, doubled or overtaken between client and server.

use std::time::Duration;

use actix_authflow::testing::TestDatabase;

use crate::client::Manner;
use crate::crowd::Crowd;
use crate::line::{Line, Mishap};
use crate::service::Service;
use crate::tally::{CONNECTION, rounds};

/// Lets this happen to a request of every round, and in every second round to those of both tabs. But not where an answer has to
/// overtake another, which would wait as well.
fn always(mishap: Mishap, manner: Manner, fault: &str, percent: u32) {
    let database = TestDatabase::empty();
    let service = Service::on(database.url());
    let line = Line::to(service.address());
    let mut crowd = Crowd::of(1, &service, database.url());
    for round in 0..rounds(CONNECTION) {
        let both = mishap != Mishap::Overtaken && round % 2 == 1;
        (0..1 + u32::from(both)).for_each(|_| line.next(mishap));
        crowd.round(|| line.address(), manner, || ());
        let (answers, came_true) = line.quiet();
        crowd.compare(&answers);
        crowd.tally.count(came_true > u32::from(both));
    }
    crowd.are_let_in(service.address());
    crowd.retired_tokens_end_their_sessions(service.address());
    crowd.tally.finish(fault, percent);
}

#[test]
fn a_request_that_never_arrives_costs_nobody_a_session() {
    always(Mishap::CutBefore, Manner::default(), "client and server: cut before send", 99);
}

#[test]
fn a_client_cut_off_once_the_request_is_sent_keeps_the_session() {
    always(Mishap::CutOnceSent, Manner::default(), "client and server: cut after send", 99);
}

#[test]
fn an_answer_that_never_arrives_costs_nobody_a_session() {
    always(Mishap::CutAfterCommit, Manner::default(), "client and server: cut after commit", 99);
}

/// The client gives up, comes back, and the first answer arrives when nobody waits for it any more.
#[test]
fn an_answer_that_is_late_is_the_same_answer() {
    let late = Mishap::Late(Duration::from_millis(80));
    always(late, Manner::hasty(Duration::from_millis(40)), "answer delayed, client comes back before it", 99);
}

#[test]
fn a_request_that_arrives_twice_rotates_once() {
    always(Mishap::Doubled, Manner::default(), "request doubled", 99);
}

#[test]
fn answers_that_overtake_each_other_are_the_same() {
    always(Mishap::Overtaken, Manner::default(), "answers reordered", 90);
}
