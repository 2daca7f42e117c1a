//! Hosts with users of their own.

use actix_authflow::{AuthError, Error, ErrorCode, Transport, User, UserDraft, UserId};

use crate::support::{Browser, PASSWORD, TestApp, eventually, jwt, together};

fn id(browser: &Browser) -> UserId {
    browser.user().parse().unwrap()
}

fn draft() -> UserDraft {
    UserDraft::new().email("alice@example.com").password(PASSWORD)
}

#[actix_web::test]
async fn a_user_made_by_the_host_can_log_in() {
    let app = TestApp::start().await;

    let user = app.auth.create_user(draft().roles(["admin"])).await.unwrap();

    let mut browser = Browser::new(&app);
    let answer = browser.login("alice@example.com").await.expect(200);
    assert_eq!(answer.json["user"]["id"], user.id.to_string());
    assert_eq!(jwt::claims(browser.access_token.as_deref().unwrap())["roles"][0], "admin");
}

#[actix_web::test]
async fn a_user_that_cannot_be_made_leaves_nothing() {
    let app = TestApp::start().await;
    app.auth.create_user(draft().external_id("4711")).await.unwrap();
    let before = app.db_snapshot();

    let bob = || UserDraft::new().email("bob@example.com");
    for (wrong, draft) in [("address", draft()), ("id", bob().external_id("4711"))] {
        let refused = app.auth.create_user(draft).await;
        assert!(matches!(refused, Err(Error::Taken)), "{wrong}: {refused:?}");
    }
    let nonsense = [
        UserDraft::new().email("bob"),
        bob().password("short"),
        bob().external_id(""),
        bob().external_id("x".repeat(256)),
        bob().external_id("a\0b"),
        bob().password_hash("x".repeat(1_025)),
    ];
    for draft in nonsense {
        let refused = app.auth.create_user(draft.clone()).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{draft:?}: {refused:?}");
    }
    app.db_unchanged_since(&before);
}

#[actix_web::test]
async fn a_user_by_external_id_is_made_once_however_many_ask() {
    let app = TestApp::start().await;
    let other = app.second_node().await;

    let asked = (0..20).map(|index| {
        let auth = if index % 2 == 0 { app.auth.clone() } else { other.auth.clone() };
        async move { auth.ensure_user("customer-4711").await.unwrap().id }
    });
    let ids = together(asked).await;

    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(app.db_count("SELECT count(*) AS value FROM authflow.users"), 1);
}

#[actix_web::test]
async fn a_host_starts_sessions_for_whom_it_has_authenticated() {
    let app = TestApp::start().await;
    let user = app.auth.ensure_user("customer-4711").await.unwrap();

    for (transport, mut client) in [("cookie", Browser::new(&app)), ("body", Browser::mobile(&app))] {
        let path = format!("/host/login/{}/{transport}", user.id);
        let answer = client.post(&path, &serde_json::json!({})).await.expect(200);

        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.set_cookie().is_some(), transport == "cookie");
        assert_eq!(client.user(), user.id.to_string());
        client.call_api().await.expect(200);
        client.refresh().await.expect(200);
    }
    assert_eq!(app.db_live_sessions().len(), 2);
}

/// The way from a user to the host's own record.
#[actix_web::test]
async fn a_host_finds_its_own_key_wherever_it_gets_a_user() {
    let (heard, hooked) = std::sync::mpsc::channel();
    let claimed = heard.clone();
    let app = TestApp::with(move |config| {
        config
            .on_registration(move |_, user| {
                let _ = heard.send(user.external_id.clone());
                Ok(())
            })
            .claims(move |subject| {
                let _ = claimed.send(subject.user.external_id.clone());
                Ok(serde_json::json!({}))
            })
    })
    .await;
    let own = |found: &User| assert_eq!(found.external_id.as_deref(), Some("customer-4711"));

    let made = app.auth.create_user(draft().external_id("customer-4711")).await.unwrap();
    own(&made);
    assert_eq!(app.auth.ensure_user("customer-4711").await.unwrap(), made);
    own(app.auth.start_session(made.id, Transport::Body).await.unwrap().user());
    let mut browser = Browser::new(&app);
    let answers = [
        browser.login("alice@example.com").await.expect(200),
        browser.refresh().await.expect(200),
        browser.me().await.expect(200),
    ];
    assert!(answers.iter().all(|answer| !answer.text.contains("4711")), "clients are not told");
    let told: Vec<_> = hooked.try_iter().collect();
    assert_eq!(told.len(), 4, "the registration, and three tokens");
    assert!(told.iter().all(|id| id.as_deref() == Some("customer-4711")), "{told:?}");

    app.auth.disable_user(made.id).await.unwrap();
    assert_eq!(app.auth.find_user(made.id).await.unwrap(), Some(made.clone()));
    for email in ["alice@example.com", "Alice@EXAMPLE.com"] {
        assert_eq!(app.auth.find_user_by_email(email).await.unwrap(), Some(made.clone()), "{email}");
    }
    for nobody in ["bob@example.com", "nonsense"] {
        assert_eq!(app.auth.find_user_by_email(nobody).await.unwrap(), None, "{nobody}");
    }
    app.auth.delete_user(made.id).await.unwrap();
    assert_eq!(app.auth.find_user(made.id).await.unwrap(), None);
    assert_eq!(app.auth.find_user_by_email("alice@example.com").await.unwrap(), None);
}

#[actix_web::test]
async fn no_session_is_started_for_users_who_are_unknown_or_disabled() {
    let app = TestApp::start().await;
    let disabled = app.auth.ensure_user("customer-4711").await.unwrap().id;
    app.auth.disable_user(disabled).await.unwrap();
    let unknown: UserId = uuid::Uuid::now_v7().into();

    for user in [disabled, unknown] {
        let refused = app.auth.start_session(user, Transport::Body).await;
        assert!(matches!(refused, Err(Error::UnknownUser)), "{refused:?}");
    }
    assert_eq!(app.db_live_sessions().len(), 0);
    assert!(matches!(app.auth.disable_user(unknown).await, Err(Error::UnknownUser)));
    assert!(matches!(app.auth.enable_user(unknown).await, Err(Error::UnknownUser)));
    assert!(matches!(app.auth.delete_user(unknown).await, Err(Error::UnknownUser)));
    assert!(matches!(app.auth.set_password(unknown, PASSWORD).await, Err(Error::UnknownUser)));
}

/// What a handler of the host's answers that passes the error on.
#[test]
fn an_error_of_a_call_becomes_an_answer_by_itself() {
    for (error, code, detail) in [
        (Error::UnknownUser, ErrorCode::NotFound, "There is nothing here."),
        (Error::UnknownKey, ErrorCode::NotFound, "There is nothing here."),
        (Error::Taken, ErrorCode::EmailTaken, "This e-mail address has an account."),
        (Error::Invalid("too odd".into()), ErrorCode::InvalidRequest, "Too odd."),
        (Error::Refused, ErrorCode::Forbidden, "This is not allowed."),
        (Error::Overloaded, ErrorCode::Overloaded, "The service is busy; try again."),
        (Error::Database("hunter2".into()), ErrorCode::StorageUnavailable, "try again."),
        (Error::Migration("hunter2".into()), ErrorCode::StorageUnavailable, "try again."),
        (Error::NotMigrated, ErrorCode::StorageUnavailable, "try again."),
        (Error::Internal("hunter2".into()), ErrorCode::StorageUnavailable, "try again."),
    ] {
        let answer = AuthError::from(error);
        assert_eq!(answer.code(), code);
        assert!(answer.to_string().ends_with(detail) && !answer.to_string().contains("hunter2"), "{answer}");
    }
}

#[actix_web::test]
async fn a_new_password_ends_every_session_and_the_old_password() {
    let app = TestApp::start().await;
    let other = app.second_node().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let phone = {
        let mut phone = Browser::mobile(&app);
        phone.login("alice@example.com").await.expect(200);
        phone
    };
    let bob = Browser::signed_up(&app, "bob@example.com").await;

    let new = "quite another horse by now";
    app.auth.set_password(id(&browser), new).await.unwrap();

    for client in [&browser, &phone] {
        client.call_api().await.refused(401, "session_revoked");
        client.clone().refresh().await.refused(401, "session_revoked");
        assert_eq!(app.db_session_reason(&client.session()).as_deref(), Some("password_changed"));
        assert_eq!(app.db_generations(&client.session()), [0; 0]);
        let elsewhere = client.at(&other);
        eventually("the other node hears of it", async || elsewhere.call_api().await.status == 401).await;
    }
    let mut again = Browser::new(&app);
    again.login("alice@example.com").await.refused(401, "invalid_credentials");
    again.login_with("alice@example.com", new).await.expect(200);
    bob.call_api().await.expect(200);
}

#[actix_web::test]
async fn a_disabled_user_is_out_and_comes_back_by_logging_in() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;

    app.auth.disable_user(id(&browser)).await.unwrap();

    browser.call_api().await.refused(401, "session_revoked");
    browser.me().await.refused(401, "session_revoked");
    browser.clone().refresh().await.refused(401, "session_revoked");
    assert_eq!(app.db_session_reason(&browser.session()).as_deref(), Some("user_disabled"));
    let mut again = Browser::new(&app);
    let refused = again.login("alice@example.com").await.refused(401, "invalid_credentials");
    assert_eq!(refused.text, again.login("nobody@example.com").await.text);

    app.auth.enable_user(id(&browser)).await.unwrap();
    browser.clone().refresh().await.refused(401, "session_revoked");
    again.login("alice@example.com").await.expect(200);
}

/// Whose account was taken over is disabled first, gets a new password, and comes back by that alone.
#[actix_web::test]
async fn a_disabled_user_comes_back_with_the_password_that_was_set_meanwhile() {
    let app = TestApp::start().await;
    let alice = app.auth.create_user(draft()).await.unwrap().id;
    let new = "quite another horse by now";

    app.auth.disable_user(alice).await.unwrap();
    let weak = app.auth.set_password(alice, "alice@example.com").await;
    assert!(matches!(weak, Err(Error::Invalid(_))), "the policy knows the address: {weak:?}");
    app.auth.set_password(alice, new).await.unwrap();
    let mut browser = Browser::new(&app);
    browser.login_with("alice@example.com", new).await.refused(401, "invalid_credentials");
    app.auth.enable_user(alice).await.unwrap();

    browser.login("alice@example.com").await.refused(401, "invalid_credentials");
    browser.login_with("alice@example.com", new).await.expect(200);

    app.auth.delete_user(alice).await.unwrap();
    let erased = app.auth.set_password(alice, PASSWORD).await;
    assert!(matches!(erased, Err(Error::UnknownUser)), "{erased:?}");
}

#[actix_web::test]
async fn a_deleted_user_is_out_and_forgotten() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;

    app.auth.delete_user(id(&browser)).await.unwrap();

    browser.call_api().await.refused(401, "session_revoked");
    browser.me().await.refused(401, "session_revoked");
    browser.clone().refresh().await.refused(401, "session_revoked");
    assert_eq!(app.db_session_reason(&browser.session()).as_deref(), Some("user_deleted"));
    assert!(!app.db_snapshot().concat().contains("alice"));
    Browser::new(&app).login("alice@example.com").await.refused(401, "invalid_credentials");
    let newcomer = Browser::signed_up(&app, "alice@example.com").await;
    assert_ne!(newcomer.user(), browser.user());
}

#[actix_web::test]
async fn who_is_disabled_behind_the_nodes_backs_gets_no_further_token() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;

    app.db_execute("UPDATE authflow.users SET disabled_at = now()");

    browser.me().await.refused(401, "session_revoked");
    browser.clone().refresh().await.refused(401, "session_revoked");
    Browser::new(&app).login("alice@example.com").await.refused(401, "invalid_credentials");
}

#[actix_web::test]
async fn a_host_ends_all_sessions_of_a_user_or_one() {
    let app = TestApp::start().await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    let bob = Browser::signed_up(&app, "bob@example.com").await;
    let login = async || {
        let mut browser = Browser::new(&app);
        browser.login("alice@example.com").await.expect(200);
        browser
    };
    let (second, third) = (login().await, login().await);

    app.auth.revoke_session(second.session().parse().unwrap()).await.unwrap();
    second.call_api().await.refused(401, "session_revoked");
    alice.call_api().await.expect(200);

    assert_eq!(app.auth.revoke_sessions(id(&alice)).await.unwrap(), 2);
    for ended in [&alice, &third] {
        ended.call_api().await.refused(401, "session_revoked");
        assert_eq!(app.db_session_reason(&ended.session()).as_deref(), Some("revoked_by_host"));
    }
    assert_eq!(app.db_live_sessions(), [bob.session()]);
    assert_eq!(app.auth.revoke_sessions(id(&alice)).await.unwrap(), 0);
    login().await.call_api().await.expect(200);
}

#[actix_web::test]
async fn new_roles_reach_the_jwt_at_the_next_refresh() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let roles = |browser: &Browser| jwt::claims(browser.access_token.as_deref().unwrap())["roles"].clone();

    app.auth.set_roles(id(&browser), vec!["editor".into(), "admin".into()]).await.unwrap();
    assert_eq!(roles(&browser), serde_json::json!([]));
    browser.refresh().await.expect(200);

    assert_eq!(roles(&browser), serde_json::json!(["editor", "admin"]));
}
