//! One session with its chain, everything that is under way about it, and what has been promised so far.

use actix_authflow::testing::rule::{Digest, Row, Seconds, Seen};

use super::mutation::Mutation;
use super::promises::Promise;
use super::scenario::Scenario;

/// A refresh token: its place in the chain, and a number that stands for its secret and its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token {
    pub(crate) generation: u32,
    pub(crate) secret: Digest,
}

impl Token {
    /// What a login gave.
    pub(crate) const FIRST: Token = Token { generation: 0, secret: 0 };

    /// The right tag, but not the secret: what somebody makes who has only the key of the tags.
    pub(crate) fn forged(generation: u32) -> Token {
        Token { generation, secret: Digest::MAX }
    }

    /// The successor is a function of the presented token and a nonce. No two of a generation are alike, as long as few are
    /// presented.
    pub(crate) fn successor(self, nonce: u8) -> Token {
        Token {
            generation: self.generation + 1,
            secret: self.secret.wrapping_mul(16).wrapping_add(Digest::from(nonce) + 1),
        }
    }

    pub(crate) fn is_of(self, row: &Row) -> bool {
        (self.generation, self.secret) == (row.generation, row.digest)
    }
}

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Party {
    /// The user's browser; its tabs share one cookie.
    Owner,
    /// Somebody with a copy.
    Thief,
    /// Nobody waits: a statement whose connection broke, whose node died, or whose client has been answered.
    Nobody,
}

/// A refresh under way, at any node: a node remembers nothing between requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Request {
    pub(crate) by: Party,
    pub(crate) presented: Token,
    pub(crate) at: Phase,
    /// Drawn for the successor. Numbered at its first use, so that requests which are alike are one state.
    pub(crate) nonce: Option<u8>,
    /// How often the insertion has been tried in this run.
    pub(crate) attempts: u8,
    /// Whether a connection has broken already. Once is forgiven.
    pub(crate) run_again: bool,
    /// When its first statement began. It is answered a while later, whatever has become of it.
    pub(crate) since: Option<Seconds>,
}

/// How far a request has come. Each step between two phases is atomic, and anything may happen between two steps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Phase {
    /// On the way to the insertion.
    Sent,
    /// The insertion has its snapshot.
    Begun(Snapshot),
    /// It holds the shared lock on the session, has read the clock at this moment, and found that all is well.
    Locked(Seconds),
    /// The row is there, and not committed.
    Inserted(Row),
    /// No row was added: on the way to the second look.
    Looking,
    /// The refusal ends the session: on the way to that statement.
    Ending,
    /// On the way back to the client.
    Answered(Answer),
}

/// What the guard of the insertion sees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Snapshot {
    /// The presented row, if it is the newest and has the digest.
    pub(crate) head: Option<Row>,
    /// Counts only where nothing is locked: the lock waits for what was newer.
    pub(crate) ended: bool,
    pub(crate) user_disabled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Answer {
    /// A refresh token, and how it came about.
    Given(Token, How),
    /// 401: the session is over.
    Over,
    /// 401: reuse, or a database that is older than the token.
    Reused,
    /// 401: nothing that is known.
    Invalid,
    /// 503: to be tried again.
    Unavailable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum How {
    Rotated,
    SameAgain,
    SameSuccessor,
}

/// Which end of the session is under way: a transaction of several statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum End {
    /// A logout, or the end of this one session by its user.
    OfTheSession,
    /// A new password, a disabling, or the end of all sessions of a user: the user's row comes first.
    OfTheUser,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Ender {
    Idle,
    /// The user's row is changed.
    Begun(Ending),
    /// The session is marked and exclusively locked, unless it had ended before.
    Marked(Ending),
    /// The rows are deleted.
    Deleted(Ending),
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ending {
    pub(crate) end: End,
    /// Whether this transaction has marked the session.
    pub(crate) locked: bool,
    pub(crate) deleted: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Pruner {
    Idle,
    /// What a batch has found at its beginning.
    Surveyed {
        began: Seconds,
        over: bool,
        superseded: bool,
    },
    /// The session is looked at again; if it was over it is marked and exclusively locked.
    Marked {
        began: Seconds,
        locked: bool,
        superseded: bool,
    },
    /// Rows are deleted.
    Deleted {
        began: Seconds,
        locked: bool,
        rows: Vec<Row>,
    },
}

/// When a generation was added. Of what really happened, whatever rows were pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Birth {
    pub(crate) secret: Digest,
    pub(crate) at: Seconds,
    pub(crate) nonce: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) now: Seconds,

    // What is committed.
    pub(crate) ended: bool,
    pub(crate) user_disabled: bool,
    pub(crate) rows: Vec<Row>,

    // What is under way.
    pub(crate) requests: Vec<Request>,
    pub(crate) ender: Ender,
    pub(crate) pruner: Pruner,

    // What the clients hold.
    pub(crate) cookie: Token,
    pub(crate) copy: Option<Token>,

    // What is left of the bounds.
    pub(crate) sends_left: u8,
    pub(crate) faults_left: u8,
    pub(crate) passes_left: u8,

    // What happened, for the promises.
    pub(crate) births: Vec<Birth>,
    pub(crate) swept: bool,
    pub(crate) broken: Option<Promise>,
}

impl State {
    pub(crate) fn start(scenario: &Scenario) -> State {
        let first = Row {
            generation: 0,
            digest: Token::FIRST.secret,
            nonce: u8::MAX,
            issued_at: 0,
            expires_at: scenario.idle.min(scenario.absolute),
        };
        State {
            now: 0,
            ended: false,
            user_disabled: false,
            rows: vec![first],
            requests: Vec::new(),
            ender: Ender::Idle,
            pruner: Pruner::Idle,
            cookie: Token::FIRST,
            copy: None,
            sends_left: scenario.sends,
            faults_left: scenario.faults,
            passes_left: scenario.passes,
            births: vec![Birth { secret: Token::FIRST.secret, at: 0, nonce: u8::MAX }],
            swept: false,
            broken: None,
        }
    }

    /// The chain as a statement reads it for whoever presented this token.
    pub(crate) fn seen(&self, scenario: &Scenario, presented: Token) -> Seen {
        Seen {
            now: self.now,
            ended: self.ended,
            user_disabled: self.user_disabled,
            expires_at: scenario.absolute,
            newest: self.rows.last().copied(),
            presented: self.rows.iter().find(|row| row.generation == presented.generation).copied(),
        }
    }

    /// Whether somebody else holds the session's row exclusively.
    pub(crate) fn locked_exclusively(&self) -> bool {
        let ending = match &self.ender {
            Ender::Marked(ending) | Ender::Deleted(ending) => ending.locked,
            Ender::Idle | Ender::Begun(_) | Ender::Done => false,
        };
        ending
            || matches!(
                self.pruner,
                Pruner::Marked { locked: true, .. } | Pruner::Deleted { locked: true, .. }
            )
    }

    /// Whether a rotation holds the session's row.
    pub(crate) fn locked_shared(&self, mutation: Option<Mutation>) -> bool {
        mutation != Some(Mutation::NoShareLock)
            && self
                .requests
                .iter()
                .any(|request| matches!(request.at, Phase::Locked(..) | Phase::Inserted(_)))
    }

    /// When this generation was replaced, if it was; or will have been, if the insertion under way is committed.
    pub(crate) fn replaced_at(&self, generation: u32) -> Option<Seconds> {
        let committed = self.births.get(generation as usize + 1).map(|birth| birth.at);
        let under_way = self.requests.iter().filter_map(|request| match &request.at {
            Phase::Locked(clock) if request.presented.generation == generation => Some(*clock),
            Phase::Inserted(row) if row.generation == generation + 1 => Some(row.issued_at),
            _ => None,
        });
        committed.into_iter().chain(under_way).min()
    }

    /// A nonce that no row and no request has.
    pub(crate) fn fresh_nonce(&self) -> u8 {
        let in_rows = self.births.iter().skip(1).map(|birth| birth.nonce);
        let drawn = self.requests.iter().filter_map(|request| request.nonce);
        in_rows.chain(drawn).max().map_or(0, |nonce| nonce + 1)
    }

    /// Notes the first promise that is broken.
    pub(crate) fn breaks(&mut self, promise: Promise, is_broken: bool) {
        if is_broken && self.broken.is_none() {
            self.broken = Some(promise);
        }
    }
}
