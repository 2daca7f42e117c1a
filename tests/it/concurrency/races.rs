//! Two operations that meet in the middle of one: a statement is held on the wire while the other comes.

use actix_authflow::{AuthConfig, UserId};
use serde_json::json;

use crate::support::wire::{self, Moment, Proxy, Trap};
use crate::support::{Answer, Browser, PASSWORD, TestApp, eventually};

/// Two nodes on one database, the first of them over a wire.
pub(super) struct Nodes {
    pub(super) wire: Proxy,
    pub(super) wired: TestApp,
    pub(super) direct: TestApp,
}

type Configure = fn(AuthConfig) -> AuthConfig;

/// How refreshes can go: together with others, and each by itself, as where the host is asked for claims.
const WAYS: [Configure; 2] = [|config| config, |config| config.claims(|_| Ok(json!({})))];

impl Nodes {
    pub(super) async fn start() -> Nodes {
        Nodes::beside(TestApp::start().await, |config| config).await
    }

    async fn with(configure: Configure) -> Nodes {
        Nodes::beside(TestApp::with(configure).await, configure).await
    }

    pub(super) async fn beside(direct: TestApp, configure: Configure) -> Nodes {
        let wire = Proxy::to(direct.database_url());
        let wired = direct.node_at(wire.url(), configure).await;
        Nodes { wire, wired, direct }
    }

    /// Starts `first`, holds it at the trap's moment, starts `second`, waits until that has ended or waits for a lock, and
    /// lets both go on.
    pub(super) async fn meet<A: 'static, B: 'static>(
        &self,
        trap: Trap,
        first: impl Future<Output = A> + 'static,
        second: impl Future<Output = B> + 'static,
    ) -> (A, B) {
        let first = actix_web::rt::spawn(first);
        trap.reached().await;
        let second = actix_web::rt::spawn(second);
        eventually("the second operation ends or waits", async || {
            second.is_finished() || self.direct.db_waiting_for_locks() > 0
        })
        .await;
        trap.release();
        (first.await.unwrap(), second.await.unwrap())
    }

    /// Asserts that the session has ended for this reason, with nothing left of its chain, and that neither token does
    /// anything at either node.
    async fn no_survivor(&self, clients: &[&Browser], reason: &str) {
        let session = clients[0].session();
        assert_eq!(self.direct.db_session_reason(&session).as_deref(), Some(reason));
        assert_eq!(self.direct.db_generations(&session), [0; 0]);
        for client in clients {
            for node in [&self.direct, &self.wired] {
                let client = client.at(node);
                eventually("the JWT dies", async || client.call_api().await.status == 401).await;
                client.clone().refresh().await.refused(401, "session_revoked");
            }
        }
    }
}

fn refresh(browser: &Browser, node: &TestApp) -> impl Future<Output = (Browser, Answer)> + 'static {
    let mut browser = browser.at(node);
    async move {
        let answer = browser.refresh().await;
        (browser, answer)
    }
}

fn logout(browser: &Browser, node: &TestApp) -> impl Future<Output = Answer> + 'static {
    let mut browser = browser.at(node);
    async move { browser.logout().await }
}

fn id(browser: &Browser) -> UserId {
    browser.user().parse().unwrap()
}

#[actix_web::test]
async fn a_logout_in_the_middle_of_a_refresh_waits_for_it_and_ends_what_it_added() {
    for way in WAYS {
        let nodes = Nodes::with(way).await;
        let browser = Browser::signed_up(&nodes.direct, "alice@example.com").await;
        let trap = nodes.wire.trap(wire::is_rotation, Moment::HoldBeforeCommit);

        let refreshing = refresh(&browser, &nodes.wired);
        let ((refreshed, answer), ended) =
            nodes.meet(trap, refreshing, logout(&browser, &nodes.direct)).await;

        answer.expect(200);
        ended.expect(204);
        nodes.no_survivor(&[&browser, &refreshed], "logged_out").await;
    }
}

#[actix_web::test]
async fn a_refresh_in_the_middle_of_a_logout_adds_nothing() {
    for way in WAYS {
        let nodes = Nodes::with(way).await;
        let browser = Browser::signed_up(&nodes.direct, "alice@example.com").await;
        let trap = nodes.wire.trap(wire::is_commit, Moment::HoldBefore);

        let ending = logout(&browser, &nodes.wired);
        let (ended, (refreshed, answer)) = nodes.meet(trap, ending, refresh(&browser, &nodes.direct)).await;

        ended.expect(204);
        answer.refused(401, "session_revoked");
        nodes.no_survivor(&[&browser, &refreshed], "logged_out").await;
    }
}

#[actix_web::test]
async fn a_logout_just_before_the_rotation_leaves_nothing_to_rotate() {
    for way in WAYS {
        let nodes = Nodes::with(way).await;
        let browser = Browser::signed_up(&nodes.direct, "alice@example.com").await;
        let trap = nodes.wire.trap(wire::is_rotation, Moment::HoldBefore);

        let refreshing = refresh(&browser, &nodes.wired);
        let ((refreshed, answer), ended) =
            nodes.meet(trap, refreshing, logout(&browser, &nodes.direct)).await;

        ended.expect(204);
        answer.refused(401, "session_revoked");
        nodes.no_survivor(&[&browser, &refreshed], "logged_out").await;
    }
}

fn disable(browser: &Browser, node: &TestApp) -> impl Future<Output = ()> + 'static {
    let (auth, user) = (node.auth.clone(), id(browser));
    async move { auth.disable_user(user).await.unwrap() }
}

#[actix_web::test]
async fn disabling_a_user_in_the_middle_of_a_refresh_ends_what_it_added() {
    for way in WAYS {
        let nodes = Nodes::with(way).await;
        let browser = Browser::signed_up(&nodes.direct, "alice@example.com").await;
        let trap = nodes.wire.trap(wire::is_rotation, Moment::HoldBeforeCommit);

        let refreshing = refresh(&browser, &nodes.wired);
        let ((refreshed, answer), ()) = nodes.meet(trap, refreshing, disable(&browser, &nodes.direct)).await;

        answer.expect(200);
        nodes.no_survivor(&[&browser, &refreshed], "user_disabled").await;
    }
}

#[actix_web::test]
async fn a_refresh_in_the_middle_of_disabling_adds_nothing() {
    // Between the user and the sessions, and after both.
    let moments = [wire::is_end_of_sessions, wire::is_commit];
    for (statement, way) in moments.into_iter().flat_map(|moment| WAYS.map(|way| (moment, way))) {
        let nodes = Nodes::with(way).await;
        let browser = Browser::signed_up(&nodes.direct, "alice@example.com").await;
        let trap = nodes.wire.trap(statement, Moment::HoldBefore);

        let disabling = disable(&browser, &nodes.wired);
        let ((), (refreshed, answer)) = nodes.meet(trap, disabling, refresh(&browser, &nodes.direct)).await;

        assert!(answer.status == 200 || answer.code() == "session_revoked", "{answer:?}");
        nodes.no_survivor(&[&browser, &refreshed], "user_disabled").await;
    }
}

/// What ends every session of a user, and outdates the logins under way.
#[derive(Clone, Copy)]
enum End {
    NewPassword,
    Revocation,
}

const ENDS: [End; 2] = [End::NewPassword, End::Revocation];

fn end_all(end: End, browser: &Browser, node: &TestApp) -> impl Future<Output = ()> + 'static {
    let (auth, user) = (node.auth.clone(), id(browser));
    async move {
        match end {
            End::NewPassword => {
                auth.set_password(user, "quite another horse by now").await.unwrap();
            }
            End::Revocation => drop(auth.revoke_sessions(user).await.unwrap()),
        }
    }
}

fn login(node: &TestApp) -> impl Future<Output = Answer> + 'static {
    let mut browser = Browser::new(node);
    async move { browser.login_with("alice@example.com", PASSWORD).await }
}

/// The password was right when it was checked, and counts no more.
#[actix_web::test]
async fn what_ends_between_check_and_start_of_a_login_lets_nobody_in() {
    for end in ENDS {
        let nodes = Nodes::start().await;
        let browser = Browser::signed_up(&nodes.direct, "alice@example.com").await;
        let trap = nodes.wire.trap(wire::is_start_of_session, Moment::HoldBefore);

        let logging_in = login(&nodes.wired);
        let (answer, ()) = nodes.meet(trap, logging_in, end_all(end, &browser, &nodes.direct)).await;

        answer.refused(401, "invalid_credentials");
        assert_eq!(nodes.direct.db_live_sessions(), [""; 0]);
    }
}

#[actix_web::test]
async fn what_ends_in_the_middle_of_a_login_ends_its_session() {
    for end in ENDS {
        let nodes = Nodes::start().await;
        let browser = Browser::signed_up(&nodes.direct, "alice@example.com").await;
        let trap = nodes.wire.trap(wire::is_start_of_session, Moment::HoldBeforeCommit);

        let logging_in = login(&nodes.wired);
        let (answer, ()) = nodes.meet(trap, logging_in, end_all(end, &browser, &nodes.direct)).await;

        let session = answer.expect(200).session_id();
        assert_eq!(nodes.direct.db_live_sessions(), [""; 0]);
        assert_eq!(nodes.direct.db_generations(&session), [0; 0]);
    }
}

#[actix_web::test]
async fn a_login_in_the_middle_of_the_end_lets_nobody_in() {
    for (end, statement) in ENDS.into_iter().zip([wire::is_end_of_sessions, wire::is_commit]) {
        let nodes = Nodes::start().await;
        let browser = Browser::signed_up(&nodes.direct, "alice@example.com").await;
        let trap = nodes.wire.trap(statement, Moment::HoldBefore);

        let ending = end_all(end, &browser, &nodes.wired);
        let ((), answer) = nodes.meet(trap, ending, login(&nodes.direct)).await;

        answer.refused(401, "invalid_credentials");
        assert_eq!(nodes.direct.db_live_sessions(), [""; 0]);
    }
}
