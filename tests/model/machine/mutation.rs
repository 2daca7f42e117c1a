//! What could be wrong with the protocol, to see that it would be found.

use super::scenario::Scenario;

/// One thing done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// No key keeps two rows of one generation apart.
    NoKey,
    /// The insertion does not ask whether the presented row is the newest.
    NoNewest,
    /// The insertion does not compare the digest.
    NoDigest,
    /// The insertion does not lock the session.
    NoShareLock,
    /// The insertion does not ask whether a life is over.
    NoLives,
    /// The insertion makes a row that outlives the session.
    LongerLife,
    /// The newest token rotates within the window.
    NoRest,
    /// A predecessor is answered for ever.
    NoWindow,
    /// A retry gets a successor of its own.
    Fork,
    /// A request that runs again draws another nonce.
    NewNonce,
    /// No row means reuse, without a second look.
    NoSecondLook,
    /// A request goes on after its client has been answered.
    NoDeadline,
    /// Reuse is answered, but ends nothing.
    ReuseForgotten,
    /// A logout deletes before it marks.
    DeleteFirst,
    /// A logout marks and deletes in one statement, with one snapshot.
    OneStatement,
    /// Housekeeping deletes the newest generation first.
    NewestFirst,
    /// Housekeeping deletes what was replaced a moment ago.
    EarlyPruning,
    /// Housekeeping ends a session that looked over, without looking again under the lock.
    StaleSurvey,
}

/// A mutation, a scenario in which it does harm, and the promise that is broken first.
type Harm = (Mutation, fn() -> Scenario, &'static str);

/// Every mutation does some.
pub(crate) const HARM: [Harm; 18] = [
    (Mutation::NoKey, Scenario::tabs, "one chain"),
    (Mutation::NoNewest, Scenario::slowness, "one chain"),
    (Mutation::NoDigest, Scenario::forger, "genuine tokens only"),
    (Mutation::NoShareLock, Scenario::ends, "no survivor"),
    (Mutation::NoLives, Scenario::lives, "lives end"),
    (Mutation::LongerLife, Scenario::lives, "lives end"),
    (Mutation::NoRest, Scenario::tabs, "the owner stays"),
    (Mutation::NoWindow, Scenario::thief, "a copy is found"),
    (Mutation::Fork, Scenario::tabs, "one chain"),
    (Mutation::NewNonce, Scenario::single_use, "nobody is wronged"),
    (Mutation::NoSecondLook, Scenario::tabs, "the owner stays"),
    (Mutation::NoDeadline, Scenario::tabs, "the owner stays"),
    (Mutation::ReuseForgotten, Scenario::thief, "reuse ends the session"),
    (Mutation::DeleteFirst, Scenario::ends, "no survivor"),
    (Mutation::OneStatement, Scenario::ends, "no survivor"),
    (Mutation::NewestFirst, Scenario::housekeeping, "the owner stays"),
    (Mutation::EarlyPruning, Scenario::slowness, "one chain"),
    (Mutation::StaleSurvey, Scenario::lives, "nobody is wronged"),
];
