//! What ends every session of a user leaves none, whatever else of theirs is under way: each way to meet, and then chance.

use std::time::{Duration, Instant};

use actix_authflow::{Auth, UserId};
use actix_web::rt::{spawn, time};
use futures_util::future::join_all;
use serde_json::json;
use uuid::Uuid;

use super::races::Nodes;
use crate::support::wire::{self, Moment, Trap};
use crate::support::{Answer, Browser, PASSWORD, TestApp, eventually};

const OTHER_PASSWORD: &str = "quite another horse by now";

/// Asks for the end of every session of the browser's user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NewPassword,
    Everywhere,
    Disabled,
}

const ENDS: [End; 3] = [End::NewPassword, End::Everywhere, End::Disabled];

/// Answers with the session that replaces them, if one does.
async fn end(how: End, mut browser: Browser, auth: Auth, passwords: [&str; 2]) -> Option<String> {
    let user: UserId = browser.user().parse().unwrap();
    match how {
        End::NewPassword => {
            let answer = browser.change_password(passwords[0], passwords[1]).await;
            Some(answer.expect(200).session_id())
        }
        End::Everywhere => {
            browser.delete("/auth/sessions").await.expect(204);
            None
        }
        End::Disabled => {
            auth.disable_user(user).await.unwrap();
            None
        }
    }
}

/// What may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnderWay {
    Login,
    Refresh,
}

async fn go_on(what: UnderWay, mut browser: Browser, address: String) -> (Answer, Browser) {
    let answer = match what {
        UnderWay::Login => {
            browser = browser.without_refresh_token();
            browser.login(&address).await
        }
        UnderWay::Refresh => browser.refresh().await,
    };
    (answer, browser)
}

/// What the one who came first is about to do when the other one comes.
#[derive(Debug, Clone, Copy)]
enum Meeting {
    /// The login or refresh is, and has asked the database for nothing yet.
    Start,
    /// It has its row and its lock.
    Commit,
    /// The end is, and has the user.
    EndOfSessions,
    /// It has the sessions as well.
    CommitOfTheEnd,
}

const MEETINGS: [Meeting; 4] =
    [Meeting::Start, Meeting::Commit, Meeting::EndOfSessions, Meeting::CommitOfTheEnd];

impl Meeting {
    fn trap(self, what: UnderWay, nodes: &Nodes) -> Trap {
        let statement = match what {
            UnderWay::Login => wire::is_start_of_session,
            UnderWay::Refresh => wire::is_rotation,
        };
        match self {
            Self::Start => nodes.wire.trap(statement, Moment::HoldBefore),
            Self::Commit => nodes.wire.trap(statement, Moment::HoldBeforeCommit),
            Self::EndOfSessions => nodes.wire.trap(wire::is_end_of_sessions, Moment::HoldBefore),
            Self::CommitOfTheEnd => nodes.wire.trap(wire::is_commit, Moment::HoldBefore),
        }
    }
}

fn live_sessions(app: &TestApp, user: &str) -> Vec<String> {
    let sql = format!(
        "SELECT id::text AS value FROM authflow.sessions WHERE user_id = '{user}' AND revoked_at IS NULL"
    );
    app.db_texts(&sql).into_iter().flatten().collect()
}

const TOKENS_OF_ENDED_SESSIONS: &str = "SELECT count(*) AS value FROM authflow.refresh_tokens t
    JOIN authflow.sessions s ON s.id = t.session_id WHERE s.revoked_at IS NOT NULL";

async fn meet(nodes: &Nodes, how: End, what: UnderWay, meeting: Meeting) {
    let case = format!("{how:?}, {what:?}, {meeting:?}");
    let address = format!("{}@example.com", Uuid::new_v4().simple());
    let browser = Browser::signed_up(&nodes.direct, &address).await;
    let user = browser.user();
    // Each has a tab of its own; the one that is held is at the node with the wire.
    let (mut owner, mut other) = (browser.clone(), browser);
    if what == UnderWay::Refresh {
        other = Browser::new(&nodes.direct);
        other.login(&address).await.expect(200);
    }
    let before = other.clone();
    let trap = meeting.trap(what, nodes);
    let passwords = [PASSWORD, OTHER_PASSWORD];
    let (replaced_by, (answer, after)) = match meeting {
        Meeting::Start | Meeting::Commit => {
            let ending = end(how, owner.clone(), nodes.direct.auth.clone(), passwords);
            let (other, ended) = nodes.meet(trap, go_on(what, other.at(&nodes.wired), address), ending).await;
            (ended, other)
        }
        Meeting::EndOfSessions | Meeting::CommitOfTheEnd => {
            owner = owner.at(&nodes.wired);
            let ending = end(how, owner.clone(), nodes.wired.auth.clone(), passwords);
            nodes.meet(trap, ending, go_on(what, other.at(&nodes.direct), address)).await
        }
    };

    assert!([200, 401].contains(&answer.status), "{case}: {answer:?}");
    assert_eq!(live_sessions(&nodes.direct, &user), Vec::from_iter(replaced_by), "{case}");
    assert_eq!(nodes.direct.db_count(TOKENS_OF_ENDED_SESSIONS), 0, "{case}");
    for dead in [&owner, &before, &after] {
        for node in [&nodes.direct, &nodes.wired] {
            let dead = dead.at(node);
            eventually(&case, async || dead.call_api().await.status == 401).await;
            // A login that was refused has none.
            if dead.refresh_token.is_some() {
                dead.clone().refresh().await.refused(401, "session_revoked");
            }
        }
    }
}

#[actix_web::test]
async fn no_login_survives_whatever_ends_all_sessions_at_whichever_moment_they_meet() {
    let nodes = Nodes::start().await;
    for how in ENDS {
        for meeting in MEETINGS {
            meet(&nodes, how, UnderWay::Login, meeting).await;
        }
    }
}

#[actix_web::test]
async fn no_refresh_survives_whatever_ends_all_sessions_at_whichever_moment_they_meet() {
    let nodes = Nodes::start().await;
    for how in ENDS {
        for meeting in MEETINGS {
            meet(&nodes, how, UnderWay::Refresh, meeting).await;
        }
    }
}

/// So many rounds, shared out among users who do not wait for each other.
const ROUNDS: usize = 1_000;
const USERS: usize = 4;

/// How often something came before what ended all sessions, and how often after it.
#[derive(Debug, Default, Clone, Copy)]
struct Order {
    before: usize,
    after: usize,
}

impl Order {
    fn count(&mut self, before: bool) {
        let place = if before { &mut self.before } else { &mut self.after };
        *place += 1;
    }

    fn add(&mut self, other: Self) {
        self.before += other.before;
        self.after += other.after;
    }

    /// Else they hardly ever met.
    fn is_mixed(&self) -> bool {
        self.before.min(self.after) * 20 > self.before + self.after
    }
}

/// Of refreshes and logins.
type Orders = [Order; 2];

#[actix_web::test]
async fn nothing_survives_a_new_password_in_a_thousand_random_rounds() {
    random_rounds(End::NewPassword).await;
}

#[actix_web::test]
async fn nothing_survives_the_end_of_all_sessions_in_a_thousand_random_rounds() {
    random_rounds(End::Everywhere).await;
}

#[actix_web::test]
async fn nothing_survives_a_disabling_in_a_thousand_random_rounds() {
    random_rounds(End::Disabled).await;
}

async fn random_rounds(how: End) {
    // Logins that come too late fail, and many in a row would be throttled.
    let app = TestApp::with(|config| config.login_throttle(false)).await;
    let nodes = [&app, &app.second_node().await];
    let users = (0..USERS).map(|user| rounds_of_one(nodes, format!("user{user}@example.com"), how));
    let mut all = Orders::default();
    for own in join_all(users).await {
        all.iter_mut().zip(own).for_each(|(all, own)| all.add(own));
    }
    assert_eq!(all.map(|order| order.before + order.after), [ROUNDS; 2], "each takes part in every round");
    assert!(all.iter().all(Order::is_mixed), "{all:?}");
}

async fn rounds_of_one(nodes: [&TestApp; 2], address: String, how: End) -> Orders {
    let app = nodes[0];
    let user = Browser::signed_up(app, &address).await.user();
    let path = format!("/host/login/{user}/cookie");
    let mut passwords = [PASSWORD, OTHER_PASSWORD];
    let [mut refreshes, mut logins] = Orders::default();
    // How long each took the last time.
    let [mut ending_takes, mut login_takes] = [Duration::ZERO; 2];
    for round in 0..ROUNDS / USERS {
        let chance = *Uuid::new_v4().as_bytes();
        let node = |byte: usize| nodes[usize::from(chance[byte] % 2)];
        let part = |byte: usize, span: Duration| span.mul_f64(f64::from(chance[byte]) / 255.0);
        let (mut owner, mut refreshing) = (Browser::new(node(1)), Browser::new(node(2)));
        owner.post(&path, &json!({})).await.expect(200);
        refreshing.post(&path, &json!({})).await.expect(200);
        let before = refreshing.session();
        let (mut logging_in, password, own) = (Browser::new(node(3)), passwords[0], address.clone());

        // Each begins at any moment of what the others take, or a bit later.
        let pause = part(0, login_takes.mul_f64(1.5));
        let login_pause = part(9, ending_takes.mul_f64(1.25));
        let refresh_pause = part(11, (pause + ending_takes).mul_f64(1.25));
        let login = spawn(async move {
            time::sleep(login_pause).await;
            let start = Instant::now();
            (logging_in.login_with(&own, password).await, start.elapsed())
        });
        let refresh = spawn(async move {
            time::sleep(refresh_pause).await;
            refreshing.refresh().await
        });
        time::sleep(pause).await;
        let start = Instant::now();
        let replaced_by = end(how, owner, node(1).auth.clone(), passwords).await;
        ending_takes = start.elapsed();
        let ((login, took), refresh) = (login.await.unwrap(), refresh.await.unwrap());

        let case = format!("{address}, round {round}, {how:?}: {login:?}, {refresh:?}");
        assert_eq!(app.db_count(TOKENS_OF_ENDED_SESSIONS), 0, "{case}");
        let mut live = live_sessions(app, &user);
        assert!([200, 401].contains(&refresh.status), "{case}");
        refreshes.count(refresh.status == 200);
        login_takes = took;
        assert!([200, 401].contains(&login.status), "{case}");
        logins.count(login.status == 200 && !live.contains(&login.session_id()));
        if how == End::Everywhere {
            // The same password lets in again whoever comes afterwards.
            live.retain(|session| started_before_the_end_of(app, session, &before));
        }
        assert_eq!(live, Vec::from_iter(replaced_by), "{case}");
        match how {
            End::NewPassword => passwords.swap(0, 1),
            End::Disabled => app.auth.enable_user(user.parse().unwrap()).await.unwrap(),
            End::Everywhere => {}
        }
    }
    [refreshes, logins]
}

fn started_before_the_end_of(app: &TestApp, session: &str, ended: &str) -> bool {
    let sql = format!(
        "SELECT count(*) AS value FROM authflow.sessions one, authflow.sessions other
         WHERE one.id = '{session}' AND other.id = '{ended}' AND one.created_at < other.revoked_at"
    );
    app.db_count(&sql) > 0
}
