//! Pure rules: tokens, keys, claims, passwords and the decision about a rotation. No I/O but a look at the clock, no web framework.

pub(crate) mod access_token;
pub(crate) mod claims;
pub(crate) mod clock;
pub(crate) mod compact;
pub(crate) mod ids;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod revocations;
pub(crate) mod token_cache;
pub(crate) mod verifier;

#[cfg(feature = "issuer")]
pub(crate) mod device;
#[cfg(feature = "issuer")]
pub(crate) mod email;
#[cfg(feature = "issuer")]
pub(crate) mod event;
#[cfg(feature = "issuer")]
pub(crate) mod issuing;
#[cfg(feature = "issuer")]
pub(crate) mod password;
#[cfg(feature = "issuer")]
pub(crate) mod refresh_jwt;
#[cfg(feature = "issuer")]
pub(crate) mod refresh_token;
#[cfg(feature = "issuer")]
pub(crate) mod rotation;
#[cfg(feature = "issuer")]
pub(crate) mod secret;
#[cfg(feature = "issuer")]
pub(crate) mod session;
#[cfg(feature = "issuer")]
pub(crate) mod throttle;
#[cfg(feature = "issuer")]
pub(crate) mod user;
