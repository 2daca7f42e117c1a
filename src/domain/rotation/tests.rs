//! The rule as a table, its priorities, its edges, and what holds whatever comes.

mod properties;

use super::*;

const GRACE: TimeDelta = TimeDelta::seconds(30);
/// The nonce in every stored row; a request's own is another one unless a test says so.
const STORED: Nonce = Nonce([1; 16]);
const OWN: Nonce = Nonce([2; 16]);

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// The digest of the token of a generation; a forged one has another.
fn digest(generation: Generation) -> TokenDigest {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&generation.to_be_bytes());
    TokenDigest(bytes)
}

fn presented(generation: Generation) -> Presented {
    Presented { generation, digest: digest(generation), transport: Transport::Cookie, own_nonce: OWN }
}

/// A row that was added so many milliseconds ago and has a day to live.
fn link(generation: Generation, age: i64) -> Link {
    Link {
        generation,
        digest: digest(generation),
        nonce: STORED,
        issued_at: now() - TimeDelta::milliseconds(age),
        expires_at: now() + TimeDelta::days(1),
    }
}

/// A live chain whose newest row is of this generation and age. The rows of all earlier generations are there as well.
fn chain(newest: Generation, age: i64, presented: Generation) -> Chain {
    Chain {
        now: now(),
        transport: Transport::Cookie,
        revoked: None,
        user_disabled: false,
        expires_at: now() + TimeDelta::days(30),
        newest: Some(link(newest, age)),
        presented: (presented <= newest).then(|| link(presented, age)),
    }
}

fn decide_for(newest: Generation, age: i64, presented_generation: Generation) -> Decision {
    decide(&presented(presented_generation), Some(&chain(newest, age, presented_generation)), GRACE)
}

fn same_successor(generation: Generation) -> Decision {
    Decision::SameSuccessor { nonce: STORED, digest: digest(generation) }
}

const REUSED: Decision = Decision::Refuse(Refusal::Reused);
const NEWER: Decision = Decision::Refuse(Refusal::NewerThanDatabase);

#[test]
fn the_table() {
    for (newest, age, presented, expected) in [
        // The current generation.
        (0, 0, 0, Decision::Rotate),
        (0, 29_999, 0, Decision::Rotate),
        (0, 90_000, 0, Decision::Rotate),
        (1, 0, 1, Decision::SameAgain),
        (1, 29_999, 1, Decision::SameAgain),
        (1, 30_000, 1, Decision::Rotate),
        (7, 30_001, 7, Decision::Rotate),
        (u32::MAX, 90_000, u32::MAX, Decision::Rotate),
        // The previous one.
        (1, 0, 0, same_successor(1)),
        (7, 29_999, 6, same_successor(7)),
        (7, 30_000, 6, REUSED),
        (7, 90_000, 6, REUSED),
        // Older ones, however young the newest is.
        (2, 0, 0, REUSED),
        (7, 0, 5, REUSED),
        (7, 90_000, 5, REUSED),
        (u32::MAX, 0, 0, REUSED),
        // Newer ones.
        (0, 0, 1, NEWER),
        (7, 0, 8, NEWER),
        (7, 90_000, 9, NEWER),
        (0, 0, u32::MAX, NEWER),
    ] {
        assert_eq!(
            decide_for(newest, age, presented),
            expected,
            "newest {newest} of {age} ms, presented {presented}"
        );
    }
}

#[test]
fn a_session_that_is_not_known_is_invalid() {
    assert_eq!(decide(&presented(0), None, GRACE), Decision::Refuse(Refusal::Invalid));
}

#[test]
fn a_session_that_has_ended_gives_nothing_whatever_is_presented() {
    let revoked = |chain: Chain| Chain { revoked: Some(RevocationReason::LoggedOut), ..chain };
    let disabled = |chain: Chain| Chain { user_disabled: true, ..chain };
    let absolute = |chain: Chain| Chain { expires_at: chain.now, ..chain };
    let idle = |chain: Chain| {
        let newest = chain.newest.clone().map(|link| Link { expires_at: chain.now, ..link });
        Chain { newest, ..chain }
    };
    type Ended<'a> = (&'a dyn Fn(Chain) -> Chain, Refusal);
    let ended: [Ended<'_>; 4] = [
        (&revoked, Refusal::Revoked(RevocationReason::LoggedOut)),
        (&disabled, Refusal::UserDisabled),
        (&absolute, Refusal::Expired),
        (&idle, Refusal::Expired),
    ];
    for (end, refusal) in ended {
        for (newest, age, presented_generation) in
            [(0, 90_000, 0), (3, 0, 3), (3, 90_000, 3), (3, 0, 2), (3, 90_000, 1), (3, 0, 9)]
        {
            let chain = end(chain(newest, age, presented_generation));
            let decision = decide(&presented(presented_generation), Some(&chain), GRACE);
            assert_eq!(decision, Decision::Refuse(refusal), "{newest} {age} {presented_generation}");
        }
    }
}

/// Of two reasons the one further up in the table is given.
#[test]
fn reasons_have_an_order() {
    let all = Chain {
        revoked: Some(RevocationReason::Idle),
        user_disabled: true,
        expires_at: now() - TimeDelta::days(1),
        presented: Some(Link { digest: digest(99), ..link(3, 0) }),
        ..chain(3, 90_000, 3)
    };
    let not_revoked = Chain { revoked: None, ..all.clone() };
    let enabled = Chain { user_disabled: false, ..not_revoked.clone() };
    let alive = Chain { expires_at: now() + TimeDelta::days(1), ..enabled.clone() };
    let genuine = Chain { presented: Some(link(3, 0)), ..alive.clone() };
    let other_transport = Chain { transport: Transport::Body, ..all.clone() };
    for (chain, expected) in [
        (other_transport, Decision::Refuse(Refusal::Invalid)),
        (all, Decision::Refuse(Refusal::Revoked(RevocationReason::Idle))),
        (not_revoked, Decision::Refuse(Refusal::UserDisabled)),
        (enabled, Decision::Refuse(Refusal::Expired)),
        (alive, REUSED),
        (genuine, Decision::Rotate),
    ] {
        assert_eq!(decide(&presented(3), Some(&chain), GRACE), expected, "{chain:?}");
    }
}

#[test]
fn a_life_ends_at_its_end_and_not_before() {
    let second = TimeDelta::microseconds(1);
    for (absolute, idle, expected) in [
        (now() + second, now() + second, Decision::Rotate),
        (now(), now() + second, Decision::Refuse(Refusal::Expired)),
        (now() + second, now(), Decision::Refuse(Refusal::Expired)),
        (now() - second, now() - second, Decision::Refuse(Refusal::Expired)),
    ] {
        let newest = Some(Link { expires_at: idle, ..link(3, 90_000) });
        let chain = Chain { expires_at: absolute, newest, ..chain(3, 90_000, 3) };
        assert_eq!(decide(&presented(3), Some(&chain), GRACE), expected, "{absolute} {idle}");
    }
}

#[test]
fn the_idle_life_is_that_of_the_newest_row_and_not_of_the_presented_one() {
    let long_over = Some(Link { expires_at: now() - TimeDelta::days(1), ..link(2, 90_000) });
    let chain = Chain { presented: long_over, ..chain(3, 0, 2) };
    assert_eq!(decide(&presented(2), Some(&chain), GRACE), same_successor(3));
}

#[test]
fn a_token_travels_as_its_session_does() {
    for (session, token) in [(Transport::Cookie, Transport::Body), (Transport::Body, Transport::Cookie)] {
        let presented = Presented { transport: token, ..presented(3) };
        let chain = Chain { transport: session, ..chain(3, 90_000, 3) };
        assert_eq!(decide(&presented, Some(&chain), GRACE), Decision::Refuse(Refusal::Invalid));
        let chain = Chain { transport: token, ..chain };
        assert_eq!(decide(&presented, Some(&chain), GRACE), Decision::Rotate);
    }
}

/// A genuine tag over a secret that is not in the row: only who has the server's key can have made it, or the database
/// was forked.
#[test]
fn another_digest_in_the_row_of_the_generation_is_a_copy() {
    for (newest, age, generation) in [(0, 90_000, 0), (3, 90_000, 3), (3, 0, 3), (3, 0, 2), (3, 0, 0)] {
        let forged = Presented { digest: digest(99), ..presented(generation) };
        assert_eq!(
            decide(&forged, Some(&chain(newest, age, generation)), GRACE),
            REUSED,
            "{newest} {generation}"
        );
    }
}

#[test]
fn a_pruned_row_is_not_needed_to_recognise_reuse() {
    for generation in [0, 1, 5] {
        let chain = Chain { presented: None, ..chain(7, 0, generation) };
        assert_eq!(decide(&presented(generation), Some(&chain), GRACE), REUSED, "{generation}");
    }
}

#[test]
fn a_live_session_without_any_row_is_an_older_copy() {
    let chain = Chain { newest: None, presented: None, ..chain(0, 0, 0) };
    assert_eq!(decide(&presented(0), Some(&chain), GRACE), NEWER);
}

#[test]
fn without_a_window_every_token_is_single_use() {
    let decide = |newest, age, generation| {
        decide(&presented(generation), Some(&chain(newest, age, generation)), TimeDelta::zero())
    };
    for age in [0, 1, 90_000] {
        assert_eq!(decide(0, age, 0), Decision::Rotate);
        assert_eq!(decide(3, age, 3), Decision::Rotate, "a window of nothing holds no rotation back");
        assert_eq!(decide(3, age, 2), REUSED);
        assert_eq!(decide(3, age, 1), REUSED);
    }
}

/// The request whose commit was made but whose answer was lost: at any window, it finds its own row.
#[test]
fn ones_own_commit_is_never_reuse() {
    for grace in [TimeDelta::zero(), GRACE] {
        for age in [0, 29_999, 30_000, 90_000] {
            let own = Presented { own_nonce: STORED, ..presented(2) };
            assert_eq!(decide(&own, Some(&chain(3, age, 2)), grace), same_successor(3), "{grace} {age}");
            let older = Presented { own_nonce: STORED, ..presented(1) };
            assert_eq!(decide(&older, Some(&chain(3, age, 1)), grace), REUSED, "only for the predecessor");
        }
    }
}

#[test]
fn only_copies_and_older_databases_end_a_session() {
    assert_eq!(Refusal::Reused.ends_session(), Some(RevocationReason::Reuse));
    assert_eq!(Refusal::NewerThanDatabase.ends_session(), Some(RevocationReason::DatabaseRestored));
    let reasons = [
        Refusal::Invalid,
        Refusal::Expired,
        Refusal::UserDisabled,
        Refusal::Revoked(RevocationReason::Reuse),
    ];
    assert!(reasons.into_iter().all(|refusal| refusal.ends_session().is_none()));
}
