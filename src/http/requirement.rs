//! What a guard demands beyond a valid token.

use std::time::Duration;

use super::error::AuthError;
#[cfg(feature = "issuer")]
use super::error::ErrorCode;
use crate::domain::claims::Claims;
use crate::domain::clock::UnixSeconds;
#[cfg(feature = "issuer")]
use crate::domain::revocations::MAX_LAG;

/// One demand.
#[derive(Debug, Clone)]
pub(super) enum Requirement {
    Role(String),
    Scope(String),
    Fresh(Duration),
    #[cfg(feature = "issuer")]
    Live,
}

/// The moment of a request, as its verifier sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: UnixSeconds,
    /// For how long a session may have ended elsewhere without being known here; `None` if such news never arrives.
    pub(super) lag: Option<Duration>,
}

impl Requirement {
    pub(super) fn check(&self, claims: &Claims, moment: Moment) -> Result<(), AuthError> {
        match self {
            #[cfg(feature = "issuer")]
            Self::Live if moment.lag.is_some_and(|lag| lag < MAX_LAG) => Ok(()),
            #[cfg(feature = "issuer")]
            Self::Live => {
                let detail = "It cannot be known whether the session still lives; try again.";
                Err(AuthError::with_detail(ErrorCode::StorageUnavailable, detail))
            }
            Self::Role(role) if claims.roles().iter().any(|own| own == role) => Ok(()),
            Self::Role(_) => Err(AuthError::insufficient("A role is missing.", None)),
            Self::Scope(scope) if claims.scopes().any(|own| own == scope) => Ok(()),
            Self::Scope(scope) => {
                let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", quoted(scope));
                Err(AuthError::insufficient("A scope is missing.", Some(challenge)))
            }
            Self::Fresh(age) if is_fresh(claims, *age, moment.now) => Ok(()),
            Self::Fresh(age) => {
                let seconds = age.as_secs();
                let challenge =
                    format!("Bearer error=\"insufficient_user_authentication\", max_age=\"{seconds}\"");
                Err(AuthError::insufficient("The password must be given again.", Some(challenge)))
            }
        }
    }
}

fn is_fresh(claims: &Claims, age: Duration, now: UnixSeconds) -> bool {
    let age = UnixSeconds::try_from(age.as_secs()).unwrap_or(UnixSeconds::MAX);
    now.saturating_sub(claims.authenticated_at()) <= age
}

/// Only the characters a scope may have (RFC 6749 §3.3), so that the challenge stays one quoted string.
fn quoted(scope: &str) -> String {
    scope.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError as _;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const NOW: Moment = Moment { now: 1_000, lag: None };

    fn claims() -> Claims {
        let claims = json!({
            "iss": "i", "aud": "a", "sub": Uuid::nil(), "client_id": "c", "sid": Uuid::nil(), "jti": Uuid::nil(),
            "iat": 1_000, "exp": 2_000, "auth_time": 900, "roles": ["admin"], "scope": "orders:read orders:write"
        });
        serde_json::from_value(claims).unwrap()
    }

    fn challenge(requirement: &Requirement) -> Option<String> {
        let response = requirement.check(&claims(), NOW).unwrap_err().error_response();
        assert_eq!(response.status(), 403);
        response.headers().get("WWW-Authenticate").map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_the_claims_say_is_enough() {
        for requirement in [
            Requirement::Role("admin".into()),
            Requirement::Scope("orders:write".into()),
            Requirement::Fresh(Duration::from_secs(100)),
        ] {
            assert!(requirement.check(&claims(), NOW).is_ok(), "{requirement:?}");
        }
    }

    #[test]
    fn what_is_missing_is_refused_with_what_would_be_sufficient() {
        assert_eq!(challenge(&Requirement::Role("adm".into())), None);
        assert_eq!(
            challenge(&Requirement::Scope("orders".into())).unwrap(),
            "Bearer error=\"insufficient_scope\", scope=\"orders\""
        );
        assert_eq!(
            challenge(&Requirement::Fresh(Duration::from_secs(99))).unwrap(),
            "Bearer error=\"insufficient_user_authentication\", max_age=\"99\""
        );
    }

    #[test]
    #[cfg(feature = "issuer")]
    fn a_lag_of_ten_seconds_or_no_news_at_all_is_not_live() {
        let check = |lag| Requirement::Live.check(&claims(), Moment { lag, ..NOW });
        assert!(check(Some(Duration::from_millis(9_999))).is_ok());
        for lag in [Some(Duration::from_secs(10)), None] {
            let response = check(lag).unwrap_err().error_response();
            assert_eq!(response.status(), 503, "{lag:?}");
            assert_eq!(response.headers().get("Retry-After").unwrap(), "1");
        }
    }
}
