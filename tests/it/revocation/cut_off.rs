//! A node that does not hear of revocations.

use std::time::Duration;

use actix_authflow::testing::TestCluster;
use actix_authflow::{Error, Guard, Verifier};
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, HttpResponse, web};
use reqwest::Method;

use crate::support::{Answer, Browser, PATIENCE, TestApp, eventually};

const LIMIT: Duration = Duration::from_secs(10);

async fn call(browser: &Browser, path: &str) -> Answer {
    browser.clone().send(browser.bearer(browser.request(Method::GET, path))).await
}

#[actix_web::test]
async fn without_the_database_tokens_are_good_but_where_live_sessions_are_demanded() {
    let mut cluster = TestCluster::new();
    let app = TestApp::at(cluster.url(), |config| config).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let lag = || app.auth.revocation_status().lag;
    eventually("all is well", async || lag() < LIMIT / 2 && app.auth.revocation_status().listening).await;
    call(&browser, "/live").await.expect(200);
    cluster.stop();
    assert!(matches!(app.auth.ready().await, Err(Error::Database(_))));

    // Up to ten seconds a node may not have heard the latest news, and goes on.
    let refused = loop {
        let answer = call(&browser, "/live").await;
        if answer.status != 200 {
            break answer;
        }
        browser.call_api().await.expect(200);
        assert!(lag() < PATIENCE, "nobody is refused");
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(lag() >= LIMIT, "refused after {:?}", lag());
    assert_eq!(refused.refused(503, "storage_unavailable").header("retry-after"), "1");
    browser.call_api().await.expect(200);
    assert!(!app.auth.revocation_status().listening);
    browser.with_access_token("a.b.c").at(&app).call_api().await.refused(401, "token_invalid");

    cluster.start();
    eventually("the node catches up", async || call(&browser, "/live").await.status == 200).await;
    app.auth.ready().await.unwrap();
    assert!(lag() < LIMIT);
    eventually("and listens", async || app.auth.revocation_status().listening).await;
}

/// The pool answers, and still the node is behind.
#[actix_web::test]
async fn a_node_that_reads_no_revocations_is_not_ready() {
    let app = TestApp::with(super::never_polls).await;
    app.auth.ready().await.unwrap();

    eventually("it is too far behind", async || app.auth.revocation_status().lag >= LIMIT).await;

    let refused = app.auth.ready().await.unwrap_err();
    assert!(refused.to_string().contains("revocations were last read"), "{refused}");
    Browser::signed_up(&app, "alice@example.com").await.call_api().await.expect(200);
}

/// It never hears of revocations, so it cannot know, and says so instead of letting everybody in.
#[actix_web::test]
async fn a_service_that_only_verifies_cannot_demand_live_sessions() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let jwks = call(&browser, "/auth/.well-known/jwks.json").await.expect(200).text;
    let guard = Guard::new(Verifier::from_jwks(&jwks, "authflow", "authflow").unwrap());
    let service = App::new()
        .service(web::scope("/any").wrap(guard.clone()).route("", web::get().to(HttpResponse::Ok)))
        .service(web::scope("/live").wrap(guard.require_live()).route("", web::get().to(HttpResponse::Ok)));
    let service = init_service(service).await;
    let bearer = format!("Bearer {}", browser.access_token.unwrap());

    for (path, status) in [("/any", 200), ("/live", 503)] {
        let request = TestRequest::get().uri(path).insert_header(("Authorization", bearer.as_str()));
        let answered = match try_call_service(&service, request.to_request()).await {
            Ok(response) => response.status(),
            Err(refused) => refused.as_response_error().status_code(),
        };
        assert_eq!(answered, status, "{path}");
    }
}
