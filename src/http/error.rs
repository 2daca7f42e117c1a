//! Errors as the client sees them: problem details (RFC 9457) with a closed list of codes.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::domain::access_token::TokenRefused;
#[cfg(feature = "issuer")]
use crate::domain::session::RevocationReason;
use crate::meters;

/// The longest time that whoever came at a bad moment is asked to wait, in seconds.
#[cfg(feature = "issuer")]
const LONGEST_OVERLOAD: u64 = 4;

/// The machine-readable name of an error. Clients branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The request is malformed or ambiguous.
    InvalidRequest,
    /// No credentials were sent.
    Unauthorized,
    /// The access token is past its `exp`: refresh, then repeat the request.
    TokenExpired,
    /// The access token is not one of ours.
    TokenInvalid,
    /// The session has ended.
    SessionRevoked,
    /// E-mail and password do not belong together.
    InvalidCredentials,
    /// A refresh needs the (expired) access token as well.
    AccessTokenRequired,
    /// Access token and refresh token are not of one user and session.
    TokenMismatch,
    /// The refresh token is not one of ours.
    RefreshTokenInvalid,
    /// The session's idle or absolute life is over.
    RefreshTokenExpired,
    /// The refresh token was retired before: the session has been ended.
    RefreshTokenReused,
    /// A browser sent the request from another origin.
    CsrfRejected,
    /// Known, but not allowed.
    Forbidden,
    /// The current password is wrong (at a password change).
    WrongPassword,
    /// Nothing is here.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The body is larger than 16 KiB.
    PayloadTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The address is taken.
    EmailTaken,
    /// The address is not a valid e-mail address.
    InvalidEmail,
    /// The password does not meet the policy.
    WeakPassword,
    /// Too many attempts; wait.
    TooManyAttempts,
    /// Too much to do; try again.
    Overloaded,
    /// The database cannot be reached; try again.
    StorageUnavailable,
}

impl ErrorCode {
    /// The HTTP status this code is answered with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized
            | Self::TokenExpired
            | Self::TokenInvalid
            | Self::SessionRevoked
            | Self::InvalidCredentials
            | Self::AccessTokenRequired
            | Self::TokenMismatch
            | Self::RefreshTokenInvalid
            | Self::RefreshTokenExpired
            | Self::RefreshTokenReused => StatusCode::UNAUTHORIZED,
            Self::CsrfRejected | Self::Forbidden | Self::WrongPassword => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::EmailTaken => StatusCode::CONFLICT,
            Self::InvalidEmail | Self::WeakPassword => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded | Self::StorageUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The name in the `code` member, and the sentence in `detail` unless a better one is known.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::InvalidRequest => ("invalid_request", "The request is malformed or ambiguous."),
            Self::Unauthorized => ("unauthorized", "No credentials were sent."),
            Self::TokenExpired => ("token_expired", "The access token has expired."),
            Self::TokenInvalid => ("token_invalid", "The access token is invalid."),
            Self::SessionRevoked => ("session_revoked", "The session has ended."),
            Self::InvalidCredentials => ("invalid_credentials", "E-mail or password is wrong."),
            Self::AccessTokenRequired => (
                "access_token_required",
                "A refresh needs the access token as Bearer; an expired one is fine.",
            ),
            Self::TokenMismatch => {
                ("token_mismatch", "Access token and refresh token belong to different sessions.")
            }
            Self::RefreshTokenInvalid => ("refresh_token_invalid", "The refresh token is invalid."),
            Self::RefreshTokenExpired => ("refresh_token_expired", "The session has expired."),
            Self::RefreshTokenReused => {
                ("refresh_token_reused", "The refresh token was used before; its session has been ended.")
            }
            Self::CsrfRejected => ("csrf_rejected", "The request comes from an origin that is not allowed."),
            Self::Forbidden => ("forbidden", "This is not allowed."),
            Self::WrongPassword => ("wrong_password", "The current password is wrong."),
            Self::NotFound => ("not_found", "There is nothing here."),
            Self::MethodNotAllowed => ("method_not_allowed", "The method is not allowed here."),
            Self::PayloadTooLarge => ("payload_too_large", "The body is larger than 16 KiB."),
            Self::UnsupportedMediaType => ("unsupported_media_type", "The body must be application/json."),
            Self::EmailTaken => ("email_taken", "This e-mail address has an account."),
            Self::InvalidEmail => ("invalid_email", "This is not a valid e-mail address."),
            Self::WeakPassword => ("weak_password", "The password does not meet the policy."),
            Self::TooManyAttempts => ("too_many_attempts", "Too many attempts; try again later."),
            Self::Overloaded => ("overloaded", "The service is busy; try again."),
            Self::StorageUnavailable => {
                ("storage_unavailable", "The service cannot reach its database; try again.")
            }
        }
    }

    /// The name of the code, as it stands in the `code` member of the answer.
    pub fn as_str(self) -> &'static str {
        self.words().0
    }

    /// The challenge that goes with a 401 (RFC 6750 §3): without `error` where no access token was sent.
    fn challenge(self) -> Option<String> {
        match self {
            Self::Unauthorized | Self::AccessTokenRequired | Self::InvalidCredentials => {
                Some("Bearer".into())
            }
            Self::TokenExpired
            | Self::TokenInvalid
            | Self::SessionRevoked
            | Self::TokenMismatch
            | Self::RefreshTokenInvalid
            | Self::RefreshTokenExpired
            | Self::RefreshTokenReused => {
                Some(format!("Bearer error=\"invalid_token\", error_description=\"{}\"", self.words().1))
            }
            _ => None,
        }
    }
}

/// An error answer of this crate.
///
/// Extractors and the guard return it; a host's own handlers may return it too, to answer in the same form.
///
/// ```
/// use actix_authflow::{AuthError, ErrorCode};
///
/// let error = AuthError::from(ErrorCode::Forbidden);
/// assert_eq!(error.code().status().as_u16(), 403);
/// ```
#[derive(Debug, Clone)]
pub struct AuthError {
    code: ErrorCode,
    detail: Option<Cow<'static, str>>,
    /// Why the session has ended, where that may be told.
    reason: Option<&'static str>,
    /// For 405: the methods that are allowed.
    allow: Option<&'static str>,
    /// For 403: what would be sufficient, as a Bearer challenge.
    challenge: Option<String>,
    /// For 429 and 503: after how many seconds it is worth to come back.
    retry_after: u64,
}

impl AuthError {
    /// The machine-readable name.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// An error with a sentence of its own. The sentence goes to the client.
    pub fn with_detail(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: Some(detail.into()), ..Self::from(code) }
    }

    /// An error with a reason from further down, which is worded for the middle of a message.
    pub(crate) fn with_reason(code: ErrorCode, reason: &str) -> Self {
        let mut rest = reason.chars();
        let first = rest.next().map(|letter| letter.to_ascii_uppercase());
        let sentence: String = first.into_iter().chain(rest).chain(['.']).collect();
        Self::with_detail(code, sentence)
    }

    /// The end of a session, with its reason if that is known. For whoever has shown a genuine refresh token of it.
    #[cfg(feature = "issuer")]
    pub(crate) fn session_over(code: ErrorCode, reason: Option<RevocationReason>) -> Self {
        Self { reason: reason.map(RevocationReason::as_str), ..Self::from(code) }
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::from(ErrorCode::MethodNotAllowed) }
    }

    pub(crate) fn too_many_attempts(retry_after: u64) -> Self {
        Self { retry_after, ..Self::from(ErrorCode::TooManyAttempts) }
    }

    /// More passwords to hash than the machine can. A crowd that is refused in one moment is asked back in several, so that it
    /// does not come as a crowd each second.
    #[cfg(feature = "issuer")]
    pub(crate) fn overloaded() -> Self {
        let drawn = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
        Self { retry_after: 1 + drawn % LONGEST_OVERLOAD, ..Self::from(ErrorCode::Overloaded) }
    }

    /// A refusal that says what would be sufficient (RFC 6750 §3.1, RFC 9470 §3).
    pub(crate) fn insufficient(detail: impl Into<Cow<'static, str>>, challenge: Option<String>) -> Self {
        Self { challenge, ..Self::with_detail(ErrorCode::Forbidden, detail) }
    }

    fn detail(&self) -> &str {
        self.detail.as_deref().unwrap_or(self.code.words().1)
    }
}

impl From<ErrorCode> for AuthError {
    fn from(code: ErrorCode) -> Self {
        Self { code, detail: None, reason: None, allow: None, challenge: None, retry_after: 1 }
    }
}

impl From<TokenRefused> for AuthError {
    fn from(refused: TokenRefused) -> Self {
        Self::from(match refused {
            TokenRefused::Invalid => ErrorCode::TokenInvalid,
            TokenRefused::Expired => ErrorCode::TokenExpired,
            TokenRefused::Revoked => ErrorCode::SessionRevoked,
        })
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail())
    }
}

impl std::error::Error for AuthError {}

/// The body of an error answer (RFC 9457 §3.1).
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    /// An extension member (RFC 9457 §3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl ResponseError for AuthError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.code.status();
        let code = self.code.as_str();
        meters::refused(code);
        let problem = Problem {
            kind: format!("urn:authflow:problem:{code}"),
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            detail: self.detail(),
            reason: self.reason,
        };
        let mut response = HttpResponse::build(status);
        response
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if let Some(challenge) = self.challenge.clone().or_else(|| self.code.challenge()) {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, HeaderValue::from_static(allow)));
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.insert_header((header::RETRY_AFTER, HeaderValue::from(self.retry_after)));
        }
        response
            .content_type("application/problem+json")
            .body(serde_json::to_string(&problem).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
