//! Keys from elsewhere: given by hand, or derived by versions without the table.

use actix_authflow::testing::TestDatabase;
use actix_authflow::{KeyOrigin, KeyState};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::forged::{JWK, JWK_KID, PEM, derived_seed, resigned, seed_of_jwk};
use crate::node::{Node, SECRET, config, db_execute, db_kid, db_states, eventually};

const LONG_AGO: i64 = -7 * 24 * 60 * 60;

#[actix_web::test]
async fn a_key_given_by_hand_signs_in_place_of_the_stored_one() {
    let database = TestDatabase::new();
    let stored = Node::start(config(&database)).await;
    let before = stored.register("a@example.com").await;

    let given = Node::start(config(&database).signing_key_jwk(JWK)).await;
    let refreshed = given.refresh(&before).await;
    assert_eq!(refreshed.kid(), JWK_KID);
    assert_eq!(db_states(&database), ["retired", "signing"]);
    for node in [&stored, &given] {
        assert!(node.accepts(&before.access).await);
        assert!(node.accepts(&refreshed.access).await);
    }
    // A node that has no file goes on with what it has, until it starts anew.
    assert_eq!(stored.register("b@example.com").await.kid(), before.kid());
    let anew = Node::start(config(&database)).await;
    let key = anew.auth.keys().await.unwrap().pop().unwrap();
    assert_eq!((key.origin(), key.state()), (KeyOrigin::Stored, KeyState::Signing));
    assert!(anew.accepts(&refreshed.access).await);
}

#[actix_web::test]
async fn an_expired_token_of_a_retired_key_is_accepted_at_refresh_and_logout_only() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database).signing_key_jwk(JWK)).await;
    let first = node.register("a@example.com").await;
    let second = node.register("b@example.com").await;
    let node = Node::start(config(&database).signing_key_pem(PEM)).await;
    assert_eq!(db_kid(&database, "retired"), JWK_KID);

    let expired = |tokens| resigned(tokens, &seed_of_jwk(), JWK_KID, LONG_AGO);
    assert_eq!(node.call(&expired(&first).access).await.1, "token_expired");
    let refreshed = node.refresh(&expired(&first)).await;
    assert_eq!(refreshed.kid(), db_kid(&database, "signing"));
    assert!(node.logout_verdict(&expired(&second).access).await.0.is_success());

    node.auth.compromise_key(JWK_KID).await.unwrap();
    assert_eq!(node.refresh_verdict(&expired(&first)).await.1, "token_invalid");
    assert_eq!(node.logout_verdict(&expired(&first).access).await.1, "token_invalid");
    assert!(node.accepts(&refreshed.access).await);
}

#[actix_web::test]
async fn tokens_of_versions_without_the_table_are_good_for_as_long_as_their_sessions() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database)).await;
    let tokens = node.register("a@example.com").await;
    drop(node);
    let seed = derived_seed(SECRET);
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()));
    // The deployment as such a version leaves it.
    db_execute(
        &database,
        "DELETE FROM authflow.signing_keys; UPDATE authflow.refresh_tokens SET signed_by = '{}'",
    );

    let node = Node::start(config(&database)).await;
    let earlier = resigned(&tokens, &seed, &kid, 0);
    assert!(node.accepts(&earlier.access).await);
    let refreshed = node.refresh(&resigned(&tokens, &seed, &kid, LONG_AGO)).await;
    assert_eq!(refreshed.kid(), db_kid(&database, "signing"));
    let keys = node.auth.keys().await.unwrap();
    let derived = keys.iter().find(|key| key.kid() == kid).unwrap();
    assert_eq!((derived.origin(), derived.state()), (KeyOrigin::Derived, KeyState::Retired));
    assert_eq!((derived.expires_at().unwrap() - derived.retired_at().unwrap()).num_days(), 31);

    db_execute(&database, "UPDATE authflow.signing_keys SET expires_at = now() WHERE origin = 'derived'");
    eventually("gone", async || !node.accepts(&earlier.access).await).await;
    assert!(node.accepts(&refreshed.access).await);
}

#[actix_web::test]
async fn a_fresh_database_knows_no_derived_keys() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database)).await;
    assert_eq!(node.kids().await, [db_kid(&database, "signing")]);
}
