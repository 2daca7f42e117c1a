//! Attempts are counted before they are made: as failures, for all nodes, in one statement. Afterwards what was none is taken
//! back.

use chrono::TimeDelta;

use super::error::{Rejected, ServiceError};
use super::{Outcome, Service};
use crate::domain::event::{AttemptBudget, EventKind, Fact};
use crate::domain::ids::UserId;
use crate::domain::throttle::Counter;
use crate::store::{Reserved, StoreError};

/// How often a reservation looks again that was overtaken. The second look nearly always finds what is used up.
const LOOKS: usize = 3;

/// An attempt that is counted.
#[derive(Debug)]
pub(crate) struct Reservation {
    counters: Vec<Counter>,
    /// Which of the counts have no room for another one.
    used_up: Vec<usize>,
    /// Whose account it is, if there is one.
    user: Option<UserId>,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing was tried: the attempt is given back.
    Untried,
    /// The password was wrong: the attempt stays counted.
    Failed,
    /// The password was right.
    Succeeded,
}

impl Fate {
    /// What a check came to. What is refused for another reason than a wrong password says nothing about the password.
    pub(crate) fn of<T>(checked: &Result<T, ServiceError>) -> Self {
        match checked {
            Ok(_) => Self::Succeeded,
            Err(ServiceError::Rejected(Rejected::InvalidCredentials | Rejected::WrongPassword)) => {
                Self::Failed
            }
            Err(_) => Self::Untried,
        }
    }
}

impl Reservation {
    /// What there is to tell if this attempt has failed: that it was the last that the account had for strangers.
    pub(crate) fn ceiling_reached(&self) -> Option<Fact> {
        let used_up = self.used_up.iter().filter_map(|place| self.counters.get(*place));
        let ceiling = used_up.map(|counter| counter.kind).any(|kind| kind == AttemptBudget::Account);
        ceiling.then(|| Fact::new(EventKind::LoginCeilingReached).of_user(self.user))
    }
}

impl Service {
    /// Counts an attempt in all of these counts, or in none.
    ///
    /// After a broken connection it may be counted twice, which is on the safe side.
    pub(super) fn reserve(&self, counters: Vec<Counter>, user: Option<UserId>) -> Outcome<Reservation> {
        let mut reservation = Reservation { counters, used_up: Vec::new(), user };
        if reservation.counters.is_empty() {
            return Outcome::from(Ok::<_, ServiceError>(reservation));
        }
        match self.look_and_count(&reservation.counters) {
            Ok(Reserved::Admitted { used_up }) => {
                reservation.used_up = used_up;
                Outcome::from(Ok::<_, ServiceError>(reservation))
            }
            Ok(Reserved::Shut(place, wait)) => too_many(reservation.counters.get(place), wait, user),
            Ok(Reserved::Overtaken) => too_many(reservation.counters.first(), TimeDelta::zero(), user),
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }

    fn look_and_count(&self, counters: &[Counter]) -> Result<Reserved, StoreError> {
        let mut reserved = Reserved::Overtaken;
        for _ in 0..LOOKS {
            reserved = self.store.run(|session| session.reserve_attempt(counters))?;
            if reserved != Reserved::Overtaken {
                break;
            }
        }
        Ok(reserved)
    }

    /// Takes back of a count what is not to stay. A failure to do so leaves an attempt counted, which time mends.
    pub(crate) fn conclude(&self, reservation: &Reservation, fate: Fate) {
        let counters = &reservation.counters;
        if counters.is_empty() {
            return;
        }
        let done = match fate {
            Fate::Untried => self.store.run(|session| session.give_back_attempt(counters)),
            Fate::Succeeded => self.store.run(|session| session.settle_attempt(counters)),
            Fate::Failed => return,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "an attempt stays counted that was no failure");
        }
    }
}

/// In whole seconds, rounded up: whoever comes back then is admitted.
fn too_many(counter: Option<&Counter>, wait: TimeDelta, user: Option<UserId>) -> Outcome<Reservation> {
    let retry_after = wait.num_milliseconds().unsigned_abs() / 1_000 + 1;
    let reason = counter.map(|counter| counter.kind);
    let throttled = reason.map(|reason| EventKind::Throttled { reason, retry_after });
    Outcome::from(ServiceError::from(Rejected::TooManyAttempts { retry_after }))
        .telling(throttled.map(|kind| Fact::new(kind).of_user(user)))
}
