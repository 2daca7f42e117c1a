//! Private keys at rest, and the master secret that seals them.

use std::time::Duration;

use actix_authflow::testing::TestDatabase;
use actix_authflow::{Auth, AuthConfig};

use crate::forged::{JWK, JWK_KID, resigned, seed_of_jwk};
use crate::node::{
    Node, OTHER_SECRET, SECRET, config, db_execute, db_kid, db_pass, db_values, eventually, secret,
};

const SEALED: &str = "SELECT encode(sealed_private_key, 'hex') AS value FROM authflow.signing_keys
                      WHERE sealed_private_key IS NOT NULL ORDER BY kid";
const ROWS: &str = "SELECT k::text AS value FROM authflow.signing_keys k ORDER BY kid";

fn with(database: &TestDatabase, current: &str) -> AuthConfig {
    AuthConfig::new(database.url(), secret(current))
}

#[actix_web::test]
async fn a_stored_key_is_of_no_use_without_the_secret() {
    let database = TestDatabase::new();
    drop(Node::start(config(&database)).await);
    let rows = db_values(&database, ROWS);

    let refused = Auth::connect(with(&database, OTHER_SECRET)).await.err().unwrap().to_string();
    for word in ["AUTHFLOW_SECRET", &db_kid(&database, "signing"), "AUTHFLOW_SECRET_PREVIOUS"] {
        assert!(refused.contains(word), "{refused}");
    }
    assert_eq!(db_values(&database, ROWS), rows);
}

#[actix_web::test]
async fn a_change_of_the_secret_seals_the_key_anew_and_logs_nobody_out() {
    let database = TestDatabase::new();
    let node = Node::start(with(&database, SECRET)).await;
    let tokens = node.register("a@example.com").await;
    node.auth.rotate_keys(actix_authflow::RotateKeys::Announced).await.unwrap();
    let before = db_values(&database, SEALED);
    assert_eq!(before.len(), 2);
    // First the new secret is made known, then it becomes the current one.
    let known = Node::start(with(&database, SECRET).secret_previous(secret(OTHER_SECRET))).await;
    assert_eq!(db_values(&database, SEALED), before);
    let current = Node::start(with(&database, OTHER_SECRET).secret_previous(secret(SECRET))).await;
    let after = db_values(&database, SEALED);
    assert!(after.iter().all(|sealed| !before.contains(sealed)));

    for node in [&known, &current] {
        assert!(node.accepts(&tokens.access).await);
    }
    let refreshed = current.refresh(&tokens).await;
    assert_eq!(refreshed.kid(), tokens.kid());
    assert!(known.accepts(&refreshed.access).await);
    let alone = Node::start(with(&database, OTHER_SECRET)).await;
    assert_eq!(db_values(&database, SEALED), after);
    assert_eq!(alone.refresh(&refreshed).await.kid(), tokens.kid());
}

/// Whoever can write into the database, but has no server key, plants no key.
#[actix_web::test]
async fn a_planted_key_verifies_nothing() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database)).await;
    let tokens = node.register("a@example.com").await;
    let forged = resigned(&tokens, &seed_of_jwk(), JWK_KID, 0);
    let jwk = format!(
        r#"{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid":"{JWK_KID}","use":"sig","alg":"EdDSA"}}"#
    );
    db_execute(
        &database,
        &format!(
            "INSERT INTO authflow.signing_keys
                 (kid, algorithm, origin, state, public_jwk, tag, created_at, signs_from, retired_at, expires_at)
             SELECT '{JWK_KID}', 'EdDSA', 'given', 'retired', '{jwk}', tag, now(), now(), now(), now() + interval '1 day'
             FROM authflow.signing_keys"
        ),
    );
    tokio::time::sleep(Duration::from_millis(1_500)).await;

    for node in [&node, &Node::start(config(&database)).await] {
        assert_eq!(node.call(&forged.access).await.1, "token_invalid");
        assert_eq!(node.kids().await, [tokens.kid()]);
    }
    // The same row with the tag that only the nodes can make.
    drop(Node::start(config(&database).signing_key_jwk(JWK)).await);
    eventually("genuine", async || node.accepts(&forged.access).await).await;
}

#[actix_web::test]
async fn the_private_part_is_deleted_when_a_key_retires() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database)).await;
    let first = db_kid(&database, "signing");
    node.auth.rotate_keys(actix_authflow::RotateKeys::Announced).await.unwrap();
    db_pass(&database, "1 hour");
    eventually("retired", async || db_kid(&database, "retired") == first).await;
    assert_eq!(db_values(&database, SEALED).len(), 1);
    // Only its public part is needed for that, so it starts with any secret.
    assert!(Auth::connect(config(&database)).await.is_ok());
}
