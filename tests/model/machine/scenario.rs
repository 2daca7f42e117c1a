//! What takes part in a model, and its bounds.

use actix_authflow::testing::rule::Seconds;

use super::mutation::Mutation;
use super::promises::Witness::{self, *};
use super::state::End;

/// A model: who takes part, and how much of it.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Of grace.
    pub(crate) window: Seconds,
    /// The idle life of a token.
    pub(crate) idle: Seconds,
    /// The absolute life of the session.
    pub(crate) absolute: Seconds,
    /// Where time stops.
    pub(crate) horizon: Seconds,
    /// Refreshes of the owner under way at once.
    pub(crate) tabs: usize,
    /// Whether the owner comes back, and is answered or not, within the window: time does not pass otherwise.
    pub(crate) prompt: bool,
    /// Whether somebody takes a copy of the cookie, once.
    pub(crate) thief: bool,
    /// Whether the thief has the key of the tags as well, and makes tokens.
    pub(crate) forger: bool,
    /// Refreshes in all.
    pub(crate) sends: u8,
    /// Lost answers, broken connections, dead nodes and rolled back transactions in all.
    pub(crate) faults: u8,
    /// How the session may be ended.
    pub(crate) ends: &'static [End],
    /// Batches of housekeeping in all.
    pub(crate) passes: u8,
    /// What happens somewhere in it, or the model says nothing.
    pub(crate) witnesses: &'static [Witness],
    /// What is wrong with it.
    pub(crate) mutation: Option<Mutation>,
}

/// How much longer than the window a generation is kept after it was replaced.
pub(crate) const MARGIN: Seconds = 1;
/// Rows that one batch of housekeeping deletes.
pub(crate) const MOST: usize = 1;
/// How long a request is waited for, before it is answered with 503 and begins nothing more.
pub(crate) const PATIENCE: Seconds = 1;
/// How often a request tries its insertion.
pub(crate) const ATTEMPTS: u8 = 5;

/// One in which nothing goes wrong, to begin with.
pub(crate) const NOTHING: Scenario = Scenario {
    name: "",
    window: 2,
    idle: 20,
    absolute: 20,
    horizon: 4,
    tabs: 2,
    prompt: false,
    thief: false,
    forger: false,
    sends: 3,
    faults: 0,
    ends: &[],
    passes: 0,
    witnesses: &[],
    mutation: None,
};

impl Scenario {
    /// Tabs that come back in time, while answers are lost, connections break and nodes die.
    pub(crate) fn tabs() -> Scenario {
        Scenario {
            name: "tabs",
            tabs: 3,
            prompt: true,
            sends: 4,
            faults: 1,
            witnesses: &[Rotation, SameAgain, SameSuccessor, Competition, SecondGeneration],
            ..NOTHING
        }
    }

    /// Tabs that come back in time, and housekeeping.
    pub(crate) fn housekeeping() -> Scenario {
        Scenario {
            name: "housekeeping",
            window: 1,
            prompt: true,
            sends: 4,
            passes: 2,
            witnesses: &[Rotation, SecondGeneration, Pruning],
            ..NOTHING
        }
    }

    /// Statements that take longer than the window, and housekeeping.
    pub(crate) fn slowness() -> Scenario {
        Scenario {
            name: "slowness",
            window: 1,
            horizon: 3,
            passes: 2,
            witnesses: &[Rotation, Pruning, LateRow],
            ..NOTHING
        }
    }

    /// An owner and a thief, neither in any hurry.
    pub(crate) fn thief() -> Scenario {
        Scenario {
            name: "thief",
            horizon: 5,
            thief: true,
            sends: 4,
            witnesses: &[Rotation, SameSuccessor, TwoHolders, ThiefFound, OwnerFinds],
            ..NOTHING
        }
    }

    /// A thief who has the key of the tags as well.
    pub(crate) fn forger() -> Scenario {
        Scenario {
            name: "forger",
            thief: true,
            forger: true,
            passes: 1,
            witnesses: &[Rotation, SameSuccessor, ThiefFound, Pruning],
            ..NOTHING
        }
    }

    /// A session that is ended while it is refreshed.
    pub(crate) fn ends() -> Scenario {
        Scenario {
            name: "ends",
            horizon: 2,
            faults: 1,
            ends: &[End::OfTheSession, End::OfTheUser],
            passes: 1,
            witnesses: &[Rotation, EndWaits, RotationWaits, Ended],
            ..NOTHING
        }
    }

    /// No window: each token is good once, whatever breaks.
    pub(crate) fn single_use() -> Scenario {
        Scenario {
            name: "single use",
            window: 0,
            horizon: 2,
            faults: 2,
            witnesses: &[Rotation, OwnCommit, Competition, SecondGeneration],
            ..NOTHING
        }
    }

    /// Lives that end, and housekeeping that notes it down.
    pub(crate) fn lives() -> Scenario {
        Scenario {
            name: "lives",
            window: 1,
            idle: 2,
            absolute: 3,
            sends: 2,
            passes: 2,
            faults: 1,
            witnesses: &[Rotation, NotedDown, TooLate],
            ..NOTHING
        }
    }

    /// With this done wrong.
    pub(crate) fn with(self, mutation: Mutation) -> Scenario {
        Scenario { mutation: Some(mutation), ..self }
    }

    /// One refresh more, and one batch.
    pub(crate) fn larger(self) -> Scenario {
        Scenario { sends: self.sends + 1, passes: self.passes + 1, ..self }
    }
}
