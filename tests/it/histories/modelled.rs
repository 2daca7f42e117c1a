//! The model of the protocol, taken through one session's history: each request goes to its end before the next one comes.

use actix_authflow::testing::rule::Row;

use super::machine::ends::{self, EndStep};
use super::machine::promises::Promise;
use super::machine::refresh::{self, Step};
use super::machine::scenario::{NOTHING, Scenario};
use super::machine::state::{Answer, End, Ender, Party, Phase, Request, State, Token};
use super::reference::{ABSOLUTE, Expected, IDLE, Seconds, WINDOW};
use super::{Holder, Loss};

/// Seconds of a tick. A generation is kept for a window and a tick in the model, and for a window and a minute by the server:
/// in histories whose times are whole ticks that is the same.
const TICK: Seconds = 100;

pub(super) struct Modelled {
    scenario: Scenario,
    state: State,
}

impl Modelled {
    pub(super) fn started() -> Modelled {
        let [window, idle, absolute] = [WINDOW, IDLE, ABSOLUTE].map(ticks);
        let scenario = Scenario { name: "history", window, idle, absolute, ..NOTHING };
        let state = State::start(&scenario);
        Modelled { scenario, state }
    }

    pub(super) fn pass(&mut self, seconds: Seconds) {
        self.state.now += ticks(seconds);
    }

    /// What a refresh is answered with.
    pub(super) fn refresh(&mut self, holder: Holder, generation: usize, loss: Loss) -> Answer {
        let by = if holder == Holder::Thief { Party::Thief } else { Party::Owner };
        let presented = Token {
            generation: generation.try_into().unwrap(),
            secret: self.state.births[generation].secret,
        };
        let (at, nonce) = (Phase::Sent, None);
        let sent = Request { by, presented, at, nonce, attempts: 0, run_again: false, since: None };
        self.state.requests.push(sent);
        let mut cut = match loss {
            Loss::Before | Loss::After => Some(loss),
            Loss::Nothing | Loss::Answer => None,
        };
        loop {
            // As many as the history brings: each is taken back here.
            self.state.faults_left = 1;
            let place = self.state.requests.iter().position(|request| request.by == by).unwrap();
            let request = self.state.requests[place].clone();
            match (request.at, cut) {
                (Phase::Answered(answer), _) => {
                    let lost = loss == Loss::Answer && matches!(answer, Answer::Given(..));
                    self.take(place, if lost { Step::Lose } else { Step::Deliver });
                    return answer;
                }
                (Phase::Sent, Some(Loss::Before)) => {
                    cut = None;
                    self.take(place, Step::Break);
                }
                (Phase::Inserted(_) | Phase::Looking, Some(Loss::After)) => {
                    cut = None;
                    self.take(place, Step::Break);
                    self.commit_for_nobody();
                }
                _ => self.take(place, self.next(place)),
            }
        }
    }

    fn commit_for_nobody(&mut self) {
        if let Some(place) = self.state.requests.iter().position(|request| request.by == Party::Nobody) {
            self.take(place, Step::Commit);
        }
    }

    /// The step that goes on, which waits for nobody here.
    fn next(&self, place: usize) -> Step {
        let step = refresh::steps(&self.scenario, &self.state, &self.state.requests[place])[0];
        assert!(![Step::Break, Step::Die, Step::Lose].contains(&step), "{:?}", self.state);
        step
    }

    fn take(&mut self, place: usize, step: Step) {
        refresh::take(&self.scenario, &mut self.state, place, step);
    }

    /// By somebody, with its rows.
    pub(super) fn end(&mut self) {
        for step in [EndStep::Begin(End::OfTheSession), EndStep::Mark, EndStep::Delete, EndStep::Commit] {
            assert!(
                self.state.ender == Ender::Idle
                    || ends::end_steps(&self.scenario, &self.state).contains(&step)
            );
            ends::take_end(&self.scenario, &mut self.state, step);
        }
        self.state.ender = Ender::Idle;
    }

    pub(super) fn end_if_live(&mut self) {
        if !self.state.ended {
            self.end();
        }
    }

    /// Batch after batch, until there is nothing to do.
    pub(super) fn prune(&mut self) {
        loop {
            (self.state.passes_left, self.state.faults_left) = (1, 0);
            let Some(step) = ends::prune_steps(&self.scenario, &self.state).first().copied() else { return };
            ends::take_prune(&self.scenario, &mut self.state, step);
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state.ended
    }

    /// The rows, as the reference has them.
    pub(super) fn rows(&self) -> Vec<String> {
        let now = i64::from(self.state.now);
        let row = |row: &Row| {
            let (age, left) = (now - i64::from(row.issued_at), i64::from(row.expires_at) - now);
            format!("{} {age} {left}", row.generation)
        };
        self.state.rows.iter().map(row).collect()
    }

    /// The first promise that does not hold.
    pub(super) fn broken(&self) -> Option<Promise> {
        self.state.broken
    }
}

/// Whether the answer is that of the reference. The model knows that a session is over, and not why.
pub(super) fn is_as(answer: Answer, expected: Expected) -> bool {
    match (answer, expected) {
        (Answer::Given(token, _), Expected::Token(generation)) => token.generation as usize == generation,
        (Answer::Over, Expected::Refused(code)) => {
            ["session_revoked", "refresh_token_expired"].contains(&code)
        }
        (Answer::Reused, Expected::Refused(code)) => code == "refresh_token_reused",
        _ => false,
    }
}

fn ticks(seconds: Seconds) -> u32 {
    assert_eq!(seconds % TICK, 0);
    u32::try_from(seconds / TICK).unwrap()
}
