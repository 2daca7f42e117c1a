//! Times: integers, bounded, and judged last.

use std::time::Duration;

use super::*;

/// The token with the claim's value put in as text, which can be any JSON number.
fn with_number(world: &World, claim: &str, number: &str) -> String {
    let claims = with(&claims(), claim, json!("@")).to_string().replace("\"@\"", number);
    world.token(&world.header().to_string(), &claims)
}

#[test]
fn times_are_integers_within_the_range_that_every_reader_knows() {
    let world = World::new(SigningAlgorithm::EdDsa);
    for number in [
        "-1",
        "-0",
        "-1800001800",
        "1800001800.0",
        "1800001800.5",
        "18000018e2",
        "1.8000018e9",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "10000000000000000000",
        "1e19",
        "1e400",
        "\"1800001800\"",
    ] {
        for claim in ["exp", "iat", "nbf", "auth_time"] {
            world.assert_invalid(&with_number(&world, claim, number), &format!("{claim}: {number}"));
        }
    }
    assert!(world.at(NOW, &with_number(&world, "exp", "1800001800")).is_ok());
    assert!(world.at(NOW, &with_number(&world, "auth_time", "9007199254740991")).is_ok(), "one below 2^53");
    world.assert_invalid(&with_number(&world, "exp", "9007199254740991"), "a life of millions of years");
}

#[test]
fn a_token_lives_from_a_second_to_a_day() {
    let world = World::new(SigningAlgorithm::EdDsa);
    for life in [1, 1800, MAX_LIFE] {
        assert!(
            world.at(NOW, &world.with_claims(&with(&claims(), "exp", json!(NOW + life)))).is_ok(),
            "{life}"
        );
    }
    for life in [0, -1, -1800, MAX_LIFE + 1, 10 * MAX_LIFE] {
        world.assert_invalid(
            &world.with_claims(&with(&claims(), "exp", json!(NOW + life))),
            &life.to_string(),
        );
    }
}

#[test]
fn a_token_expires_at_its_exp_and_a_leeway() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let (token, exp) = (world.good(), NOW + 1800);
    for now in [NOW, exp - 1, exp, exp + 4] {
        assert!(world.at(now, &token).is_ok(), "{}", now - exp);
    }
    for now in [exp + 5, exp + 6, exp + 1_000_000] {
        assert_eq!(world.at(now, &token).map(drop), Err(TokenRefused::Expired), "{}", now - exp);
    }
}

#[test]
fn the_leeway_is_what_it_is_set_to_up_to_half_a_minute() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let (token, from, until) = (world.good(), NOW, NOW + 1800);
    for (set, leeway) in [(0, 0), (30, 30), (31, 30)] {
        world.rules.set_leeway(Duration::from_secs(set));
        assert_eq!(world.at(until + leeway, &token).map(drop), Err(TokenRefused::Expired), "{set}");
        assert!(world.at(until + leeway - 1, &token).is_ok(), "{set}");
        assert_eq!(world.at(from - leeway - 1, &token).map(drop), Err(TokenRefused::Invalid), "{set}");
        assert!(world.at(from - leeway, &token).is_ok(), "{set}");
    }
}

#[test]
fn a_token_from_the_future_is_refused_beyond_the_leeway() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let (token, not_before) = (world.good(), world.with_claims(&with(&claims(), "nbf", json!(NOW + 100))));
    for (token, from) in [(token, NOW), (not_before, NOW + 100)] {
        for now in [from - 5, from] {
            assert!(world.at(now, &token).is_ok(), "{}", now - from);
        }
        for now in [from - 6, from - 1_000, 0] {
            assert_eq!(world.at(now, &token).map(drop), Err(TokenRefused::Invalid), "{}", now - from);
        }
    }
}

#[test]
fn an_nbf_in_the_past_does_not_hide_an_iat_in_the_future() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let token = world.with_claims(&with(&claims(), "nbf", json!(0)));
    assert_eq!(world.at(NOW - 6, &token).map(drop), Err(TokenRefused::Invalid));
}

#[test]
fn without_the_time_check_every_time_passes_and_nothing_else() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let expired = json!({ "iat": 1, "exp": 2 });
    let future = json!({ "iat": NOW + 1_000_000, "exp": NOW + 1_000_001, "nbf": NOW + 2_000_000 });
    for times in [expired, future] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        assert!(world.verify(&world.with_claims(&claims), TimeCheck::Skipped).is_ok());
        for (claim, value) in [("iss", "other"), ("aud", "other"), ("sub", "nobody"), ("exp", "soon")] {
            let token = world.with_claims(&with(&claims, claim, value.into()));
            assert_eq!(
                world.verify(&token, TimeCheck::Skipped).map(drop),
                Err(TokenRefused::Invalid),
                "{claim}"
            );
        }
    }
}

/// What is wrong with a token is told before that it has expired; who can provoke "expired" holds a genuine one.
#[test]
fn expired_is_a_verdict_on_otherwise_valid_tokens_only() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let late = NOW + 1_000_000;
    assert_eq!(world.at(late, &world.good()).map(drop), Err(TokenRefused::Expired));
    let (signed, signature) =
        world.good().rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let flipped =
        format!("{signed}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    let other_typ = world.with_header(&with(&world.header(), "typ", "rt+jwt".into()));
    let other_issuer = world.with_claims(&with(&claims(), "iss", "other".into()));
    let other_audience = world.with_claims(&with(&claims(), "aud", "other".into()));
    for token in [flipped, other_typ, other_issuer, other_audience] {
        assert_eq!(world.at(late, &token).map(drop), Err(TokenRefused::Invalid));
    }
}
