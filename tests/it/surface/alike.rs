//! What a failed login tells: nothing but that it failed.

use std::collections::BTreeSet;

use actix_authflow::UserDraft;
use serde_json::json;

use super::{Connection, Reply, Request};
use crate::support::{Browser, PASSWORD, TestApp};

/// Everything in an answer but the time of day, and the identifier, which is another one for each request.
fn shape(reply: &Reply) -> (u16, BTreeSet<(String, String)>, String) {
    let headers =
        reply.headers.iter().filter(|(name, _)| name != "date" && name != "x-request-id").cloned().collect();
    (reply.status, headers, reply.body.clone())
}

#[actix_web::test]
async fn every_failed_login_is_answered_alike() {
    let app = TestApp::start().await;
    Browser::signed_up(&app, "alice@example.com").await;
    let disabled = Browser::signed_up(&app, "disabled@example.com").await;
    app.auth.disable_user(disabled.user().parse().unwrap()).await.unwrap();
    let deleted = Browser::signed_up(&app, "deleted@example.com").await;
    app.auth.delete_user(deleted.user().parse().unwrap()).await.unwrap();
    app.auth.create_user(UserDraft::new().email("no-password@example.com")).await.unwrap();
    let foreign = UserDraft::new().email("foreign@example.com").password_hash("$2b$12$abc");
    app.auth.create_user(foreign).await.unwrap();

    let mut connection = Connection::to(&app);
    let mut login = |email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        connection.send(&Request::post("/auth/login", body)).problem(401, "invalid_credentials")
    };
    let too_long = "x".repeat(2_000);
    let wrong = login("alice@example.com", "not the password");
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    for (email, password) in [
        ("alice@example.com", ""),
        ("alice@example.com", "short"),
        ("alice@example.com", &too_long),
        ("alice@example.com", "A HORSE OF QUITE ANOTHER COLOUR"),
        ("unknown@example.com", PASSWORD),
        ("unknown@example.com", &too_long),
        ("disabled@example.com", PASSWORD),
        ("disabled@example.com", "not the password"),
        ("deleted@example.com", PASSWORD),
        ("no-password@example.com", PASSWORD),
        ("no-password@example.com", ""),
        ("foreign@example.com", PASSWORD),
        ("", PASSWORD),
        ("no address at all", PASSWORD),
        ("' OR 1=1 --", "' OR 1=1 --"),
        ("alice@example.com' --", PASSWORD),
        ("%", PASSWORD),
    ] {
        assert_eq!(shape(&login(email, password)), shape(&wrong), "{email} {password:.20}");
    }
}

/// The e-mail address finds one account however it is typed, and no other account.
#[actix_web::test]
async fn an_address_is_one_account_in_every_spelling() {
    let app = TestApp::start().await;
    Browser::signed_up(&app, "alice@b\u{fc}cher.example").await;
    let mut connection = Connection::to(&app);
    let mut post = |path: &str, email: &str| {
        let body = json!({ "email": email, "password": PASSWORD });
        connection.send(&Request::post(path, body))
    };
    for same in ["ALICE@B\u{fc}cher.example", "alice@bu\u{308}cher.example", "alice@xn--bcher-kva.example"] {
        post("/auth/login", same).expect(200);
        post("/auth/register", same).problem(409, "email_taken");
    }
    for refused in [
        " alice@b\u{fc}cher.example",
        "alice@b\u{fc}cher.example\n",
        "alice\u{ff20}b\u{fc}cher.example",
        "\u{ff41}lice@b\u{fc}cher.example",
        "alice@b\u{fc}cher\u{3002}example",
        "al\u{200b}ice@b\u{fc}cher.example",
        "alice@b\u{fc}cher.example, mallory@example.com",
    ] {
        post("/auth/register", refused).problem(422, "invalid_email");
        post("/auth/login", refused).problem(401, "invalid_credentials");
    }
}

/// Names that a client gives its device are stored and shown to its owner: as one line that shows no other order than it has.
#[actix_web::test]
async fn what_a_client_calls_itself_is_stored_clean_and_short() {
    let app = TestApp::start().await;
    let mut connection = Connection::to(&app);
    let mut stored_as = |user: &str, name: &str, agent: &[u8]| {
        let email = format!("{user}@example.com");
        let body = json!({ "email": email, "password": PASSWORD, "device_name": name });
        let reply = connection.send(&Request::post("/auth/register", body).header("User-Agent", agent));
        let session = reply.expect(201).json()["session_id"].as_str().unwrap().to_owned();
        let column = |name: &str| {
            let sql = format!("SELECT {name} AS value FROM authflow.sessions WHERE id = '{session}'");
            app.db_texts(&sql).remove(0)
        };
        [column("device_name"), column("user_agent")]
    };
    let name = "my\r\n\u{202e}\u{2066}ph\u{7}\u{7f}\u{85}one\u{1b}[2J";
    // What of this a header may hold: a tab, the control characters beyond ASCII, and bytes that are no text.
    let agent = "a\tb\u{85}c\u{9f}d\u{202e}e\u{2069}f".as_bytes();
    let [device_name, user_agent] = stored_as("alice", name, &[agent, b" \xff(X11)"].concat());
    assert_eq!(device_name.as_deref(), Some("myphone[2J"));
    assert_eq!(user_agent.as_deref(), Some("abcdef \u{fffd}(X11)"));

    let long = stored_as("bob", &"\u{20ac}".repeat(1_000), &[b'x'; 1_000]);
    assert_eq!(long, [Some("\u{20ac}".repeat(85)), Some("x".repeat(512))]);

    assert_eq!(stored_as("carol", " \t\u{202e}\u{7f} ", "\u{9f}".as_bytes()), [None, None]);
}
