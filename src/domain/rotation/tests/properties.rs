//! What the rule never does, whatever is presented to whatever chain.

use proptest::prelude::*;

use super::*;

const REASONS: [RevocationReason; 3] =
    [RevocationReason::LoggedOut, RevocationReason::Reuse, RevocationReason::PasswordChanged];

/// Any chain at all, and any token, grace window and match of digests.
fn anything() -> impl Strategy<Value = (Presented, Chain, TimeDelta)> {
    let generations = || prop_oneof![0..4_u32, any::<u32>()];
    let offset = || prop_oneof![-100..100_i64, -10_000_000..10_000_000_i64];
    (
        (
            generations(),
            prop::option::weighted(0.9, generations()),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
        ),
        (
            prop::option::weighted(0.2, prop::sample::select(&REASONS[..])),
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.8),
        ),
        (offset(), offset(), offset(), 0..300_i64),
    )
        .prop_map(
            |((token, newest, genuine, own, kept), (revoked, user_disabled, same_transport), times)| {
                let (age, idle, absolute, grace) = times;
                let presented = Presented {
                    digest: digest(if genuine { token } else { token.wrapping_add(1) }),
                    own_nonce: if own { STORED } else { OWN },
                    ..presented(token)
                };
                let newest = newest.map(|newest| Link {
                    issued_at: now() - TimeDelta::seconds(age),
                    expires_at: now() + TimeDelta::seconds(idle),
                    ..link(newest, 0)
                });
                let row = newest.clone().filter(|newest| kept && newest.generation >= token);
                let chain = Chain {
                    now: now(),
                    transport: if same_transport { Transport::Cookie } else { Transport::Body },
                    revoked,
                    user_disabled,
                    expires_at: now() + TimeDelta::seconds(absolute),
                    presented: row.map(|row| Link { generation: token, digest: digest(token), ..row }),
                    newest,
                };
                (presented, chain, TimeDelta::seconds(grace))
            },
        )
}

fn alive(chain: &Chain) -> bool {
    let idle = chain.newest.as_ref().is_none_or(|newest| newest.expires_at > chain.now);
    chain.revoked.is_none() && !chain.user_disabled && chain.expires_at > chain.now && idle
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn something_is_given_only_by_a_live_session_of_the_same_transport((presented, chain, grace) in anything()) {
        if !matches!(decide(&presented, Some(&chain), grace), Decision::Refuse(_)) {
            prop_assert!(alive(&chain));
            prop_assert_eq!(chain.transport, presented.transport);
        }
    }

    #[test]
    fn only_the_newest_generation_rotates((presented, chain, grace) in anything()) {
        if decide(&presented, Some(&chain), grace) == Decision::Rotate {
            let newest = chain.newest.unwrap();
            prop_assert_eq!(newest.generation, presented.generation);
            prop_assert!(newest.generation == 0 || chain.now - newest.issued_at >= grace);
        }
    }

    #[test]
    fn a_token_is_repeated_for_the_newest_and_its_predecessor_only((presented, chain, grace) in anything()) {
        let newest = chain.newest.clone();
        match decide(&presented, Some(&chain), grace) {
            Decision::SameAgain => prop_assert_eq!(newest.unwrap().generation, presented.generation),
            Decision::SameSuccessor { nonce, digest } => {
                let newest = newest.unwrap();
                prop_assert_eq!(newest.generation.checked_sub(presented.generation), Some(1));
                prop_assert_eq!((newest.nonce, newest.digest), (nonce, digest));
                prop_assert!(chain.now - newest.issued_at < grace || nonce == presented.own_nonce);
            }
            Decision::Rotate | Decision::Refuse(_) => {}
        }
    }

    #[test]
    fn a_digest_that_is_not_the_rows_never_gets_anything((presented, chain, grace) in anything()) {
        if chain.presented.as_ref().is_some_and(|row| row.digest != presented.digest) {
            prop_assert!(matches!(decide(&presented, Some(&chain), grace), Decision::Refuse(_)));
        }
    }

    #[test]
    fn what_is_older_than_the_previous_one_ends_a_live_session((presented, chain, grace) in anything()) {
        let older = chain.newest.as_ref().is_some_and(|newest| newest.generation.saturating_sub(presented.generation) > 1);
        if older && alive(&chain) && chain.transport == presented.transport {
            prop_assert_eq!(decide(&presented, Some(&chain), grace), REUSED);
        }
    }

    #[test]
    fn a_session_is_ended_only_while_it_is_alive((presented, chain, grace) in anything()) {
        if let Decision::Refuse(refusal) = decide(&presented, Some(&chain), grace)
            && refusal.ends_session().is_some()
        {
            prop_assert!(alive(&chain) && chain.transport == presented.transport);
        }
    }

    /// Nobody who comes back within the window, with either of the two tokens an honest client can hold, loses the session.
    #[test]
    fn within_the_window_nothing_is_reuse(newest in 1..u32::MAX, age in 0..30_000_i64, back in 0..2_u32) {
        prop_assert!(!matches!(decide_for(newest, age, newest - back), Decision::Refuse(_)));
    }
}
