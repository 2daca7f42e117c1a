//! The ends of a session, and housekeeping: transactions of several statements, step by step.

use actix_authflow::testing::rule::Seconds;

use super::mutation::Mutation;
use super::promises;
use super::scenario::{MARGIN, MOST, Scenario};
use super::state::{End, Ender, Ending, Pruner, State};

/// One step of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndStep {
    Begin(End),
    Mark,
    Delete,
    Commit,
    RollBack,
}

/// One step of a batch of housekeeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PruneStep {
    Survey,
    Mark,
    Delete,
    Commit,
    RollBack,
}

pub(crate) fn end_steps(scenario: &Scenario, state: &State) -> Vec<EndStep> {
    let mut steps = match &state.ender {
        Ender::Idle => scenario.ends.iter().copied().map(EndStep::Begin).collect(),
        Ender::Begun(_) => {
            let free = !state.locked_exclusively() && !state.locked_shared(scenario.mutation);
            if state.ended || free { vec![EndStep::Mark] } else { Vec::new() }
        }
        Ender::Marked(_) => vec![EndStep::Delete],
        Ender::Deleted(_) => vec![EndStep::Commit],
        Ender::Done => Vec::new(),
    };
    if state.faults_left > 0 && !matches!(state.ender, Ender::Idle | Ender::Done) {
        steps.push(EndStep::RollBack);
    }
    steps
}

pub(crate) fn take_end(scenario: &Scenario, state: &mut State, step: EndStep) {
    let early = matches!(scenario.mutation, Some(Mutation::DeleteFirst | Mutation::OneStatement));
    state.ender = match (step, std::mem::replace(&mut state.ender, Ender::Idle)) {
        (EndStep::Begin(end), _) => {
            let deleted = if early { state.rows.clone() } else { Vec::new() };
            Ender::Begun(Ending { end, locked: false, deleted })
        }
        (EndStep::Mark, Ender::Begun(ending)) => Ender::Marked(Ending { locked: !state.ended, ..ending }),
        (EndStep::Delete, Ender::Marked(mut ending)) => {
            // Of a user's sessions, those that this transaction has marked.
            if !early && (ending.locked || ending.end == End::OfTheSession) {
                ending.deleted.clone_from(&state.rows);
            }
            Ender::Deleted(ending)
        }
        (EndStep::Commit, Ender::Deleted(ending)) => {
            state.ended = true;
            state.user_disabled |= ending.end == End::OfTheUser;
            state.rows.retain(|row| !ending.deleted.contains(row));
            state.swept |= ending.locked || ending.end == End::OfTheSession;
            promises::on_end(state);
            Ender::Done
        }
        (EndStep::RollBack, _) => {
            state.faults_left -= 1;
            Ender::Idle
        }
        (_, other) => other,
    };
}

pub(crate) fn prune_steps(scenario: &Scenario, state: &State) -> Vec<PruneStep> {
    let mut steps = match state.pruner {
        Pruner::Idle if state.passes_left > 0 => match survey(scenario, state) {
            Pruner::Surveyed { over: false, superseded: false, .. } => Vec::new(),
            _ => vec![PruneStep::Survey],
        },
        Pruner::Idle => Vec::new(),
        Pruner::Surveyed { .. } => vec![PruneStep::Mark],
        Pruner::Marked { .. } => vec![PruneStep::Delete],
        Pruner::Deleted { .. } => vec![PruneStep::Commit],
    };
    if state.faults_left > 0 && !matches!(state.pruner, Pruner::Idle) {
        steps.push(PruneStep::RollBack);
    }
    steps
}

pub(crate) fn take_prune(scenario: &Scenario, state: &mut State, step: PruneStep) {
    state.pruner = match (step, std::mem::replace(&mut state.pruner, Pruner::Idle)) {
        (PruneStep::Survey, _) => {
            state.passes_left -= 1;
            survey(scenario, state)
        }
        (PruneStep::Mark, Pruner::Surveyed { began, over, superseded }) => {
            // Whoever has locked the session is not waited for.
            let free = !state.locked_exclusively() && !state.locked_shared(scenario.mutation);
            let stale = scenario.mutation == Some(Mutation::StaleSurvey);
            let locked = over && free && !state.ended && (stale || is_over(scenario, state, began));
            Pruner::Marked { began, locked, superseded }
        }
        (PruneStep::Delete, Pruner::Marked { began, locked, superseded }) => {
            let mut rows = state.rows.clone();
            if scenario.mutation == Some(Mutation::NewestFirst) {
                rows.reverse();
            } else if !locked && !state.ended {
                rows.truncate(needless(scenario, state, began));
            }
            rows.truncate(if locked || superseded { MOST } else { 0 });
            Pruner::Deleted { began, locked, rows }
        }
        (PruneStep::Commit, Pruner::Deleted { began, locked, rows }) => {
            if locked {
                promises::on_noted_down(state, is_over(scenario, state, began));
                state.ended = true;
            }
            state.rows.retain(|row| !rows.contains(row));
            Pruner::Idle
        }
        (PruneStep::RollBack, _) => {
            state.faults_left -= 1;
            Pruner::Idle
        }
        (_, other) => other,
    };
}

fn survey(scenario: &Scenario, state: &State) -> Pruner {
    let over = !state.ended && is_over(scenario, state, state.now);
    let superseded =
        if state.ended { !state.rows.is_empty() } else { needless(scenario, state, state.now) > 0 };
    Pruner::Surveyed { began: state.now, over, superseded }
}

fn is_over(scenario: &Scenario, state: &State, moment: Seconds) -> bool {
    let idle_end = state.rows.last().map_or(Seconds::MAX, |newest| newest.expires_at);
    scenario.absolute.min(idle_end) <= moment
}

/// How many of the oldest rows of a live chain nobody needs: those that were replaced a while ago.
fn needless(scenario: &Scenario, state: &State, moment: Seconds) -> usize {
    let kept = if scenario.mutation == Some(Mutation::EarlyPruning) { 0 } else { scenario.window + MARGIN };
    state.rows.iter().skip(1).filter(|row| row.issued_at + kept <= moment).count()
}
