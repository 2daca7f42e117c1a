//! Claims: each there, of its type, and for us.

use super::*;

const REQUIRED: [&str; 9] = ["iss", "aud", "sub", "client_id", "sid", "jti", "iat", "exp", "auth_time"];

#[test]
fn every_required_claim_has_to_be_there() {
    let world = World::new(SigningAlgorithm::EdDsa);
    for claim in REQUIRED {
        world.assert_invalid(&world.with_claims(&without(&claims(), claim)), claim);
    }
    assert!(world.at(NOW, &world.with_claims(&without(&claims(), "roles"))).is_ok());
}

/// Every claim we read against every kind of JSON value: what is not of the claim's type is refused and never taken for
/// absent.
#[test]
fn every_claim_has_to_be_of_its_type() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let values = [
        json!(null),
        json!(true),
        json!(5),
        json!(1.5),
        json!(""),
        json!("text"),
        json!([]),
        json!(["text"]),
        json!([5]),
        json!([null]),
        json!({}),
        json!({ "text": "text" }),
    ];
    // Of the right type, and right besides.
    let allowed = [
        ("nbf", json!(5)),
        ("auth_time", json!(5)),
        ("scope", json!("")),
        ("scope", json!("text")),
        ("client_id", json!("text")),
        ("roles", json!([])),
        ("roles", json!(["text"])),
    ];
    for claim in REQUIRED.into_iter().chain(["nbf", "roles", "scope"]) {
        for value in &values {
            let token = world.with_claims(&with(&claims(), claim, value.clone()));
            if allowed.contains(&(claim, value.clone())) {
                assert!(world.at(NOW, &token).is_ok(), "{claim}: {value}");
            } else {
                world.assert_invalid(&token, &format!("{claim}: {value}"));
            }
        }
    }
}

#[test]
fn the_issuer_is_one_string_and_ours_to_the_byte() {
    let world = World::new(SigningAlgorithm::EdDsa);
    for issuer in [
        json!("Issuer"),
        json!("issuer "),
        json!("issuer/"),
        json!("issue"),
        json!(["issuer"]),
        json!(["evil", "issuer"]),
    ] {
        world
            .assert_invalid(&world.with_claims(&with(&claims(), "iss", issuer.clone())), &issuer.to_string());
    }
}

#[test]
fn the_audience_names_us_alone_or_among_others() {
    let world = World::new(SigningAlgorithm::EdDsa);
    for audience in [json!("api"), json!(["api"]), json!(["other", "api"]), json!(["api", "api"])] {
        let token = world.with_claims(&with(&claims(), "aud", audience.clone()));
        assert!(world.at(NOW, &token).is_ok(), "{audience}");
    }
    for audience in [
        json!("API"),
        json!("api "),
        json!("api other"),
        json!(["other"]),
        json!(["api", 5]),
        json!([["api"]]),
        json!({ "api": true }),
        json!(123),
    ] {
        world.assert_invalid(
            &world.with_claims(&with(&claims(), "aud", audience.clone())),
            &audience.to_string(),
        );
    }
}

#[test]
fn ids_are_uuids() {
    let world = World::new(SigningAlgorithm::EdDsa);
    for claim in ["sub", "sid", "jti"] {
        for id in [
            "",
            " ",
            "1",
            "alice",
            "00000000-0000-0000-0000-00000000000",
            "00000000-0000-0000-0000-00000000000g",
        ] {
            world.assert_invalid(
                &world.with_claims(&with(&claims(), claim, id.into())),
                &format!("{claim}: {id}"),
            );
        }
        let control = format!("{}\n", Uuid::from_u128(2));
        world.assert_invalid(&world.with_claims(&with(&claims(), claim, control.into())), claim);
    }
}

#[test]
fn the_client_is_named() {
    let world = World::new(SigningAlgorithm::EdDsa);
    world.assert_invalid(&world.with_claims(&with(&claims(), "client_id", "".into())), "an empty client_id");
}

#[test]
fn claims_of_the_hosts_own_are_kept() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let token = world.with_claims(&with(&claims(), "tenant", json!({ "id": 7, "nothing": null })));
    assert_eq!(world.at(NOW, &token).unwrap().get("tenant"), Some(&json!({ "id": 7, "nothing": null })));
}
