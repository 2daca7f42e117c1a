//! Extractors and the guard on routes of the host's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_authflow::{Authenticated, MaybeAuthenticated};
use actix_web::{HttpResponse, Responder, web};

use super::host::Host;
use super::{Reply, Request};
use crate::support::{Browser, TestApp};

async fn maybe(MaybeAuthenticated(user): MaybeAuthenticated) -> impl Responder {
    user.map_or_else(|| "nobody".to_owned(), |user| user.id().to_string())
}

async fn user(user: Authenticated) -> impl Responder {
    format!("{} {} {}", user.id(), user.session_id(), user.has_role("editor"))
}

/// The scope, and routes that ask for a user in every way. Counts how often a handler behind the guard was reached.
fn serve(app: &TestApp, reached: &Arc<AtomicUsize>) -> Host {
    let (auth, reached) = (app.auth.clone(), Arc::clone(reached));
    Host::start(&app.auth, 0, move |service| {
        let reached = Arc::clone(&reached);
        let plain = move || {
            reached.fetch_add(1, Ordering::SeqCst);
            async { HttpResponse::Ok().body("in") }
        };
        let guarded = web::scope("/guarded").wrap(auth.guard()).route("/user", web::get().to(user));
        let guarded = guarded.route("/plain", web::to(plain)).route("/maybe", web::get().to(maybe));
        service
            .configure(auth.routes("/auth"))
            .service(guarded)
            .route("/user", web::get().to(user))
            .route("/maybe", web::get().to(maybe));
    })
}

#[actix_web::test]
async fn a_user_is_found_with_and_without_the_guard() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    app.auth.set_roles(browser.user().parse().unwrap(), vec!["editor".into()]).await.unwrap();
    browser.refresh().await.expect(200);
    let host = serve(&app, &Arc::default());
    let request = |path: &str| Request::get(path).bearer(browser.access_token.as_deref().unwrap());
    let replies = host
        .send(["/user", "/guarded/user", "/maybe", "/guarded/maybe", "/guarded/plain"].map(request))
        .await;
    let [user, guarded_user, maybe, guarded_maybe, plain] = replies.map(|reply| reply.expect(200).body);
    assert_eq!(user, format!("{} {} true", browser.user(), browser.session()));
    assert_eq!(guarded_user, user);
    assert_eq!([&maybe, &guarded_maybe], [&browser.user(); 2]);
    assert_eq!(plain, "in");
    host.stop().await;
}

#[actix_web::test]
async fn nobody_passes_only_where_nobody_is_expected() {
    let app = TestApp::start().await;
    let host = serve(&app, &Arc::default());
    let [maybe, user, guarded_maybe] =
        host.send(["/maybe", "/user", "/guarded/maybe"].map(Request::get)).await;
    assert_eq!(maybe.expect(200).body, "nobody");
    for refused in [user, guarded_maybe] {
        assert_eq!(refused.problem(401, "unauthorized").header("www-authenticate"), "Bearer");
    }
    host.stop().await;
}

/// What an `Option` would swallow: whoever sends a token means to be somebody.
#[actix_web::test]
async fn a_bad_token_is_refused_even_where_none_is_needed() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let host = serve(&app, &Arc::default());
    let send = async |request: Request| -> Reply { host.send([request]).await.into_iter().next().unwrap() };
    for path in ["/maybe", "/user", "/guarded/maybe", "/guarded/user"] {
        send(Request::get(path).bearer("a.b.c")).await.problem(401, "token_invalid");
        let two = Request::get(path).bearer("a.b.c").bearer("a.b.c");
        send(two).await.problem(400, "invalid_request");
        send(Request::get(&format!("{path}?access_token=a"))).await.problem(400, "invalid_request");
    }
    browser.clone().logout().await.expect(204);
    for path in ["/maybe", "/user", "/guarded/maybe", "/guarded/user"] {
        let request = Request::get(path).bearer(browser.access_token.as_deref().unwrap());
        send(request).await.problem(401, "session_revoked");
    }
    host.stop().await;
}

#[actix_web::test]
async fn a_refused_request_never_reaches_a_handler() {
    let app = TestApp::start().await;
    let reached = Arc::default();
    let host = serve(&app, &reached);
    let requests = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "HEAD"];
    for reply in host.send(requests.map(|method| Request::new(method, "/guarded/plain"))).await {
        assert_eq!(reply.status, 401, "{reply:?}");
    }
    host.send([Request::post("/guarded/plain", "{}").bearer("a.b.c")]).await[0]
        .clone()
        .problem(401, "token_invalid");
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    host.stop().await;
}

/// The one thing that a host can forget. It is told in the log, and nobody is let in.
#[actix_web::test]
async fn an_extractor_without_a_verifier_lets_nobody_in() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let host = Host::start(&app.auth, 0, |service| {
        service.route("/user", web::get().to(user)).route("/maybe", web::get().to(maybe));
    });
    for path in ["/user", "/maybe"] {
        let request = Request::get(path).bearer(browser.access_token.as_deref().unwrap());
        let [reply] = host.send([request]).await;
        reply.problem(401, "token_invalid");
    }
    host.stop().await;
}

/// A service that checks tokens only: no routes, no database, the published keys.
#[actix_web::test]
async fn a_verifier_alone_is_enough_for_the_extractors() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let verifier = app.auth.verifier();
    let host = Host::start(&app.auth, 0, move |service| {
        service.app_data(verifier.clone()).route("/user", web::get().to(user));
    });
    let [reply] = host.send([Request::get("/user").bearer(browser.access_token.as_deref().unwrap())]).await;
    reply.expect(200);
    host.stop().await;
}
