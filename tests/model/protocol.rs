//! The protocol as a model: what may happen next in a state, and what follows.

use stateright::{Model, Property};

use crate::machine::ends::{self, EndStep, PruneStep};
use crate::machine::promises::PROMISES;
use crate::machine::refresh::{self, Step};
use crate::machine::scenario::{PATIENCE, Scenario};
use crate::machine::state::{Party, Phase, Request, State, Token};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The clock of the database goes on.
    Tick,
    /// A client sends what it holds.
    Send(Party),
    /// The thief sends a token of its own making.
    Forge(u32),
    /// The thief copies the cookie.
    Steal,
    /// The refresh at this place goes on.
    Refresh(usize, Step),
    End(EndStep),
    Prune(PruneStep),
}

impl Model for Scenario {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::start(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        if self.lets_time_pass(state) {
            actions.push(Action::Tick);
        }
        self.clients(state, actions);
        for (index, request) in state.requests.iter().enumerate() {
            // Two that are alike lead to the same states.
            if index == 0 || state.requests[index - 1] != *request {
                let steps = refresh::steps(self, state, request);
                actions.extend(steps.into_iter().map(|step| Action::Refresh(index, step)));
            }
        }
        actions.extend(ends::end_steps(self, state).into_iter().map(Action::End));
        actions.extend(ends::prune_steps(self, state).into_iter().map(Action::Prune));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => {
                state.now += 1;
                refresh::give_up(self, &mut state);
            }
            Action::Send(Party::Thief) => send(&mut state, Party::Thief, last.copy?),
            Action::Send(by) => send(&mut state, by, last.cookie),
            Action::Forge(generation) => send(&mut state, Party::Thief, Token::forged(generation)),
            Action::Steal => state.copy = Some(state.cookie),
            Action::Refresh(index, step) => refresh::take(self, &mut state, index, step),
            Action::End(step) => ends::take_end(self, &mut state, step),
            Action::Prune(step) => ends::take_prune(self, &mut state, step),
        }
        state.requests.sort();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Scenario>> {
        let promises = PROMISES.into_iter().map(|(name, holds)| Property::always(name, holds));
        let witnesses = self.witnesses.iter().map(|witness| {
            let (name, happens) = witness.property();
            Property::sometimes(name, happens)
        });
        promises.chain(witnesses).collect()
    }
}

impl Scenario {
    /// Time stops at the horizon, and for an owner who is prompt before the window of a token of theirs is over.
    fn lets_time_pass(&self, state: &State) -> bool {
        let in_time = |token: Token| {
            let replaced = state.replaced_at(token.generation);
            replaced.is_none_or(|moment| state.now + 1 < moment + self.window)
        };
        // Who has been answered waits no longer, although the node may still be at it.
        let waiting = |request: &&Request| request.since.is_none_or(|since| state.now - since <= PATIENCE);
        let mut held = owners(state).filter(waiting).map(|request| request.presented).chain([state.cookie]);
        state.now < self.horizon && (!self.prompt || held.all(in_time))
    }

    fn clients(&self, state: &State, actions: &mut Vec<Action>) {
        if self.thief && state.copy.is_none() {
            actions.push(Action::Steal);
        }
        if state.sends_left == 0 {
            return;
        }
        if owners(state).count() < self.tabs {
            actions.push(Action::Send(Party::Owner));
        }
        if state.copy.is_some() && state.requests.iter().all(|request| request.by != Party::Thief) {
            actions.push(Action::Send(Party::Thief));
            if self.forger {
                actions.extend((0..=state.cookie.generation).map(Action::Forge));
            }
        }
    }
}

fn owners(state: &State) -> impl Iterator<Item = &Request> {
    state.requests.iter().filter(|request| request.by == Party::Owner)
}

fn send(state: &mut State, by: Party, presented: Token) {
    state.sends_left -= 1;
    let (at, nonce) = (Phase::Sent, None);
    state.requests.push(Request { by, presented, at, nonce, attempts: 0, run_again: false, since: None });
}
