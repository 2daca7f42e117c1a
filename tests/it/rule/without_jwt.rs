//! Clients that keep the JWT in memory only, and lose it with the page: they refresh with the cookie alone.

use reqwest::Method;

use super::refused_without_a_trace;
use crate::support::{Answer, Browser, TestApp};

async fn app() -> TestApp {
    TestApp::with(|config| config.refresh_requires_access_token(false)).await
}

async fn refresh_with(browser: &mut Browser, headers: &[(&str, &str)]) -> Answer {
    let request = browser.bearer(browser.request(Method::POST, "/auth/refresh"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    browser.send(request).await
}

#[actix_web::test]
async fn the_cookie_alone_is_enough_for_a_page_of_the_same_origin() {
    let app = app().await;
    let origin = app.url("");
    for (index, header) in [("Sec-Fetch-Site", "same-origin"), ("Origin", origin.as_str())].iter().enumerate()
    {
        let mut browser = Browser::signed_up(&app, &format!("alice{index}@example.com")).await;
        let session = browser.session();
        let mut reloaded = browser.without_access_token();

        refresh_with(&mut reloaded, &[*header]).await.expect(200);

        assert_eq!(reloaded.session(), session);
        reloaded.call_api().await.expect(200);
        // With the access token as well, all is as usual.
        browser.refresh().await.expect(200);
    }
}

#[actix_web::test]
async fn the_cookie_alone_is_not_enough_without_evidence_of_the_origin() {
    let app = app().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await.without_access_token();
    let before = app.db_snapshot();

    for headers in [
        &[][..],
        &[("Sec-Fetch-Site", "none")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Origin", "null")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "https://evil.example"), ("Sec-Fetch-Site", "none")],
    ] {
        let answer = refresh_with(&mut browser.clone(), headers).await.refused(403, "csrf_rejected");
        assert!(answer.set_cookie().is_none(), "{headers:?}");
    }
    app.db_unchanged_since(&before);
}

#[actix_web::test]
async fn a_jwt_that_comes_along_still_has_to_fit() {
    let app = app().await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    let bob = Browser::signed_up(&app, "bob@example.com").await;

    let mixed = alice.with_access_token(bob.access_token.clone().unwrap());
    refused_without_a_trace(&app, &mixed, "token_mismatch").await;
    refused_without_a_trace(&app, &alice.with_access_token("a.b.c"), "token_invalid").await;
}
