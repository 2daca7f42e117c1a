//! Those who log in.

use std::net::Ipv4Addr;
use std::time::Duration;

use actix_web::rt::time::sleep;
use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use uuid::Uuid;

use super::PASSWORD;
use crate::client::Connection;
use crate::crowd::{self, Load, Task};
use crate::session::Session;

/// Somebody who logs in over and over, under one name after the other.
pub(crate) struct Visitor {
    name: usize,
    next: usize,
    names: usize,
    pub(super) granted: usize,
    pub(super) refused: usize,
}

pub(crate) fn visitors(number: usize, names: usize, round: usize) -> Vec<Visitor> {
    let visitor = |name| Visitor { name, next: round, names, granted: 0, refused: 0 };
    (0..number).map(visitor).collect()
}

/// Lets all of them log in over and over.
pub(crate) fn log_in(task: Task, visitors: Vec<Visitor>) -> Load<Visitor> {
    crowd::run(task, visitors, async |connection, visitor: &mut Visitor| visitor.log_in(connection).await)
}

impl Visitor {
    /// What the client of this crate waits beyond `Retry-After`, so that not all come back in the same instant: a
    /// quarter to half of a second, by lot.
    fn pause() -> Duration {
        Duration::from_millis(250 + u64::try_from(Uuid::new_v4().as_u128() % 250).unwrap())
    }

    /// A login is granted, or else refused with a time after which to try again; that much is waited.
    async fn log_in(&mut self, connection: &mut Connection) {
        // Names that no two visitors have at once, so that no account has more than its share of sessions.
        let name = (self.name + 1_009 * self.next) % self.names + 1;
        self.next += 1;
        let address = Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(self.name).unwrap());
        let answer = Session::ask_for(connection, address, &format!("{name}@example.com"), PASSWORD).await;
        if answer.status == StatusCode::OK {
            Session::from(&answer);
            self.granted += 1;
            return;
        }
        let refused =
            [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&answer.status);
        assert!(refused, "{} {:?}", answer.status, answer.body);
        let seconds = answer.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        self.refused += 1;
        sleep(Duration::from_secs(seconds) + Self::pause()).await;
    }
}
