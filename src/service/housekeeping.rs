//! Housekeeping: one pass over everything that nobody needs any more.

use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;

use super::upkeep::Upkeep;
use crate::domain::access_token::MAX_LIFE;
use crate::domain::event::{Actor, Fact};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::RevocationReason;
use crate::meters;
use crate::store::{Deleted, Session, StoreError};

/// No statement deletes more rows: it has done within milliseconds, whatever the `statement_timeout`.
const MOST: i64 = 1_000;
/// How much longer than the window a generation is kept after it was replaced. Nodes may differ in their window while a change
/// is rolled out; and a rotation that is slower than others, and sees a generation as the newest that no longer is, is kept
/// from adding a second successor by the row of the first.
const MARGIN: TimeDelta = TimeDelta::seconds(60);
/// How long an ended session is kept, by which every node knows that its access tokens are dead: longer than any of them
/// lives, and longer than the nodes read back.
const KEPT: TimeDelta = TimeDelta::seconds(MAX_LIFE + 300);

/// What a pass has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Sessions that were idle for too long or had reached their absolute end, and are now marked as ended.
    pub sessions_ended: u64,
    /// Refresh tokens of earlier generations or of ended sessions, deleted.
    pub refresh_tokens: u64,
    /// Sessions that ended more than a day ago, deleted.
    pub sessions: u64,
    /// Users whom [`Auth::delete_user`](crate::Auth::delete_user) had deleted and to whom no session referred any more.
    pub users: u64,
    /// Events that were kept for as long as [`AuthConfig::events_retention`](crate::AuthConfig::events_retention) says,
    /// deleted.
    pub events: u64,
    /// Counts of attempts that no longer mattered, deleted.
    pub attempts: u64,
}

/// Why a pass pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// A batch is done.
    AfterBatch,
    /// Another node has the turn.
    NotOurTurn,
}

impl Pruned {
    /// What was deleted. Sessions that were ended are events.
    fn measure(&self) {
        for (table, rows) in [
            ("refresh_tokens", self.refresh_tokens),
            ("sessions", self.sessions),
            ("users", self.users),
            ("events", self.events),
            ("attempts", self.attempts),
        ] {
            meters::pruned(table, rows);
        }
    }
}

/// How far a walk over all sessions has come. Whoever keeps it goes on from there in the next pass: a pass may be cut short
/// again and again by the turns of other nodes, and a large table is done all the same. Each node has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walk {
    after: SessionId,
}

struct Batch {
    last: Option<SessionId>,
    ended: Vec<(SessionId, UserId, RevocationReason)>,
    deleted: i64,
}

impl Default for Walk {
    /// At the beginning.
    fn default() -> Self {
        Self { after: SessionId(Uuid::nil()) }
    }
}

impl Upkeep {
    /// One pass, which begins with the sessions where `walk` has come to. `pause` is asked whether to go on, and may take its
    /// time: nothing is locked meanwhile.
    ///
    /// Where one part fails or loses its turn the others are done all the same: the walk over all chains may take minutes,
    /// and no table may grow because of it.
    pub(crate) fn prune(
        &self,
        by: Actor,
        walk: &mut Walk,
        mut pause: impl FnMut(Pause) -> bool,
    ) -> Result<Pruned, StoreError> {
        let mut done = Pruned::default();
        let finished = [
            self.prune_chains(by, walk, &mut done, &mut pause),
            self.prune_sessions(&mut done, &mut pause),
            self.prune_attempts(&mut done, &mut pause),
            self.prune_users(&mut done, &mut pause),
            self.prune_events(&mut done, &mut pause),
        ];
        done.measure();
        tracing::debug!(?done, ?finished, "housekeeping");
        finished.into_iter().collect::<Result<Vec<_>, _>>().map(|_| done)
    }

    /// Sessions in order, a batch at a time: ends those that are over, and deletes generations. At the end the walk is back
    /// at the beginning.
    fn prune_chains(
        &self,
        by: Actor,
        walk: &mut Walk,
        done: &mut Pruned,
        pause: &mut impl FnMut(Pause) -> bool,
    ) -> Result<bool, StoreError> {
        loop {
            let batch = self.prune_batch(walk.after)?;
            let ended = batch.iter().flat_map(|batch| &batch.ended);
            self.events.report(by, ended.map(|(id, user, reason)| Fact::session_ended(*id, *user, *reason)));
            if let Some(batch) = &batch {
                done.sessions_ended += batch.ended.len() as u64;
                done.refresh_tokens += batch.deleted.unsigned_abs();
                match batch.last {
                    // The same sessions again: they have more than one statement deletes.
                    _ if batch.deleted == MOST => {}
                    Some(last) => walk.after = last,
                    None => {
                        *walk = Walk::default();
                        return Ok(true);
                    }
                }
            }
            if !pause(reason(batch.is_some())) {
                return Ok(false);
            }
        }
    }

    /// First marks sessions, then deletes, in one transaction. `None` if another node has the turn.
    fn prune_batch(&self, after: SessionId) -> Result<Option<Batch>, StoreError> {
        let keep = self.grace + MARGIN;
        self.store.settled_transaction(|session| {
            let Some(survey) = session.survey_sessions(after, keep)? else { return Ok(None) };
            let ended = if survey.over.is_empty() { Vec::new() } else { session.end_over(&survey.over)? };
            let over: Vec<_> = ended.iter().map(|(id, ..)| *id).collect();
            let ids = [survey.superseded, over].concat();
            let deleted = if ids.is_empty() { 0 } else { session.delete_superseded(&ids, keep, MOST)? };
            Ok(Some(Batch { last: survey.last, ended, deleted }))
        })
    }

    fn prune_sessions(
        &self,
        done: &mut Pruned,
        pause: &mut impl FnMut(Pause) -> bool,
    ) -> Result<bool, StoreError> {
        self.prune_in_batches(&mut done.sessions, pause, |session| session.delete_ended(KEPT, MOST))
    }

    fn prune_attempts(
        &self,
        done: &mut Pruned,
        pause: &mut impl FnMut(Pause) -> bool,
    ) -> Result<bool, StoreError> {
        self.prune_in_batches(&mut done.attempts, pause, |session| session.delete_forgotten(MOST))
    }

    /// Deletes batches until one is not full.
    fn prune_in_batches(
        &self,
        done: &mut u64,
        pause: &mut impl FnMut(Pause) -> bool,
        delete: impl Fn(&mut Session<'_>) -> Result<Option<i64>, StoreError>,
    ) -> Result<bool, StoreError> {
        loop {
            let deleted = self.store.transaction(&delete)?;
            *done += deleted.unwrap_or_default().unsigned_abs();
            if deleted.is_some_and(|deleted| deleted < MOST) {
                return Ok(true);
            }
            if !pause(reason(deleted.is_some())) {
                return Ok(false);
            }
        }
    }

    fn prune_events(
        &self,
        done: &mut Pruned,
        pause: &mut impl FnMut(Pause) -> bool,
    ) -> Result<bool, StoreError> {
        let Some(kept) = self.events_kept else { return Ok(true) };
        self.prune_in_batches(&mut done.events, pause, |session| session.delete_events(kept, MOST))
    }

    /// One by one, because a table of the host's may refer to some of them.
    fn prune_users(
        &self,
        done: &mut Pruned,
        pause: &mut impl FnMut(Pause) -> bool,
    ) -> Result<bool, StoreError> {
        let mut after = UserId(Uuid::nil());
        loop {
            let Some(users) = self.store.transaction(|session| session.find_erased(after, MOST))? else {
                if !pause(Pause::NotOurTurn) {
                    return Ok(false);
                }
                continue;
            };
            let Some(last) = users.last() else { return Ok(true) };
            after = *last;
            for user in users {
                done.users += u64::from(self.prune_user(user)?);
            }
            if !pause(Pause::AfterBatch) {
                return Ok(false);
            }
        }
    }

    /// Whether the row of this user has gone.
    fn prune_user(&self, user: UserId) -> Result<bool, StoreError> {
        let deleted = self.store.run(|session| session.delete_erased(user))?;
        if deleted == Deleted::HeldByHost {
            tracing::debug!(%user, "a table of the host refers to a deleted user, whose bare row stays");
        }
        Ok(deleted == Deleted::Gone)
    }
}

/// For a pass that somebody waits for: goes on at once, and waits a moment, but not for ever, while another node has the
/// turn. That one does the same work.
pub(crate) fn persistent() -> impl FnMut(Pause) -> bool {
    let mut patience = 100;
    move |pause| match pause {
        Pause::AfterBatch => true,
        Pause::NotOurTurn => {
            std::thread::sleep(Duration::from_millis(20));
            patience -= 1;
            patience > 0
        }
    }
}

fn reason(had_turn: bool) -> Pause {
    if had_turn { Pause::AfterBatch } else { Pause::NotOurTurn }
}
