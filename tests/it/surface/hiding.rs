//! `Auth::hide_cookie`: the application does not see the refresh cookie, the scope does.

use std::net::SocketAddr;

use actix_authflow::Auth;
use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpServer, Responder, web};
use serde_json::json;

use super::{Connection, Request};
use crate::support::{Browser, PASSWORD, TestApp};

const COOKIE: &str = "__Host-Http-refresh_token";

/// An application that hides the cookie once, or once more in its own scope, and shows which cookies its handler got.
async fn serve(auth: &Auth, twice: bool) -> (SocketAddr, ServerHandle) {
    let auth = auth.clone();
    let server = HttpServer::new(move || {
        let host = web::scope("/host").route("/cookies", web::get().to(cookies));
        let app = App::new().configure(auth.routes("/auth")).service(host);
        let again = actix_web::middleware::Condition::new(twice, auth.hide_cookie());
        app.wrap(again).wrap(auth.hide_cookie())
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

async fn cookies(request: HttpRequest) -> impl Responder {
    let headers = request.headers().get_all(header::COOKIE);
    let seen: Vec<String> =
        headers.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    web::Json(json!({ "seen": seen, "debug": format!("{request:?}") }))
}

/// Requests block, so they are sent from a thread that the server does not run on.
async fn send(address: SocketAddr, requests: Vec<Request>) -> Vec<super::Reply> {
    let work = move || {
        let mut connection = Connection::to_address(address);
        requests.iter().map(|request| connection.send(request)).collect()
    };
    actix_web::rt::task::spawn_blocking(work).await.unwrap()
}

#[actix_web::test]
async fn handlers_see_every_cookie_but_ours() {
    let app = TestApp::start().await;
    let (address, server) = serve(&app.auth, false).await;
    let request = Request::get("/host/cookies");
    let replies = send(
        address,
        vec![
            request.clone().header("Cookie", format!("a=1; {COOKIE}=rt_secret; b=2")),
            request.clone().header("Cookie", format!("{COOKIE}=rt_secret")),
            request.clone().header("Cookie", "a=1").header("Cookie", format!("{COOKIE}=rt_secret;c=3")),
            request.clone().header("Cookie", format!("{COOKIE}=rt_secret; {COOKIE}=rt_secret")),
            request.clone().header("Cookie", "a=1; b=2"),
            request,
        ],
    )
    .await;
    let expected =
        [json!(["a=1; b=2"]), json!([]), json!(["a=1", "c=3"]), json!([]), json!(["a=1; b=2"]), json!([])];
    for (reply, expected) in replies.iter().zip(expected) {
        assert_eq!(reply.json()["seen"], expected, "{reply:?}");
        assert!(!reply.body.contains("rt_secret"), "{reply:?}");
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn the_scope_works_behind_it() {
    for twice in [false, true] {
        let app = TestApp::start().await;
        let browser = Browser::signed_up(&app, "alice@example.com").await;
        let (address, server) = serve(&app.auth, twice).await;
        let cookie = format!("{COOKIE}={}", browser.refresh_token.as_deref().unwrap());
        let post = |path: &str| Request::new("POST", path).bearer(browser.access_token.as_deref().unwrap());
        let with_body = json!({ "refresh_token": browser.refresh_token });
        let replies = send(
            address,
            vec![
                post("/auth/refresh"),
                post("/auth/refresh").header("Cookie", format!("{cookie}; {cookie}")),
                post("/auth/refresh").header("Cookie", &cookie).header("Cookie", &cookie),
                Request::post("/auth/refresh", with_body).header("Cookie", &cookie),
                post("/auth/refresh").header("Cookie", format!("a=1; {cookie}")),
                post("/auth/logout").header("Cookie", &cookie),
            ],
        )
        .await;
        replies[0].clone().problem(401, "unauthorized");
        for ambiguous in &replies[1..4] {
            ambiguous.clone().problem(400, "invalid_request");
        }
        assert_eq!(replies[4].status, 200, "hidden twice: {twice} {:?}", replies[4]);
        assert!(replies[4].header("set-cookie").starts_with(&format!("{COOKIE}=rt_")));
        assert_eq!(replies[5].status, 204, "{:?}", replies[5]);
        assert_eq!(app.db_live_sessions(), [""; 0]);
        server.stop(false).await;
    }
}

#[actix_web::test]
async fn a_login_behind_it_still_ends_the_session_it_replaces() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let (address, server) = serve(&app.auth, false).await;
    let body = json!({ "email": "alice@example.com", "password": PASSWORD });
    let cookie = format!("{COOKIE}={}", browser.refresh_token.as_deref().unwrap());
    send(address, vec![Request::post("/auth/login", body).header("Cookie", cookie)])
        .await
        .remove(0)
        .expect(200);
    assert_eq!(app.db_session_reason(&browser.session()).as_deref(), Some("replaced"));
    server.stop(false).await;
}
