//! What was not tried is not counted.

use std::sync::{Arc, Condvar, Mutex};

use actix_authflow::UserDraft;
use actix_authflow::testing::internals::wait_for_hashing;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{Browser, PASSWORD, TestApp, USUAL_PATIENCE, eventually};

/// A password check that goes on until it is let go.
#[derive(Clone, Default)]
struct Slow(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    entered: bool,
    let_go: bool,
}

impl Slow {
    fn verify(&self) -> bool {
        let (state, changed) = &*self.0;
        state.lock().unwrap().entered = true;
        drop(changed.wait_while(state.lock().unwrap(), |state| !state.let_go).unwrap());
        true
    }

    fn let_go(&self) {
        self.0.0.lock().unwrap().let_go = true;
        self.0.1.notify_all();
    }
}

/// An application that hashes one password at a time, and is at it.
async fn busy(slow: &Slow) -> TestApp {
    let check = slow.clone();
    let app = TestApp::with(|config| {
        wait_for_hashing(config, USUAL_PATIENCE)
            .hash_memory(20 << 20)
            .verify_foreign_hash(move |stored, _| (stored == "slow").then(|| check.verify()))
    })
    .await;
    let draft = UserDraft::new().email("slow@example.com").password_hash("slow");
    app.auth.create_user(draft).await.unwrap();
    Browser::signed_up(&app, "alice@example.com").await;
    app.db_execute("DELETE FROM authflow.attempts");
    hang_up(&app, "slow@example.com", async || slow.0.0.lock().unwrap().entered).await;
    app
}

/// Sends a login, and closes the connection as soon as `then` holds.
async fn hang_up(app: &TestApp, email: &str, then: impl AsyncFnMut() -> bool) {
    let mut impatient = TcpStream::connect(app.address()).await.unwrap();
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    let head = "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    impatient.write_all(request.as_bytes()).await.unwrap();
    eventually("the login has come so far", then).await;
    // Not merely the end of what is sent, after which an answer would still be welcome.
    impatient.set_zero_linger().unwrap();
}

#[actix_web::test]
async fn an_attempt_that_never_had_its_turn_is_given_back() {
    let slow = Slow::default();
    let app = busy(&slow).await;
    assert_eq!(app.db_attempts("account_and_address"), 1);
    for _ in 0..2 {
        Browser::new(&app).login("alice@example.com").await.refused(503, "overloaded");
    }
    eventually("both are given back", async || app.db_attempts("address") == 1).await;
    assert_eq!(app.db_attempts("account_and_address"), 1);
    assert_eq!(app.db_attempts("account"), 1);
    slow.let_go();
}

#[actix_web::test]
async fn a_client_that_hangs_up_in_the_queue_has_tried_nothing() {
    let slow = Slow::default();
    let app = busy(&slow).await;
    hang_up(&app, "alice@example.com", async || app.db_attempts("account") == 2).await;
    eventually("it is given back", async || app.db_attempts("account") == 1).await;
    slow.let_go();
}

#[actix_web::test]
async fn a_right_password_whose_client_has_gone_is_no_failure() {
    let slow = Slow::default();
    let app = busy(&slow).await;
    slow.let_go();
    eventually("it is taken back", async || app.db_attempts("account") + app.db_attempts("address") == 0)
        .await;
}
