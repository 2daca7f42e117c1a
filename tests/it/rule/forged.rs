//! Refresh tokens that nobody has issued: they cost no query, and end nothing.

use actix_authflow::AuthConfig;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

use super::refused_without_a_trace;
use crate::support::{Browser, PEM, SECRET, TestApp, secret, wire};

/// Every part of a token with one bit turned.
fn with_one_bit_turned(token: &str) -> Vec<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix("rt_").unwrap()).unwrap();
    // Version, session, generation, secret and tag, each at both ends.
    let places = [0, 1, 16, 17, 20, 21, 52, 53, 68];
    let turned = places.map(|place| {
        let mut bytes = bytes.clone();
        bytes[place] ^= 1;
        format!("rt_{}", URL_SAFE_NO_PAD.encode(bytes))
    });
    turned.into()
}

/// Other ways to write the same bytes, and bytes too few or too many.
fn misshapen(token: &str) -> Vec<String> {
    let encoded = token.strip_prefix("rt_").unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(encoded).unwrap();
    let longer = [bytes.as_slice(), &[0]].concat();
    vec![
        encoded.to_owned(),
        format!("RT_{encoded}"),
        format!("rt_rt_{encoded}"),
        format!("rt_{}", URL_SAFE.encode(&longer)),
        format!("rt_{}==", STANDARD.encode(&bytes).replace(['+', '/'], "-")),
        format!("rt_{}", URL_SAFE_NO_PAD.encode(&bytes[..68])),
        format!("rt_{}", URL_SAFE_NO_PAD.encode(&longer)),
        format!("rt_{}", &encoded[..encoded.len() - 1]),
        format!("{token}A"),
        "rt_".into(),
        "x".into(),
        "rt_".to_owned() + &"A".repeat(92),
        "A".repeat(3_000),
    ]
}

#[actix_web::test]
async fn a_forged_token_ends_no_session_and_the_database_never_hears_of_it() {
    let app = TestApp::start().await;
    let wire = wire::Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| config.database_pool(1)).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await.at(&node);
    let mut phone = Browser::mobile_signed_up(&app, "bob@example.com").await.at(&node);
    wire.forget();

    for client in [&browser, &phone] {
        let token = client.refresh_token.clone().unwrap();
        for forged in [with_one_bit_turned(&token), misshapen(&token)].concat() {
            let forger = client.with_refresh_token(&forged);
            refused_without_a_trace(&app, &forger, "refresh_token_invalid").await;
            forger.without_access_token().logout().await.refused(401, "refresh_token_invalid");
        }
    }

    assert_eq!(wire.log(), []);
    browser.refresh().await.expect(200);
    phone.refresh().await.expect(200);
    assert_ne!(wire.log(), []);
}

#[actix_web::test]
async fn a_token_sealed_with_another_secret_is_forged() {
    let app = TestApp::start().await;
    let other = secret(&SECRET.replace('9', "8"));
    let stranger = app.node(|_| AuthConfig::new(app.database_url(), other).signing_key_pem(PEM)).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut sealed_elsewhere = Browser::new(&stranger);
    sealed_elsewhere.login("alice@example.com").await.expect(200);

    let forged = browser.with_refresh_token(sealed_elsewhere.refresh_token.clone().unwrap());
    refused_without_a_trace(&app, &forged, "refresh_token_invalid").await;
    refused_without_a_trace(&app, &sealed_elsewhere.at(&app), "refresh_token_invalid").await;
}

/// Whoever can write into the database, but has no server key, plants no session.
#[actix_web::test]
async fn a_planted_row_authenticates_nobody() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let bytes =
        [&[1_u8][..], uuid::Uuid::parse_str(&browser.session()).unwrap().as_bytes(), &[0; 52]].concat();
    let planted = format!("rt_{}", URL_SAFE_NO_PAD.encode(&bytes));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    app.db_execute(&format!("UPDATE authflow.refresh_tokens SET digest = sha256('\\x{hex}'::bytea)"));

    refused_without_a_trace(&app, &browser.with_refresh_token(planted), "refresh_token_invalid").await;
}
