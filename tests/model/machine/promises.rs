//! What the protocol promises, and what has to happen somewhere for the promises to mean anything.

use actix_authflow::testing::rule::Row;

use super::scenario::Scenario;
use super::state::{Answer, Ender, How, Party, Phase, Pruner, Request, State};

/// What never fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Promise {
    /// A generation is one token: no other is ever given for it, or heads the chain.
    OneChain,
    /// Nothing is given for a token that was never given.
    Genuine,
    /// A token that comes back less than a window after it was rotated, or that was not, is no reuse; nor is a request's own commit.
    NobodyWronged,
    /// An owner who comes back within the window is refused nothing.
    OwnerStays,
    /// A copy is found at the first refresh that comes more than a window after somebody else rotated the same token.
    CopyFound,
    /// Who is told of reuse is told so of a session that has ended.
    ReuseEnds,
    /// Nothing is given after the end was committed.
    EndIsEnd,
    /// No row outlives the deletion of its chain.
    NoSurvivor,
    /// Nothing is given after a life is over, and no rotation makes a row that lives longer than the session.
    LivesEnd,
}

type Condition = fn(&Scenario, &State) -> bool;

/// The promises by name.
pub(crate) const PROMISES: [(&str, Condition); 9] = [
    ("one chain", |_, state| state.broken != Some(Promise::OneChain)),
    ("genuine tokens only", |_, state| state.broken != Some(Promise::Genuine)),
    ("nobody is wronged", |_, state| state.broken != Some(Promise::NobodyWronged)),
    ("the owner stays", |_, state| state.broken != Some(Promise::OwnerStays)),
    ("a copy is found", |_, state| state.broken != Some(Promise::CopyFound)),
    ("reuse ends the session", |_, state| state.broken != Some(Promise::ReuseEnds)),
    ("the end is the end", |_, state| state.broken != Some(Promise::EndIsEnd)),
    ("no survivor", |_, state| state.broken != Some(Promise::NoSurvivor)),
    ("lives end", |_, state| state.broken != Some(Promise::LivesEnd)),
];

/// A rotation is being committed.
pub(crate) fn on_rotation(scenario: &Scenario, state: &mut State, request: &Request, row: &Row) {
    let presented = request.presented;
    let parent = state.rows.iter().find(|parent| parent.generation == presented.generation);
    let end = parent.map_or(scenario.absolute, |parent| parent.expires_at.min(scenario.absolute));
    let lives_on = row.issued_at >= end || row.expires_at > scenario.absolute;
    // A second row of a generation is of no consequence where it is old and goes to nobody.
    let second = state.births.len() != row.generation as usize;
    let heads = state.rows.last().is_none_or(|newest| newest.generation <= row.generation);
    state.breaks(Promise::OneChain, second && (heads || request.by != Party::Nobody));
    state.breaks(Promise::Genuine, !is_genuine(state, request));
    state.breaks(Promise::EndIsEnd, state.ended);
    state.breaks(Promise::NoSurvivor, state.swept);
    state.breaks(Promise::LivesEnd, lives_on);
}

/// The second look has decided.
pub(crate) fn on_look(scenario: &Scenario, state: &mut State, request: &Request) {
    let Phase::Answered(answer) = request.at else { return };
    match answer {
        Answer::Given(token, _) => {
            let birth = state.births.get(token.generation as usize);
            let another = birth.is_none_or(|birth| birth.secret != token.secret);
            let idle_end = state.rows.last().map_or(0, |newest| newest.expires_at);
            state.breaks(Promise::OneChain, another);
            state.breaks(Promise::Genuine, !is_genuine(state, request));
            state.breaks(Promise::CopyFound, is_retired(scenario, state, request));
            state.breaks(Promise::EndIsEnd, state.ended);
            state.breaks(Promise::LivesEnd, scenario.absolute.min(idle_end) <= state.now);
        }
        Answer::Over => state.breaks(Promise::OwnerStays, is_prompt_owner(scenario, request)),
        Answer::Reused => state.breaks(Promise::ReuseEnds, !state.ended),
        Answer::Invalid => state.breaks(Promise::NobodyWronged, is_genuine(state, request)),
        Answer::Unavailable => {}
    }
}

/// Reuse has been concluded.
pub(crate) fn on_reuse(scenario: &Scenario, state: &mut State, request: &Request) {
    let wronged = is_genuine(state, request) && !is_retired(scenario, state, request) && !state.ended;
    state.breaks(Promise::OwnerStays, is_prompt_owner(scenario, request));
    state.breaks(Promise::NobodyWronged, wronged);
}

/// An end has been committed.
pub(crate) fn on_end(state: &mut State) {
    state.breaks(Promise::NoSurvivor, state.swept && !state.rows.is_empty());
}

/// Housekeeping has marked the session as ended.
pub(crate) fn on_noted_down(state: &mut State, was_over: bool) {
    state.breaks(Promise::NobodyWronged, !was_over);
}

fn is_genuine(state: &State, request: &Request) -> bool {
    let birth = state.births.get(request.presented.generation as usize);
    birth.is_some_and(|birth| birth.secret == request.presented.secret)
}

/// Whether the presented token was rotated a window ago or longer. Not if that was this very request, and nobody has rotated
/// its successor since.
fn is_retired(scenario: &Scenario, state: &State, request: &Request) -> bool {
    let mut later = state.births.iter().skip(request.presented.generation as usize + 1);
    let (next, after) = (later.next(), later.next());
    next.is_some_and(|next| {
        let own = request.nonce == Some(next.nonce) && after.is_none();
        state.now >= next.at + scenario.window && !own
    })
}

fn is_prompt_owner(scenario: &Scenario, request: &Request) -> bool {
    scenario.prompt && request.by == Party::Owner
}

/// What happens in some history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Witness {
    Rotation,
    SameAgain,
    SameSuccessor,
    /// Two have the lock, and one waits for the other's row.
    Competition,
    SecondGeneration,
    /// Thief and owner hold the same successor.
    TwoHolders,
    ThiefFound,
    /// The thief was quicker, and the owner's refresh ends it.
    OwnerFinds,
    Pruning,
    /// An end waits for a rotation.
    EndWaits,
    /// A rotation waits for an end.
    RotationWaits,
    Ended,
    /// A request that ran again found what it had committed.
    OwnCommit,
    NotedDown,
    /// A life was over before anybody noted it down.
    TooLate,
    /// A statement was so slow that the rows of its generation have come and gone meanwhile.
    LateRow,
}

impl Witness {
    /// Its name, and how it is known.
    pub(crate) fn property(self) -> (&'static str, Condition) {
        match self {
            Self::Rotation => ("rotation", |_, state| given(state, How::Rotated)),
            Self::SameAgain => ("the same again", |_, state| given(state, How::SameAgain)),
            Self::SameSuccessor => ("the same successor", |_, state| given(state, How::SameSuccessor)),
            Self::Competition => ("competition", |_, state| {
                some(state, |request| matches!(request.at, Phase::Locked(_)))
                    && some(state, |request| matches!(request.at, Phase::Inserted(_)))
            }),
            Self::SecondGeneration => ("a second generation", |_, state| state.births.len() > 2),
            Self::TwoHolders => {
                ("two holders", |_, state| state.cookie.generation > 0 && state.copy == Some(state.cookie))
            }
            Self::ThiefFound => ("the thief is found", |_, state| found(state, Party::Thief)),
            Self::OwnerFinds => ("the owner finds", |_, state| {
                found(state, Party::Owner) && state.copy.is_some_and(|copy| copy.generation > 0)
            }),
            Self::Pruning => ("pruning", |_, state| state.rows.first().is_some_and(|row| row.generation > 0)),
            Self::EndWaits => ("an end waits", |_, state| {
                matches!(state.ender, Ender::Begun(_))
                    && some(state, |request| matches!(request.at, Phase::Inserted(_)))
            }),
            Self::RotationWaits => ("a rotation waits", |_, state| {
                state.locked_exclusively() && some(state, |request| matches!(request.at, Phase::Begun(_)))
            }),
            Self::Ended => ("ended", |_, state| {
                state.swept && some(state, |request| request.at == Phase::Answered(Answer::Over))
            }),
            Self::OwnCommit => ("its own commit", |_, state| {
                some(state, |request| request.run_again) && given(state, How::SameSuccessor)
            }),
            Self::NotedDown => {
                ("noted down", |_, state| matches!(state.pruner, Pruner::Deleted { locked: true, .. }))
            }
            Self::LateRow => ("a late row", |_, state| {
                let is_late = |row: &Row| state.births[row.generation as usize].secret != row.digest;
                state.rows.iter().any(is_late)
            }),
            Self::TooLate => ("too late", |_, state| {
                !state.ended && some(state, |request| request.at == Phase::Answered(Answer::Over))
            }),
        }
    }
}

fn some(state: &State, is: impl Fn(&Request) -> bool) -> bool {
    state.requests.iter().any(is)
}

fn given(state: &State, how: How) -> bool {
    some(state, |request| matches!(request.at, Phase::Answered(Answer::Given(_, found)) if found == how))
}

fn found(state: &State, by: Party) -> bool {
    state.ended && some(state, |request| request.by == by && request.at == Phase::Answered(Answer::Reused))
}
