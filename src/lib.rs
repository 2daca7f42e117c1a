#![doc = include_str!("../README.md")]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
// What verifies and what issues share their types; without the issuer half of those is unused.
#![cfg_attr(not(feature = "issuer"), allow(dead_code))]

mod domain;
mod http;
#[cfg(any(feature = "cli", feature = "testing"))]
pub mod local_postgres;
mod meters;
#[cfg(feature = "jwks-fetch")]
mod remote_keys;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "issuer")]
mod auth;
#[cfg(feature = "issuer")]
mod config;
#[cfg(feature = "issuer")]
mod service;
#[cfg(feature = "issuer")]
mod store;

pub use crate::domain::access_token::TokenRefused;
pub use crate::domain::claims::Claims;
pub use crate::domain::ids::{SessionId, UserId};
pub use crate::domain::keys::{KeyError, PublicKey, SigningAlgorithm};
pub use crate::domain::verifier::Verifier;
pub use crate::http::error::{AuthError, ErrorCode};
pub use crate::http::extract::{Authenticated, HostClaims, MaybeAuthenticated};
pub use crate::http::guard::Guard;
#[cfg(feature = "jwks-fetch")]
pub use crate::remote_keys::JwksError;

#[cfg(feature = "issuer")]
pub use crate::auth::accounts::UserDraft;
#[cfg(feature = "issuer")]
pub use crate::auth::keys::SigningKeyInfo;
#[cfg(feature = "issuer")]
pub use crate::auth::maintenance::Maintenance;
#[cfg(feature = "issuer")]
pub use crate::auth::{Auth, Error, RevocationStatus};
#[cfg(feature = "issuer")]
pub use crate::config::{AuthConfig, ConfigError, Registration};
#[cfg(feature = "issuer")]
pub use crate::domain::event::{
    Actor, AttemptBudget, CredentialFailure, EventKind, OriginFault, Retry, SecurityEvent, Severity,
};
#[cfg(feature = "issuer")]
pub use crate::domain::keys::lifecycle::{KeyOrigin, KeyState};
#[cfg(feature = "issuer")]
pub use crate::domain::password::hash::{HashParams, InvalidHashParams};
#[cfg(feature = "issuer")]
pub use crate::domain::password::policy::{InvalidMinLength, PasswordPolicy};
#[cfg(feature = "issuer")]
pub use crate::domain::refresh_jwt::RefreshFormat;
#[cfg(feature = "issuer")]
pub use crate::domain::secret::{ServerSecret, WeakSecret};
#[cfg(feature = "issuer")]
pub use crate::domain::session::{RevocationReason, Transport};
#[cfg(feature = "issuer")]
pub use crate::domain::user::User;
#[cfg(feature = "issuer")]
pub use crate::http::answer::SessionTokens;
#[cfg(feature = "issuer")]
pub use crate::http::client::{InvalidProxy, TrustedProxies};
#[cfg(feature = "issuer")]
pub use crate::http::hide_cookie::HideCookie;
#[cfg(feature = "issuer")]
pub use crate::http::request_id::TraceRequests;
#[cfg(feature = "issuer")]
pub use crate::service::hooks::{ClaimsRefused, RegistrationError, TokenSubject};
#[cfg(feature = "issuer")]
pub use crate::service::housekeeping::Pruned;
#[cfg(feature = "issuer")]
pub use crate::service::keyring::RotateKeys;
