//! The closed list, and the form in which it goes out.

use actix_web::body::to_bytes;
use serde_json::Value;

use super::*;

/// Every code with its status, as it is promised to clients.
const PROMISED: [(u16, &[&str]); 10] = [
    (400, &["invalid_request"]),
    (
        401,
        &[
            "unauthorized",
            "token_expired",
            "token_invalid",
            "session_revoked",
            "invalid_credentials",
            "access_token_required",
            "token_mismatch",
            "refresh_token_invalid",
            "refresh_token_expired",
            "refresh_token_reused",
        ],
    ),
    (403, &["csrf_rejected", "forbidden", "wrong_password"]),
    (404, &["not_found"]),
    (405, &["method_not_allowed"]),
    (409, &["email_taken"]),
    (413, &["payload_too_large"]),
    (415, &["unsupported_media_type"]),
    (422, &["invalid_email", "weak_password"]),
    (429, &["too_many_attempts"]),
];
const UNAVAILABLE: [&str; 2] = ["overloaded", "storage_unavailable"];

/// The list of all codes, and a match that does not compile while one is missing from it.
macro_rules! all {
    ($($code:ident),+ $(,)?) => {
        const ALL: &[ErrorCode] = &[$(ErrorCode::$code),+];

        fn is_listed(code: ErrorCode) -> bool {
            match code {
                $(ErrorCode::$code)|+ => true,
            }
        }
    };
}

all! {
    InvalidRequest, Unauthorized, TokenExpired, TokenInvalid, SessionRevoked, InvalidCredentials,
    AccessTokenRequired, TokenMismatch, RefreshTokenInvalid, RefreshTokenExpired,
    RefreshTokenReused, CsrfRejected, Forbidden, WrongPassword, NotFound, MethodNotAllowed,
    PayloadTooLarge, UnsupportedMediaType, EmailTaken, InvalidEmail, WeakPassword, TooManyAttempts,
    Overloaded, StorageUnavailable,
}

async fn answer(error: AuthError) -> (HttpResponse<()>, Value) {
    let (head, body) = error.error_response().into_parts();
    (head.map_body(|_, _| ()), serde_json::from_slice(&to_bytes(body).await.unwrap()).unwrap())
}

fn header<'a>(response: &'a HttpResponse<()>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[cfg(feature = "issuer")]
#[actix_web::test]
async fn a_crowd_is_not_asked_back_at_one_moment() {
    let mut moments = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let (response, _) = answer(AuthError::overloaded()).await;
        moments.insert(header(&response, "retry-after").unwrap().to_owned());
    }
    assert_eq!(moments.into_iter().collect::<Vec<_>>(), ["1", "2", "3", "4"]);
}

#[test]
fn every_promised_code_exists_once_with_its_status() {
    let promised = PROMISED.into_iter().chain([(503, &UNAVAILABLE[..])]);
    let mut promised: Vec<(&str, u16)> =
        promised.flat_map(|(status, codes)| codes.iter().map(move |code| (*code, status))).collect();
    let mut ours: Vec<(&str, u16)> = ALL.iter().map(|code| (code.as_str(), code.status().as_u16())).collect();
    promised.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, promised);
    assert!(ALL.iter().copied().all(is_listed));
}

#[actix_web::test]
async fn every_answer_is_problem_details_that_nobody_keeps() {
    for &code in ALL {
        let (response, body) = answer(code.into()).await;
        let mut members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["code", "detail", "status", "title", "type"]);
        assert_eq!(body["code"], code.as_str());
        assert_eq!(body["status"], response.status().as_u16());
        assert_eq!(body["title"], response.status().canonical_reason().unwrap());
        assert_eq!(body["type"], format!("urn:authflow:problem:{}", code.as_str()));
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.ends_with('.') && detail.chars().next().unwrap().is_uppercase(), "{detail}");
        assert_eq!(header(&response, "content-type"), Some("application/problem+json"));
        assert_eq!(header(&response, "cache-control"), Some("no-store"));
        assert_eq!(header(&response, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(&response, "set-cookie"), None);
        assert_eq!(
            header(&response, "retry-after").is_some(),
            matches!(body["status"].as_u64(), Some(429 | 503))
        );
    }
}

/// RFC 6750 §3: a 401 has a challenge, and `error` in it only if a token was sent.
#[actix_web::test]
async fn a_challenge_says_invalid_token_only_where_a_token_was_sent() {
    for &code in ALL {
        let (response, body) = answer(code.into()).await;
        let challenge = header(&response, "www-authenticate");
        let nothing_sent = ["unauthorized", "access_token_required", "invalid_credentials"];
        let detail = body["detail"].as_str().unwrap();
        let full = format!("Bearer error=\"invalid_token\", error_description=\"{detail}\"");
        let expected = match body["status"].as_u64() {
            Some(401) if nothing_sent.contains(&code.as_str()) => Some("Bearer"),
            Some(401) => Some(full.as_str()),
            _ => None,
        };
        assert_eq!(challenge, expected, "{code:?}");
        assert!(!detail.contains(['"', '\\']), "a quoted-string without escapes");
    }
}

#[actix_web::test]
async fn a_refused_method_names_the_allowed_one() {
    let (response, body) = answer(AuthError::method_not_allowed("POST")).await;
    assert_eq!(header(&response, "allow"), Some("POST"));
    assert_eq!(body["code"], "method_not_allowed");
}

#[actix_web::test]
async fn a_detail_of_its_own_takes_the_place_of_the_usual_one() {
    let error = AuthError::with_detail(ErrorCode::WeakPassword, "A \"quoted\"\nreason.");
    assert_eq!(error.to_string(), "weak_password: A \"quoted\"\nreason.");
    let (_, body) = answer(error).await;
    assert_eq!(body["detail"], "A \"quoted\"\nreason.");
}

#[test]
fn a_refused_token_has_a_code() {
    for (refused, code) in [
        (TokenRefused::Invalid, ErrorCode::TokenInvalid),
        (TokenRefused::Expired, ErrorCode::TokenExpired),
        (TokenRefused::Revoked, ErrorCode::SessionRevoked),
    ] {
        assert_eq!(AuthError::from(refused).code(), code);
    }
}
