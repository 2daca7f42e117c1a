//! Logins flood in, and everything else goes on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use actix_authflow::UserDraft;
use actix_authflow::testing::internals::wait_for_hashing;
use actix_web::rt::net::TcpStream;
use actix_web::rt::spawn;
use futures_util::future::join_all;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Browser, PASSWORD, TestApp, USUAL_PATIENCE, eventually};

/// A check of passwords that takes until it is let go: the host's hook, in place of a slow hash.
#[derive(Clone, Default)]
struct Slow(Arc<(Mutex<bool>, Condvar, AtomicUsize)>);

impl Slow {
    fn verify(&self) -> bool {
        let (open, opened, entered) = &*self.0;
        entered.fetch_add(1, Ordering::SeqCst);
        drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        true
    }

    fn entered(&self) -> usize {
        self.0.2.load(Ordering::SeqCst)
    }

    fn let_go(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// One connection, and memory for one hash at a time.
async fn app_with(slow: &Slow) -> TestApp {
    let slow = slow.clone();
    let app = TestApp::with(|config| {
        wait_for_hashing(config, USUAL_PATIENCE)
            .database_pool(1)
            .hash_memory(20 << 20)
            // One address could not try so often.
            .login_throttle(false)
            .verify_foreign_hash(move |stored, _| (stored == "slow").then(|| slow.verify()))
    })
    .await;
    let draft = UserDraft::new().email("slow@example.com").password_hash("slow");
    app.auth.create_user(draft).await.unwrap();
    app
}

/// Logins at the same time. Elsewhere than on Linux a process may not have so many connections open.
const FLOOD: usize = if cfg!(target_os = "linux") { 1_000 } else { 100 };

/// Both ends of each connection are in this process, beside those of the other tests.
fn make_room_for_the_flood() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current.is_some_and(|current| current < 4_096) {
            let current = Some(maximum.map_or(4_096, |maximum| maximum.min(4_096)));
            setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
        }
    }
}

#[actix_web::test]
async fn a_flood_of_logins_leaves_refresh_and_guard_alone() {
    make_room_for_the_flood();
    let slow = Slow::default();
    let app = app_with(&slow).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut phone = Browser::mobile_signed_up(&app, "bob@example.com").await;
    let guest = Browser::new(&app);
    let login = |email: &'static str| {
        let mut guest = guest.clone();
        spawn(async move { guest.login(email).await })
    };
    let mut flood = vec![login("slow@example.com")];
    eventually("a password is being checked", async || slow.entered() > 0).await;
    flood.extend((1..FLOOD).map(|_| login("slow@example.com")));
    let flood = spawn(join_all(flood));

    // For as long as it lasts, and that is until the first is told that its turn takes too long.
    let mut rounds = 0;
    while !flood.is_finished() {
        for client in [&mut browser, &mut phone] {
            client.refresh().await.expect(200);
            client.call_api().await.expect(200);
            client.me().await.expect(200);
        }
        rounds += 1;
    }
    phone.logout().await.expect(204);

    assert!(rounds > 1, "{rounds} rounds beside the flood");
    // The others wait for theirs in vain, or find no place to wait.
    for login in flood.await.unwrap() {
        let answer = login.unwrap().refused(503, "overloaded");
        assert!(["1", "2", "3", "4"].contains(&answer.header("retry-after")));
    }
    assert_eq!(slow.entered(), 1, "there is memory for one");
    slow.let_go();
    eventually("there is room again", async || {
        Browser::new(&app).login("slow@example.com").await.status == 200
    })
    .await;
    browser.refresh().await.expect(200);
}

/// Its place is taken for as long as the work goes on, not for as long as somebody waits for the answer.
#[actix_web::test]
async fn a_client_that_hangs_up_does_not_make_room() {
    let slow = Slow::default();
    let app = app_with(&slow).await;
    let mut impatient = TcpStream::connect(app.address()).await.unwrap();
    let body = json!({ "email": "slow@example.com", "password": PASSWORD }).to_string();
    let head = "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    impatient.write_all(request.as_bytes()).await.unwrap();
    eventually("a password is being checked", async || slow.entered() > 0).await;
    // Not merely the end of what is sent, after which an answer would still be welcome.
    impatient.set_zero_linger().unwrap();
    drop(impatient);

    let mut waiting = Browser::new(&app);
    waiting.login("slow@example.com").await.refused(503, "overloaded");

    assert_eq!(slow.entered(), 1);
    slow.let_go();
    eventually("there is room again", async || waiting.login("slow@example.com").await.status == 200).await;
}
