//! The browser client, as the scope serves it.

use super::{Connection, Request};
use crate::support::TestApp;

const SCRIPT: &str = "/auth/client.js";

#[actix_web::test]
async fn the_client_is_served_as_a_script_that_may_be_kept() {
    let app = TestApp::start().await;
    let reply = Connection::to(&app).send(&Request::get(SCRIPT)).expect(200);
    assert_eq!(reply.body, include_str!("../../../client/authflow.js"));
    assert_eq!(reply.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert!(reply.header("cache-control").starts_with("public, max-age="), "{reply:?}");
    reply.without_cookie();
}

#[actix_web::test]
async fn whoever_has_the_client_is_not_sent_it_again() {
    let app = TestApp::start().await;
    let mut connection = Connection::to(&app);
    let first = connection.send(&Request::get(SCRIPT)).expect(200);
    let tag = first.header("etag").to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = connection.send(&Request::get(SCRIPT).header("If-None-Match", &known)).expect(304);
        assert_eq!(again.body, "", "{known}");
        assert_eq!(again.header("etag"), tag);
        assert_eq!(again.header("cache-control"), first.header("cache-control"));
        again.without_cookie();
    }
    for unknown in ["\"other\"", "rubbish", ""] {
        let again = connection.send(&Request::get(SCRIPT).header("If-None-Match", unknown)).expect(200);
        assert_eq!(again.body, first.body, "{unknown}");
    }
}
