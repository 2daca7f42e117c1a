//! A refresh, step by step: what `service/refresh.rs` and the statements of `store/refresh_tokens.rs` do.

use actix_authflow::testing::rule::{self, Row, Seconds, Verdict};

use super::mutation::Mutation;
use super::promises;
use super::scenario::{ATTEMPTS, PATIENCE, Scenario};
use super::state::{Answer, Birth, How, Party, Phase, Request, Snapshot, State, Token};

/// One step of a refresh, or what may happen to it instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Begin,
    Lock,
    Insert,
    Commit,
    LookAgain,
    EndSession,
    Deliver,
    /// The answer does not arrive.
    Lose,
    /// The connection to the database breaks. The statement goes on behind it.
    Break,
    /// The node dies. The statement goes on.
    Die,
    /// The statement for which nobody waits does not go on.
    RollBack,
}

/// What may happen to this request next.
pub(crate) fn steps(scenario: &Scenario, state: &State, request: &Request) -> Vec<Step> {
    let orphan = request.by == Party::Nobody;
    let mut steps = Vec::new();
    steps.extend(next(scenario, state, request));
    if orphan {
        steps.push(Step::RollBack);
    } else if state.faults_left > 0 {
        match request.at {
            Phase::Answered(Answer::Given(..)) => steps.push(Step::Lose),
            Phase::Answered(_) => {}
            _ => steps.extend([Step::Break, Step::Die]),
        }
    }
    steps
}

/// The step that follows, unless it waits for somebody.
fn next(scenario: &Scenario, state: &State, request: &Request) -> Option<Step> {
    let is = |mutation| scenario.mutation == Some(mutation);
    match &request.at {
        Phase::Sent => Some(Step::Begin),
        Phase::Begun(_) => (is(Mutation::NoShareLock) || !state.locked_exclusively()).then_some(Step::Lock),
        Phase::Locked(_) => {
            let competes = |other: &Request| match &other.at {
                Phase::Inserted(row) => row.generation == request.presented.generation + 1,
                _ => false,
            };
            (is(Mutation::NoKey) || !state.requests.iter().any(competes)).then_some(Step::Insert)
        }
        Phase::Inserted(_) => Some(Step::Commit),
        Phase::Looking => Some(Step::LookAgain),
        Phase::Ending => {
            let free = !state.locked_exclusively() && !state.locked_shared(scenario.mutation);
            (state.ended || free).then_some(Step::EndSession)
        }
        Phase::Answered(_) => Some(Step::Deliver),
    }
}

/// Takes the step. The request leaves the state where it is over.
pub(crate) fn take(scenario: &Scenario, state: &mut State, index: usize, step: Step) {
    let mut request = state.requests.remove(index);
    let goes_on = match step {
        Step::Begin => begin(scenario, state, &mut request),
        Step::Lock => lock(scenario, state, &mut request),
        Step::Insert => insert(scenario, state, &mut request),
        Step::Commit => commit(scenario, state, &mut request),
        Step::LookAgain => look_again(scenario, state, &mut request),
        Step::EndSession => end_session(state, &mut request),
        Step::Deliver => deliver(state, &request),
        Step::Lose | Step::Die => {
            state.faults_left -= 1;
            orphan(state, &request);
            false
        }
        Step::Break => run_again(state, &mut request),
        Step::RollBack => false,
    };
    if goes_on {
        if matches!(request.at, Phase::Answered(_)) {
            // Nothing depends on these any more, and states that differ in nothing else are one.
            (request.since, request.attempts, request.nonce) = (None, 0, None);
        }
        state.requests.push(request);
    }
}

/// The statement takes its snapshot.
fn begin(scenario: &Scenario, state: &State, request: &mut Request) -> bool {
    request.since.get_or_insert(state.now);
    let is = |mutation| scenario.mutation == Some(mutation);
    let same = |row: &Row| {
        row.generation == request.presented.generation
            && (is(Mutation::NoDigest) || request.presented.is_of(row))
    };
    let newest = state.rows.last().filter(|newest| same(newest));
    let any = state.rows.iter().find(|row| same(row));
    let head = if is(Mutation::NoNewest) { any } else { newest };
    request.at = Phase::Begun(Snapshot {
        head: head.copied(),
        ended: is(Mutation::NoShareLock) && state.ended,
        user_disabled: state.user_disabled,
    });
    true
}

/// It has waited for the lock, sees the session as it is now, and reads the clock.
fn lock(scenario: &Scenario, state: &mut State, request: &mut Request) -> bool {
    let Phase::Begun(snapshot) = &request.at else { return true };
    let is = |mutation| scenario.mutation == Some(mutation);
    let ended = if is(Mutation::NoShareLock) { snapshot.ended } else { state.ended };
    let alive = |head: &Row| is(Mutation::NoLives) || head.expires_at.min(scenario.absolute) > state.now;
    let rested = |head: &Row| {
        is(Mutation::NoRest) || head.generation == 0 || state.now - head.issued_at >= scenario.window
    };
    let head = snapshot.head.filter(|head| alive(head) && rested(head));
    if !ended && !snapshot.user_disabled && head.is_some() {
        request.at = Phase::Locked(state.now);
        true
    } else {
        no_row(scenario, state, request)
    }
}

/// Whoever had inserted the same generation has committed or is gone.
fn insert(scenario: &Scenario, state: &mut State, request: &mut Request) -> bool {
    let Phase::Locked(clock) = request.at else { return true };
    let generation = request.presented.generation + 1;
    let taken = state.rows.iter().any(|row| row.generation == generation);
    if taken && scenario.mutation != Some(Mutation::NoKey) {
        return no_row(scenario, state, request);
    }
    let nonce = *request.nonce.get_or_insert_with(|| state.fresh_nonce());
    let latest =
        if scenario.mutation == Some(Mutation::LongerLife) { Seconds::MAX } else { scenario.absolute };
    request.at = Phase::Inserted(Row {
        generation,
        digest: request.presented.successor(nonce).secret,
        nonce,
        issued_at: clock,
        expires_at: latest.min(clock + scenario.idle),
    });
    true
}

fn no_row(scenario: &Scenario, state: &mut State, request: &mut Request) -> bool {
    request.at = Phase::Looking;
    if scenario.mutation == Some(Mutation::NoSecondLook) {
        promises::on_reuse(scenario, state, request);
        request.at = Phase::Ending;
    }
    request.by != Party::Nobody
}

fn commit(scenario: &Scenario, state: &mut State, request: &mut Request) -> bool {
    let Phase::Inserted(row) = request.at else { return true };
    promises::on_rotation(scenario, state, request, &row);
    state.rows.push(row);
    state.rows.sort();
    if state.births.len() == row.generation as usize {
        state.births.push(Birth { secret: row.digest, at: row.issued_at, nonce: row.nonce });
    }
    let token = Token { generation: row.generation, secret: row.digest };
    request.at = Phase::Answered(Answer::Given(token, How::Rotated));
    request.by != Party::Nobody
}

/// A fresh snapshot, and the crate's own rule.
fn look_again(scenario: &Scenario, state: &mut State, request: &mut Request) -> bool {
    let is = |mutation| scenario.mutation == Some(mutation);
    let Token { generation, secret } = request.presented;
    let drawn = request.nonce.filter(|_| !is(Mutation::NewNonce));
    let own = drawn.unwrap_or_else(|| state.fresh_nonce());
    let seen = state.seen(scenario, request.presented);
    let mut verdict = rule::decide(generation, secret, own, &seen, scenario.window);
    if let (Verdict::Reused, Some(newest)) = (verdict, seen.newest)
        && is(Mutation::NoWindow)
        && newest.generation == generation + 1
    {
        verdict = Verdict::SameSuccessor(newest.nonce, newest.digest);
    }
    request.at = match verdict {
        Verdict::Rotate if request.attempts + 1 < ATTEMPTS => {
            request.attempts += 1;
            Phase::Sent
        }
        Verdict::Rotate => Phase::Answered(Answer::Unavailable),
        Verdict::SameAgain => Phase::Answered(Answer::Given(request.presented, How::SameAgain)),
        Verdict::SameSuccessor(nonce, digest) => {
            let token = request.presented.successor(if is(Mutation::Fork) { own } else { nonce });
            let known = token.secret == digest || is(Mutation::Fork);
            Phase::Answered(if known { Answer::Given(token, How::SameSuccessor) } else { Answer::Invalid })
        }
        Verdict::Over => Phase::Answered(Answer::Over),
        Verdict::Reused | Verdict::NewerThanDatabase if is(Mutation::ReuseForgotten) => {
            Phase::Answered(Answer::Reused)
        }
        Verdict::Reused | Verdict::NewerThanDatabase => {
            promises::on_reuse(scenario, state, request);
            Phase::Ending
        }
        Verdict::Invalid => Phase::Answered(Answer::Invalid),
    };
    promises::on_look(scenario, state, request);
    true
}

fn end_session(state: &mut State, request: &mut Request) -> bool {
    state.ended = true;
    request.at = Phase::Answered(Answer::Reused);
    request.by != Party::Nobody
}

/// Time has passed: whoever has waited for too long is answered with 503.
pub(crate) fn give_up(scenario: &Scenario, state: &mut State) {
    if scenario.mutation == Some(Mutation::NoDeadline) {
        return;
    }
    let now = state.now;
    let is_late = |request: &Request| {
        let waiting = request.by != Party::Nobody && !matches!(request.at, Phase::Answered(_));
        waiting && request.since.is_some_and(|since| now - since > PATIENCE)
    };
    let (late, others) = std::mem::take(&mut state.requests).into_iter().partition(is_late);
    state.requests = others;
    let late: Vec<Request> = late;
    late.iter().for_each(|request| orphan(state, request));
}

fn deliver(state: &mut State, request: &Request) -> bool {
    if let Phase::Answered(Answer::Given(token, _)) = request.at {
        match request.by {
            Party::Owner => state.cookie = token,
            Party::Thief => state.copy = Some(token),
            Party::Nobody => {}
        }
    }
    false
}

/// The store runs its work again, once, with the same nonce and with what it had concluded.
fn run_again(state: &mut State, request: &mut Request) -> bool {
    state.faults_left -= 1;
    request.nonce.get_or_insert_with(|| state.fresh_nonce());
    orphan(state, request);
    if request.run_again {
        request.at = Phase::Answered(Answer::Unavailable);
        return true;
    }
    (request.run_again, request.attempts) = (true, 0);
    if request.at != Phase::Ending {
        request.at = Phase::Sent;
    }
    true
}

/// What the database does for a request goes on without it.
fn orphan(state: &mut State, request: &Request) {
    if matches!(request.at, Phase::Begun(_) | Phase::Locked(_) | Phase::Inserted(_) | Phase::Ending) {
        let request = request.clone();
        state.requests.push(Request {
            by: Party::Nobody,
            since: None,
            attempts: 0,
            run_again: false,
            ..request
        });
    }
}
