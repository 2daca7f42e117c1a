//! Making keys and changing them, with nobody logged out.

use std::time::Duration;

use actix_authflow::testing::TestDatabase;
use actix_authflow::{Auth, KeyState, RotateKeys, SigningAlgorithm};
use diesel::connection::SimpleConnection as _;
use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::node::{Node, config, db_execute, db_kid, db_pass, db_states, eventually};

#[actix_web::test]
async fn of_eight_nodes_that_start_together_one_makes_the_key() {
    for isolation in ["read committed", "serializable"] {
        let database = TestDatabase::new();
        let set = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = %L', \
                   current_database(), '{}'); END $$";
        db_execute(&database, &set.replace("{}", isolation));

        let nodes = join_all((0..8).map(|_| Auth::connect(config(&database).database_pool(1)))).await;

        assert_eq!(db_states(&database), ["signing"], "{isolation}");
        for node in nodes {
            assert_eq!(node.unwrap().keys().await.unwrap()[0].kid(), db_kid(&database, "signing"));
        }
    }
}

#[actix_web::test]
async fn when_a_key_is_due_eight_nodes_announce_one_successor_and_let_it_sign() {
    let database = TestDatabase::new();
    let nodes = join_all((0..8).map(|_| Auth::connect(config(&database).database_pool(1)))).await;

    // All eight see that it is due, and that somebody else is at it.
    let lock = i64::from_be_bytes(*b"authkeys");
    let mut holder = database.connect();
    holder.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({lock})")).unwrap();
    db_pass(&database, "90 days");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(db_states(&database), ["signing"]);
    holder.batch_execute("COMMIT").unwrap();
    eventually("announced", async || db_states(&database).len() > 1).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(db_states(&database), ["signing", "announced"]);

    let successor = db_kid(&database, "announced");
    db_pass(&database, "1 hour");
    eventually("signing", async || db_kid(&database, "signing") == successor).await;
    assert_eq!(db_states(&database), ["retired", "signing"]);
    drop(nodes);
}

#[actix_web::test]
async fn a_rotation_on_one_node_reaches_the_others_and_logs_nobody_out() {
    let database = TestDatabase::new();
    let (one, other) = (Node::start(config(&database)).await, Node::start(config(&database)).await);
    let before = one.register("a@example.com").await;

    let announced = one.auth.rotate_keys(RotateKeys::Announced).await.unwrap();
    assert_eq!(announced.state(), KeyState::Announced);
    let again = one.auth.rotate_keys(RotateKeys::Announced).await.unwrap();
    assert_eq!(again.kid(), announced.kid());
    eventually("published", async || other.kids().await.len() == 2).await;
    assert_eq!(other.signs_with().await, before.kid());

    db_pass(&database, "1 hour");
    eventually("signing here", async || one.signs_with().await == announced.kid()).await;
    eventually("signing there", async || other.signs_with().await == announced.kid()).await;
    let after = other.refresh(&before).await;
    assert_eq!(after.kid(), announced.kid());
    for node in [&one, &other] {
        assert!(node.accepts(&before.access).await);
        assert!(node.accepts(&after.access).await);
        assert_eq!(node.kids().await, [after.kid(), before.kid()]);
    }
}

#[actix_web::test]
async fn a_rotation_at_once_is_known_everywhere_before_it_signs() {
    let database = TestDatabase::new();
    let (one, other) = (Node::start(config(&database)).await, Node::start(config(&database)).await);

    let key = one.auth.rotate_keys(RotateKeys::Announced).await.unwrap();
    let sooner = one.auth.rotate_keys(RotateKeys::Now).await.unwrap();
    assert_eq!(sooner.kid(), key.kid());
    assert!((sooner.signs_from() - key.created_at()).num_seconds() < 10);
    eventually("known", async || other.kids().await.len() == 2).await;
    assert_eq!(db_kid(&database, "announced"), key.kid());

    eventually("signing", async || one.signs_with().await == key.kid()).await;
    let tokens = one.register("a@example.com").await;
    assert_eq!(tokens.kid(), key.kid());
    assert!(other.accepts(&tokens.access).await);
}

#[actix_web::test]
async fn a_retired_key_verifies_for_as_long_as_a_session_may_live_and_then_goes() {
    let database = TestDatabase::new();
    let node = Node::start(config(&database)).await;
    let tokens = node.register("a@example.com").await;
    node.auth.rotate_keys(RotateKeys::Announced).await.unwrap();
    db_pass(&database, "1 hour");
    eventually("retired", async || db_kid(&database, "retired") == tokens.kid()).await;

    db_pass(&database, "30 days");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(node.accepts(&tokens.access).await);
    let refreshed = node.refresh(&tokens).await;

    db_pass(&database, "1 day");
    eventually("gone", async || node.kids().await.len() == 1).await;
    assert_eq!(db_states(&database), ["signing"]);
    assert_eq!(node.call(&tokens.access).await, (StatusCode::UNAUTHORIZED, "token_invalid".into()));
    assert!(node.accepts(&refreshed.access).await);
}

#[actix_web::test]
async fn another_public_algorithm_is_announced_and_then_signs() {
    let database = TestDatabase::new();
    let old = Node::start(config(&database)).await;
    let tokens = old.register("a@example.com").await;

    let es256 = config(&database).signing_algorithm(SigningAlgorithm::Es256);
    let new = Node::start(es256.clone()).await;
    let _second = Node::start(es256).await;
    let keys = new.auth.keys().await.unwrap();
    let of = |state| keys.iter().find(|key| key.state() == state).unwrap();
    assert_eq!((keys.len(), of(KeyState::Signing).kid()), (2, &*tokens.kid()));
    assert_eq!(of(KeyState::Announced).algorithm(), SigningAlgorithm::Es256);
    assert_eq!(new.signs_with().await, tokens.kid());

    db_pass(&database, "1 hour");
    let successor = of(KeyState::Announced).kid();
    eventually("signing", async || new.signs_with().await == successor).await;
    eventually("signing", async || old.signs_with().await == successor).await;
    assert!(new.accepts(&tokens.access).await);
    let refreshed = old.refresh(&tokens).await;
    assert_eq!(crate::node::part(&refreshed.access, 0)["alg"], "ES256");
    assert!(new.accepts(&refreshed.access).await);
}

#[actix_web::test]
async fn to_hs256_and_back_only_by_force_once_there_are_sessions() {
    let database = TestDatabase::new();
    let hs256 = || config(&database).signing_algorithm(SigningAlgorithm::Hs256);
    // Nobody is logged in yet, so nobody can be logged out.
    drop(Node::start(config(&database)).await);
    drop(Node::start(hs256()).await);
    let node = Node::start(config(&database)).await;
    let tokens = node.register("a@example.com").await;

    let refused = Auth::connect(hs256()).await.err().unwrap().to_string();
    assert!(refused.contains("AUTHFLOW_SIGNING_ALG_FORCE=1"), "{refused}");
    let forced = Node::start(hs256().signing_algorithm_force(true)).await;
    assert_eq!(forced.call(&tokens.access).await.1, "token_invalid");
    assert!(forced.kids().await.is_empty());
    let by_hmac = forced.register("b@example.com").await;
    assert!(Node::start(hs256()).await.accepts(&by_hmac.access).await);

    let refused = Auth::connect(config(&database)).await.err().unwrap().to_string();
    assert!(refused.contains("AUTHFLOW_SIGNING_ALG"), "{refused}");
    let back = Node::start(config(&database).signing_algorithm_force(true)).await;
    assert_eq!(back.call(&by_hmac.access).await.1, "token_invalid");
    let tokens = back.register("c@example.com").await;
    assert!(back.accepts(&tokens.access).await);
}
