//! `/doctor`, by which a proxy in front is examined.

use serde_json::json;

use super::{Connection, Request};
use crate::support::TestApp;

async fn examining() -> TestApp {
    TestApp::with(|config| config.doctor(true)).await
}

#[actix_web::test]
async fn nothing_is_told_unless_it_is_asked_for() {
    let app = TestApp::start().await;
    let mut connection = Connection::to(&app);
    connection.send(&Request::get("/auth/doctor")).problem(404, "not_found");
    connection.send(&Request::post("/auth/doctor", "{}")).problem(404, "not_found");
}

#[actix_web::test]
async fn a_caller_is_told_of_the_own_request_and_no_more() {
    let app = examining().await;
    let request = Request::get("/auth/doctor")
        .header("X-Forwarded-For", "192.0.2.66")
        .header("Cookie", "__Host-Http-refresh_token=rt_secret; __Host-Http-authflow_probe=one")
        .header("Cookie", "__Host-Http-authflow_probe=two; other=3");
    let reply = Connection::to(&app).send(&request).expect(200);
    let report = reply.json();
    assert_eq!(report["probes"], json!(["one", "two"]));
    assert_eq!(report["forwarded_for"], "192.0.2.66");
    assert_eq!(report["peer"], "127.0.0.1");
    assert_eq!(report["peer_is_trusted"], false);
    assert_eq!(report["client"], "127.0.0.1", "nobody is believed");
    assert_eq!(report["set_cookie"], reply.header("set-cookie"));
    assert_eq!(reply.header("cache-control"), "no-store");
    let nonce = report["nonce"].as_str().unwrap();
    assert_eq!(
        reply.header("set-cookie"),
        format!("__Host-Http-authflow_probe={nonce}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=60")
    );
    assert!(!reply.body.contains("secret") && !reply.body.contains("other"), "{reply:?}");
}

#[actix_web::test]
async fn a_posted_request_passes_what_every_command_passes() {
    let app = examining().await;
    let mut connection = Connection::to(&app);
    let post = || Request::post("/auth/doctor", "{}");
    connection.send(&post()).expect(200);
    connection.send(&post().header("Origin", "https://evil.example")).problem(403, "csrf_rejected");
    let form = post().without("Content-Type").header("Content-Type", "text/plain");
    connection.send(&form).problem(415, "unsupported_media_type");
    let refused = connection.send(&Request::new("DELETE", "/auth/doctor")).problem(405, "method_not_allowed");
    assert_eq!(refused.header("allow"), "GET, POST");
}
