//! Published keys, and tokens under each algorithm.

use actix_authflow::{SigningAlgorithm, Verifier};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{Connection, Request};
use crate::support::{Browser, TestApp, jwt};

const DOCUMENT: &str = "/auth/.well-known/jwks.json";
/// The order of P-256 (SEC 2 §2.4.2).
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

async fn app_of(algorithm: SigningAlgorithm) -> TestApp {
    TestApp::with(|config| config.signing_algorithm(algorithm)).await
}

fn published(app: &TestApp) -> (String, Vec<Value>) {
    let reply = Connection::to(app).send(&Request::get(DOCUMENT)).expect(200);
    let keys = reply.json()["keys"].as_array().unwrap().clone();
    (reply.body, keys)
}

#[actix_web::test]
async fn only_public_members_are_published() {
    for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256] {
        let app = app_of(algorithm).await;
        let (_, keys) = published(&app);
        assert!(keys.iter().any(|key| key["alg"] == algorithm.as_str()));
        for key in &keys {
            let mut members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
            members.sort_unstable();
            match key["kty"].as_str() {
                Some("OKP") => assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]),
                Some("EC") => assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]),
                other => panic!("a key of kind {other:?}"),
            }
            assert_eq!(key["use"], "sig");
        }
        let mut ids: Vec<_> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), keys.len(), "two keys with one id");
    }
}

#[actix_web::test]
async fn nothing_is_published_of_a_symmetric_key() {
    let app = app_of(SigningAlgorithm::Hs256).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    assert_eq!(published(&app).0, r#"{"keys":[]}"#);
    assert_eq!(jwt::header(browser.access_token.as_deref().unwrap())["alg"], "HS256");
    browser.call_api().await.expect(200);
    browser.clone().refresh().await.expect(200);
}

#[actix_web::test]
async fn the_document_may_be_kept() {
    let app = TestApp::start().await;
    let reply = Connection::to(&app).send(&Request::get(DOCUMENT)).expect(200);
    assert!(reply.header("cache-control").starts_with("public, max-age="), "{reply:?}");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert!(reply.header("content-type").starts_with("application/"), "{reply:?}");
    reply.without_cookie();
}

#[actix_web::test]
async fn another_service_verifies_tokens_by_the_published_keys() {
    for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256] {
        let app = app_of(algorithm).await;
        let browser = Browser::signed_up(&app, "alice@example.com").await;
        let token = browser.access_token.as_deref().unwrap();
        assert_eq!(jwt::header(token)["alg"], algorithm.as_str());
        let elsewhere = Verifier::from_jwks(&published(&app).0, "authflow", "authflow").unwrap();
        assert_eq!(elsewhere.verify(token).unwrap().user_id().to_string(), browser.user());
        assert!(elsewhere.verify(&jwt::with_a_bad_signature(token)).is_err());
        assert!(Verifier::from_jwks(&published(&app).0, "authflow", "other").unwrap().verify(token).is_err());
        browser.call_api().await.expect(200);
    }
}

/// For an ECDSA signature (r, s), (r, n - s) is another one of the same message; whatever remembers tokens by their text
/// does not know it.
#[actix_web::test]
async fn the_twin_of_a_signature_dies_with_its_session() {
    let app = app_of(SigningAlgorithm::Es256).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let twin = browser.with_access_token(twin(browser.access_token.as_deref().unwrap()));
    assert_ne!(twin.access_token, browser.access_token);
    twin.call_api().await.expect(200);
    browser.call_api().await.expect(200);

    browser.clone().logout().await.expect(204);

    browser.call_api().await.refused(401, "session_revoked");
    twin.call_api().await.refused(401, "session_revoked");
    twin.me().await.refused(401, "session_revoked");
}

fn twin(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for (index, byte) in signature[32..].iter_mut().enumerate().rev() {
        let order = i32::from(u8::from_str_radix(&ORDER[2 * index..2 * index + 2], 16).unwrap());
        let difference = order - i32::from(*byte) - borrow;
        borrow = i32::from(difference < 0);
        *byte = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
