//! Refresh tokens in the form of a JWT.

use actix_authflow::{RefreshFormat, TokenRefused, Verifier};
use reqwest::Method;

use crate::support::{Browser, TestApp, jwt, together};

async fn with_jwt() -> TestApp {
    TestApp::with(|config| config.refresh_format(RefreshFormat::Jwt)).await
}

#[actix_web::test]
async fn a_phone_can_read_what_its_refresh_token_is_for() {
    let app = with_jwt().await;
    let phone = Browser::mobile_signed_up(&app, "alice@example.com").await;
    let token = phone.refresh_token.clone().unwrap();

    let (header, claims) = (jwt::header(&token), jwt::claims(&token));

    assert_eq!((&header["typ"], &header["alg"]), (&"rt+jwt".into(), &"HS256".into()));
    assert_eq!(claims["aud"], "authflow/refresh");
    assert_eq!(claims["sid"], phone.session().as_str());
    assert_eq!(claims["sub"], phone.user().as_str());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 14 * 24 * 60 * 60);
    assert!(jwt::header(&token)["kid"] != jwt::header(phone.access_token.as_deref().unwrap())["kid"]);
}

#[actix_web::test]
async fn a_browser_keeps_its_opaque_cookie() {
    let app = with_jwt().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    assert!(browser.refresh_token.unwrap().starts_with("rt_"));
}

#[actix_web::test]
async fn the_same_rule_holds_for_the_chain_in_envelopes() {
    let app = with_jwt().await;
    let mut phone = Browser::mobile_signed_up(&app, "alice@example.com").await;
    let thief = phone.clone();
    let tabs: Vec<_> = (0..10).map(|_| phone.clone()).collect();

    let answers = together(tabs.into_iter().map(|mut tab| async move { tab.refresh().await })).await;
    let tokens: std::collections::HashSet<_> =
        answers.into_iter().map(|answer| answer.expect(200).refresh_token().unwrap()).collect();
    assert_eq!(tokens.len(), 1, "a retry gets the identical text");
    assert_eq!(app.db_generations(&phone.session()), [0, 1]);

    phone.refresh_token = tokens.into_iter().next();
    app.db_age_session(&phone.session(), 60);
    phone.refresh().await.expect(200);
    app.db_age_session(&phone.session(), 60);
    thief.clone().refresh().await.refused(401, "refresh_token_reused");
    phone.refresh().await.refused(401, "session_revoked");
}

#[actix_web::test]
async fn access_and_refresh_tokens_are_refused_in_each_others_place() {
    let app = with_jwt().await;
    let phone = Browser::mobile_signed_up(&app, "alice@example.com").await;
    let (access, refresh) = (phone.access_token.clone().unwrap(), phone.refresh_token.clone().unwrap());

    phone.with_access_token(&refresh).call_api().await.refused(401, "token_invalid");
    phone.with_access_token(&refresh).me().await.refused(401, "token_invalid");
    assert!(app.auth.verifier().verify(&refresh).is_err());
    let keys = phone.clone().send(phone.request(Method::GET, "/auth/.well-known/jwks.json")).await;
    let elsewhere = Verifier::from_jwks(&keys.text, "authflow", "authflow").unwrap();
    assert_eq!(elsewhere.verify(&refresh), Err(TokenRefused::Invalid));
    assert!(elsewhere.verify(&access).is_ok());
    phone.with_refresh_token(&access).refresh().await.refused(401, "refresh_token_invalid");
    phone.with_access_token(&refresh).refresh().await.refused(401, "token_invalid");
    phone.by_the_other_transport().refresh().await.refused(401, "refresh_token_invalid");
    phone.clone().refresh().await.expect(200);
}

#[actix_web::test]
async fn a_change_of_the_form_logs_nobody_out() {
    let app = TestApp::start().await;
    let mut phone = Browser::mobile_signed_up(&app, "alice@example.com").await;
    let jwt_node = app.node(|config| config.refresh_format(RefreshFormat::Jwt)).await;

    let mut moved = phone.at(&jwt_node);
    moved.refresh().await.expect(200);
    assert_eq!(jwt::header(moved.refresh_token.as_deref().unwrap())["typ"], "rt+jwt");
    app.db_age_session(&phone.session(), 60);
    phone = moved.at(&app);
    phone.refresh().await.expect(200);
    assert!(phone.refresh_token.unwrap().starts_with("rt_"));
}

#[actix_web::test]
async fn logout_takes_the_envelope_too() {
    let app = with_jwt().await;
    let mut phone = Browser::mobile_signed_up(&app, "alice@example.com").await;
    let session = phone.session();
    phone.without_access_token().logout().await.expect(204);
    assert_eq!(app.db_generations(&session), [0; 0]);
    phone.refresh().await.refused(401, "session_revoked");
}
