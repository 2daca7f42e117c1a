//! `Auth::hide_cookie`: the application does not see the cookies of this crate, the scope does.

use actix_authflow::Auth;
use actix_web::http::header;
use actix_web::{HttpRequest, Responder, web};
use serde_json::json;

use super::Request;
use super::host::Host;
use crate::support::{Browser, PASSWORD, TestApp};

const COOKIE: &str = "__Host-Http-refresh_token";
const DEVICE_COOKIE: &str = "__Host-Http-device";

/// The scope, and a route that shows which cookies it got.
fn serve(auth: &Auth, hidden: usize) -> Host {
    let clone = auth.clone();
    Host::start(auth, hidden, move |app| {
        app.configure(clone.routes("/auth")).route("/host/cookies", web::get().to(cookies));
    })
}

async fn cookies(request: HttpRequest) -> impl Responder {
    let headers = request.headers().get_all(header::COOKIE);
    let seen: Vec<String> =
        headers.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    web::Json(json!({ "seen": seen, "debug": format!("{request:?}") }))
}

#[actix_web::test]
async fn handlers_see_every_cookie_but_ours() {
    let app = TestApp::start().await;
    let request = || Request::get("/host/cookies");
    for hidden in [1, 2] {
        let host = serve(&app.auth, hidden);
        let replies = host
            .send([
                request().header("Cookie", format!("a=1; {COOKIE}=rt_secret; b=2")),
                request().header("Cookie", format!("{COOKIE}=rt_secret")),
                request().header("Cookie", "a=1").header("Cookie", format!("{COOKIE}=rt_secret;c=3")),
                request().header("Cookie", format!("{COOKIE}=rt_secret; {COOKIE}=rt_secret")),
                request()
                    .header("Cookie", format!("a=1; {DEVICE_COOKIE}=rt_secret; {COOKIE}=rt_secret; b=2")),
                request().header("Cookie", "a=1; b=2"),
                request(),
            ])
            .await;
        let expected = [
            json!(["a=1; b=2"]),
            json!([]),
            json!(["a=1", "c=3"]),
            json!([]),
            json!(["a=1; b=2"]),
            json!(["a=1; b=2"]),
            json!([]),
        ];
        for (reply, expected) in replies.iter().zip(expected) {
            assert_eq!(reply.json()["seen"], expected, "{reply:?}");
            assert!(!reply.body.contains("rt_secret"), "{reply:?}");
        }
        host.stop().await;
    }
}

/// Without the middleware the handler does see it; so the test above would notice.
#[actix_web::test]
async fn what_is_not_hidden_is_seen() {
    let app = TestApp::start().await;
    let host = serve(&app.auth, 0);
    let [reply] =
        host.send([Request::get("/host/cookies").header("Cookie", format!("{COOKIE}=rt_secret"))]).await;
    assert_eq!(reply.json()["seen"], json!([format!("{COOKIE}=rt_secret")]));
    host.stop().await;
}

#[actix_web::test]
async fn a_device_is_known_behind_it() {
    let app = TestApp::start().await;
    let device = Browser::signed_up(&app, "alice@example.com").await.device_token.unwrap();
    for _ in 0..5 {
        Browser::new(&app).login_with("alice@example.com", "wrong").await.refused(401, "invalid_credentials");
    }
    let host = serve(&app.auth, 1);
    let login = Request::post("/auth/login", json!({ "email": "alice@example.com", "password": PASSWORD }));
    let known = login.clone().header("Cookie", format!("{DEVICE_COOKIE}={device}"));
    let [unknown, known] = host.send([login, known]).await;
    unknown.problem(429, "too_many_attempts");
    known.expect(200);
    host.stop().await;
}

#[actix_web::test]
async fn the_scope_works_behind_it() {
    for hidden in [1, 2] {
        let app = TestApp::start().await;
        let browser = Browser::signed_up(&app, "alice@example.com").await;
        let host = serve(&app.auth, hidden);
        let cookie = format!("{COOKIE}={}", browser.refresh_token.as_deref().unwrap());
        let post = |path: &str| Request::new("POST", path).bearer(browser.access_token.as_deref().unwrap());
        let with_body = json!({ "refresh_token": browser.refresh_token });
        let [nothing, twice, two_headers, both, refreshed, logged_out] = host
            .send([
                post("/auth/refresh"),
                post("/auth/refresh").header("Cookie", format!("{cookie}; {cookie}")),
                post("/auth/refresh").header("Cookie", &cookie).header("Cookie", &cookie),
                Request::post("/auth/refresh", with_body).header("Cookie", &cookie),
                post("/auth/refresh").header("Cookie", format!("a=1; {cookie}")),
                post("/auth/logout").header("Cookie", &cookie),
            ])
            .await;
        nothing.problem(401, "unauthorized");
        for ambiguous in [twice, two_headers, both] {
            ambiguous.problem(400, "invalid_request");
        }
        assert!(refreshed.expect(200).header("set-cookie").starts_with(&format!("{COOKIE}=rt_")));
        logged_out.expect(204);
        assert_eq!(app.db_live_sessions(), [""; 0]);
        host.stop().await;
    }
}

#[actix_web::test]
async fn a_login_behind_it_still_ends_the_session_it_replaces() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let host = serve(&app.auth, 1);
    let body = json!({ "email": "alice@example.com", "password": PASSWORD });
    let cookie = format!("{COOKIE}={}", browser.refresh_token.as_deref().unwrap());
    let [reply] = host.send([Request::post("/auth/login", body).header("Cookie", cookie)]).await;
    reply.expect(200);
    assert_eq!(app.db_session_reason(&browser.session()).as_deref(), Some("replaced"));
    host.stop().await;
}

/// Customers and staff, each with a scope and a cookie of their own.
#[actix_web::test]
async fn two_scopes_in_one_application_keep_their_cookies_apart() {
    let app = TestApp::start().await;
    let staff = app.node(|config| config.cookie_name("staff")).await;
    let clones = (app.auth.clone(), staff.auth.clone());
    let host = Host::start(&app.auth, 1, move |service| {
        let staff = web::scope("/office").wrap(clones.1.hide_cookie()).configure(clones.1.routes("/auth"));
        service.service(staff).configure(clones.0.routes("/auth"));
    });
    let (alice, bob) = (
        Browser::signed_up(&app, "alice@example.com").await,
        Browser::signed_up(&app, "bob@example.com").await,
    );
    let cookies = format!(
        "{COOKIE}={}; __Host-Http-staff={}",
        alice.refresh_token.as_deref().unwrap(),
        bob.refresh_token.as_deref().unwrap()
    );
    let refresh = |path: &str, browser: &Browser| {
        Request::new("POST", path).bearer(browser.access_token.as_deref().unwrap()).header("Cookie", &cookies)
    };
    let [customer, employee] =
        host.send([refresh("/auth/refresh", &alice), refresh("/office/auth/refresh", &bob)]).await;
    assert!(customer.expect(200).header("set-cookie").starts_with(COOKIE));
    assert!(employee.expect(200).header("set-cookie").starts_with("__Host-Http-staff="));
    host.stop().await;
}

#[actix_web::test]
async fn two_scopes_side_by_side_judge_by_their_own_keys() {
    let app = TestApp::start().await;
    let staff = app.node(|config| config.cookie_name("staff").audience("staff")).await;
    let clones = (app.auth.clone(), staff.auth.clone());
    let host = Host::start(&app.auth, 0, move |service| {
        service.configure(clones.0.routes("/auth")).configure(clones.1.routes("/office"));
    });
    let (alice, bob) = (
        Browser::signed_up(&app, "alice@example.com").await,
        Browser::signed_up(&staff, "bob@example.com").await,
    );
    for (path, browser, status) in [
        ("/auth/me", &alice, 200),
        ("/office/me", &bob, 200),
        ("/office/me", &alice, 401),
        ("/auth/me", &bob, 401),
    ] {
        let request = Request::new("GET", path).bearer(browser.access_token.as_deref().unwrap());
        let [reply] = host.send([request]).await;
        reply.expect(status);
    }
    host.stop().await;
}
