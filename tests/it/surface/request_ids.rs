//! The identifier of a request, which the answer carries: ours, unless a trusted proxy has given it one.

use actix_authflow::TrustedProxies;

use super::{Connection, Request};
use crate::support::TestApp;

const HEADER: &str = "X-Request-Id";
const GIVEN: &str = "8f3c-A.b_7";

fn asked(with: &[&str]) -> Request {
    with.iter().fold(Request::get("/auth/me"), |request, id| request.header(HEADER, id))
}

/// Of every answer, and never the same twice.
#[actix_web::test]
async fn every_answer_has_an_identifier_of_its_own() {
    let app = TestApp::start().await;
    let mut connection = Connection::to(&app);
    let mut ids = Vec::new();
    for request in [
        Request::get("/auth/me"),
        Request::get("/auth/nowhere"),
        Request::get("/auth/.well-known/jwks.json"),
        Request::new("DELETE", "/auth/login"),
        Request::post("/auth/login", "{"),
        Request::post("/auth/login", r#"{"email":"nobody@example.com","password":"nobody knows it"}"#),
        asked(&[GIVEN]),
    ] {
        let id = connection.send(&request).header("x-request-id").to_owned();
        assert!(id.parse::<uuid::Uuid>().is_ok(), "{id:?} of {request:?}");
        ids.push(id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7);
}

#[actix_web::test]
async fn an_identifier_is_taken_over_from_a_trusted_proxy_if_it_is_well_formed() {
    let proxies = TrustedProxies::parse("127.0.0.1").unwrap();
    let app = TestApp::with(|config| config.trusted_proxies(proxies)).await;
    let mut connection = Connection::to(&app);
    let mut id = |request: &Request| connection.send(request).header("x-request-id").to_owned();
    for given in [GIVEN, "7", &"a".repeat(64)] {
        assert_eq!(id(&asked(&[given])), given);
    }
    for given in ["", " ", "a b", "a,b", "a=b", "a\"b", "a;b", "{a}", "caf\u{e9}", &"a".repeat(65)] {
        let drawn = id(&asked(&[given]));
        assert!(drawn != given && drawn.parse::<uuid::Uuid>().is_ok(), "{drawn:?} for {given:?}");
    }
    for two in [[GIVEN, GIVEN], [GIVEN, "other"]] {
        assert!(id(&asked(&two)).parse::<uuid::Uuid>().is_ok(), "two are none");
    }
}
