//! Where the host takes part: at registrations, and in the check of passwords from elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_authflow::{AuthConfig, Error, HashParams, RegistrationError, User, UserDraft};
use diesel::prelude::*;

use crate::support::{Browser, PASSWORD, TestApp};

/// A host with a table of customers, which wants no user of `example.org`, and whose table takes no `broken@example.com`.
fn with_customers(config: AuthConfig) -> AuthConfig {
    config.on_registration(|connection: &mut PgConnection, user: &User| {
        let email = user.email.clone().unwrap_or_default();
        diesel::sql_query("INSERT INTO customers (id, email) VALUES ($1, $2)")
            .bind::<diesel::sql_types::Uuid, _>(user.id.as_uuid())
            .bind::<diesel::sql_types::Text, _>(&email)
            .execute(connection)?;
        if email.ends_with("@example.org") { Err(RegistrationError::Refused) } else { Ok(()) }
    })
}

async fn host_with_customers() -> TestApp {
    let app = TestApp::with(with_customers).await;
    app.db_execute("CREATE TABLE customers (id uuid, email text CHECK (email <> 'broken@example.com'))");
    app
}

fn customers(app: &TestApp) -> Vec<String> {
    let rows = app.db_texts("SELECT id || ' ' || email AS value FROM customers ORDER BY email");
    rows.into_iter().flatten().collect()
}

#[actix_web::test]
async fn the_registration_hook_writes_in_the_same_transaction() {
    let app = host_with_customers().await;

    let alice = Browser::signed_up(&app, "alice@example.com").await;
    let bob = app.auth.create_user(UserDraft::new().email("bob@example.com")).await.unwrap();

    let expected = [format!("{} alice@example.com", alice.user()), format!("{} bob@example.com", bob.id)];
    assert_eq!(customers(&app), expected);
}

#[actix_web::test]
async fn a_refusal_of_the_registration_hook_takes_everything_back() {
    let app = host_with_customers().await;
    let before = app.db_snapshot();

    let answer = Browser::new(&app).register("eve@example.org").await.refused(403, "forbidden");
    let made = app.auth.create_user(UserDraft::new().email("eve@example.org")).await;

    assert!(answer.set_cookie().is_none());
    assert!(matches!(made, Err(Error::Refused)), "{made:?}");
    app.db_unchanged_since(&before);
    assert_eq!(customers(&app), [""; 0]);
}

#[actix_web::test]
async fn a_registration_hook_that_fails_takes_everything_back() {
    let app = host_with_customers().await;
    let before = app.db_snapshot();

    let answer = Browser::new(&app).register("broken@example.com").await;

    let answer = answer.refused(503, "storage_unavailable");
    assert!(!answer.text.contains("customers"), "{answer:?}");
    app.db_unchanged_since(&before);
    Browser::signed_up(&app, "alice@example.com").await;
}

#[actix_web::test]
async fn an_imported_hash_is_verified_by_the_host_once_and_then_replaced() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let app = TestApp::with(|config| {
        config.verify_foreign_hash(move |stored, password| {
            count.fetch_add(1, Ordering::SeqCst);
            Some(password == stored.strip_prefix("plain:")?)
        })
    })
    .await;
    let import =
        |name: &str, hash: String| UserDraft::new().email(format!("{name}@example.com")).password_hash(hash);
    app.auth.create_user(import("alice", format!("plain:{PASSWORD}"))).await.unwrap();
    app.auth.create_user(import("bob", "of a kind that nobody knows".into())).await.unwrap();
    let stored = || {
        let hashes = app.db_texts("SELECT password_hash AS value FROM authflow.users ORDER BY email");
        hashes.into_iter().next().flatten().unwrap()
    };
    let mut browser = Browser::new(&app);

    browser
        .login_with("alice@example.com", "another horse entirely")
        .await
        .refused(401, "invalid_credentials");
    assert!(stored().starts_with("plain:"));
    browser.login("alice@example.com").await.expect(200);
    assert!(stored().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored());

    let so_far = asked.load(Ordering::SeqCst);
    assert_eq!(so_far, 2);
    browser.login("alice@example.com").await.expect(200);
    browser
        .login_with("alice@example.com", "another horse entirely")
        .await
        .refused(401, "invalid_credentials");
    assert_eq!(asked.load(Ordering::SeqCst), so_far);
    browser.login("bob@example.com").await.refused(401, "invalid_credentials");
}

#[actix_web::test]
async fn a_login_strengthens_a_hash_and_ends_no_session() {
    let app = TestApp::start().await;
    let before = Browser::signed_up(&app, "alice@example.com").await;
    let stronger = app.node(|config| config.hash_params(HashParams::new(20_480, 3, 1).unwrap())).await;
    let stored = || {
        let hashes = app.db_texts("SELECT password_hash AS value FROM authflow.users");
        hashes.into_iter().next().flatten().unwrap()
    };
    assert!(stored().contains("m=19456,t=2,"));

    Browser::new(&stronger).login("alice@example.com").await.expect(200);
    let raised = stored();
    assert!(raised.contains("m=20480,t=3,"), "{raised}");

    // A node with the old parameters neither minds nor takes it back.
    Browser::new(&app).login("alice@example.com").await.expect(200);
    assert_eq!(stored(), raised);
    before.clone().refresh().await.expect(200);
    assert_eq!(app.db_live_sessions().len(), 3);
}
