//! A key that somebody else has.

use std::time::{Duration, Instant};

use actix_authflow::testing::TestDatabase;
use actix_authflow::{Error, RotateKeys};
use reqwest::StatusCode;

use crate::forged::{JWK, JWK_KID, resigned, seed_of_jwk};
use crate::node::{Node, config, db_execute, db_kid, db_pass, db_values, eventually};

const ENDED: &str =
    "SELECT id::text AS value FROM authflow.sessions WHERE revoked_reason = 'key_compromised'";

fn invalid() -> (StatusCode, String) {
    (StatusCode::UNAUTHORIZED, "token_invalid".into())
}

#[actix_web::test]
async fn a_compromised_key_is_refused_everywhere_and_its_sessions_end() {
    let database = TestDatabase::new();
    let (one, other) = (Node::start(config(&database)).await, Node::start(config(&database)).await);
    let tokens = one.register("a@example.com").await;
    let second = other.register("b@example.com").await;

    let start = Instant::now();
    let compromise = async { (one.auth.compromise_key(&tokens.kid()).await.unwrap(), start.elapsed()) };
    let refused = async {
        eventually("refused here", async || one.call(&tokens.access).await == invalid()).await;
        eventually("refused there", async || other.call(&tokens.access).await == invalid()).await;
        start.elapsed()
    };
    let ((ended, answered), refused) = futures_util::future::join(compromise, refused).await;
    assert_eq!(ended, 2);
    // Ten times as long as it should take.
    assert!(refused < Duration::from_secs(20), "refused after {refused:?}, answered after {answered:?}");

    let mut sessions = vec![tokens.session.clone(), second.session.clone()];
    sessions.sort();
    let mut found = db_values(&database, ENDED);
    found.sort();
    assert_eq!(found, sessions);
    for node in [&one, &other] {
        assert_eq!(node.refresh_verdict(&tokens).await, invalid());
        assert_eq!(node.logout_verdict(&tokens.access).await, invalid());
        assert_eq!(node.kids().await, [db_kid(&database, "signing")]);
    }
    let again = other.register("c@example.com").await;
    assert_eq!(again.kid(), db_kid(&database, "signing"));
    assert!(one.accepts(&again.access).await);
}

#[actix_web::test]
async fn sessions_that_have_moved_on_to_another_key_live() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database)).await;
    let moved = node.register("a@example.com").await;
    let stayed = node.register("b@example.com").await;
    node.auth.rotate_keys(RotateKeys::Announced).await.unwrap();
    db_pass(&database, "1 hour");
    eventually("signing", async || node.signs_with().await != moved.kid()).await;
    let refreshed = node.refresh(&moved).await;

    assert_eq!(node.auth.compromise_key(&moved.kid()).await.unwrap(), 1);

    assert_eq!(db_values(&database, ENDED), [stayed.session]);
    assert!(node.accepts(&refreshed.access).await);
    assert_eq!(node.call(&moved.access).await, invalid());
    // The key that signs was not the compromised one, so it goes on.
    assert_eq!(node.signs_with().await, refreshed.kid());
    assert_eq!(node.auth.compromise_key(&moved.kid()).await.unwrap(), 0);
}

#[actix_web::test]
async fn a_retry_across_a_change_of_keys_is_found_by_either_key() {
    for compromised in [0, 1] {
        let database = TestDatabase::new();
        let node = Node::start(config(&database)).await;
        let held = node.register("a@example.com").await;
        let rotated = node.refresh(&held).await;
        node.auth.rotate_keys(RotateKeys::Announced).await.unwrap();
        db_pass(&database, "1 hour");
        eventually("signing", async || node.signs_with().await != held.kid()).await;

        let retried = node.refresh(&held).await;
        assert_eq!(retried.refresh, rotated.refresh);
        assert_ne!(retried.kid(), rotated.kid());
        let kid = [rotated.kid(), retried.kid()][compromised].clone();
        assert_eq!(node.auth.compromise_key(&kid).await.unwrap(), 1, "{compromised}");
        assert_eq!(db_values(&database, ENDED), [held.session]);
    }
}

#[actix_web::test]
async fn a_session_that_a_slow_node_added_meanwhile_ends_as_well() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database)).await;
    let tokens = node.register("a@example.com").await;
    let kid = tokens.kid();

    let compromise = node.auth.compromise_key(&kid);
    let slow = async {
        eventually("ended", async || !db_values(&database, ENDED).is_empty()).await;
        // As a node that has not heard yet would.
        let late = node.register("b@example.com").await;
        let note = format!(
            "UPDATE authflow.refresh_tokens SET signed_by = ARRAY['{kid}'] WHERE session_id = '{}'",
            late.session
        );
        db_execute(&database, &note);
    };
    let (ended, ()) = futures_util::future::join(compromise, slow).await;
    assert_eq!(ended.unwrap(), 2);
}

#[actix_web::test]
async fn a_compromised_key_given_by_hand_gives_way_to_a_stored_one() {
    let database = TestDatabase::new();
    let given = || config(&database).signing_key_jwk(JWK);
    let node = Node::start(given()).await;
    let other = Node::start(given()).await;
    let tokens = node.register("a@example.com").await;
    let forged = resigned(&tokens, &seed_of_jwk(), JWK_KID, 0);
    assert!(other.accepts(&forged.access).await);

    assert_eq!(node.auth.compromise_key(JWK_KID).await.unwrap(), 1);
    for node in [&node, &other] {
        assert_eq!(node.call(&forged.access).await, invalid());
        let tokens = node.register(&format!("{}@example.com", node.kids().await.len())).await;
        assert_eq!(tokens.kid(), db_kid(&database, "signing"));
        db_execute(&database, "UPDATE authflow.users SET email = NULL, email_canonical = NULL");
    }

    let refused = actix_authflow::Auth::connect(given()).await.err().unwrap().to_string();
    assert!(refused.contains("AUTHFLOW_SIGNING_KEY_FILE") && refused.contains("compromised"), "{refused}");
}

#[actix_web::test]
async fn what_is_no_key_cannot_be_compromised() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database)).await;
    assert!(matches!(node.auth.compromise_key("nonsense").await, Err(Error::UnknownKey)));
    let database = TestDatabase::new();
    let hs256 = config(&database).signing_algorithm(actix_authflow::SigningAlgorithm::Hs256);
    let node = Node::start(hs256).await;
    let kid = db_kid(&database, "signing");
    assert!(matches!(node.auth.compromise_key(&kid).await, Err(Error::Invalid(_))));
    assert!(matches!(node.auth.rotate_keys(RotateKeys::Now).await, Err(Error::Invalid(_))));
}
