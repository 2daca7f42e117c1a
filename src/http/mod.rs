//! The web: routes, guard, extractors, cookies, error answers.

mod bearer;
pub(crate) mod error;
pub(crate) mod extract;
pub(crate) mod guard;
mod requirement;

#[cfg(feature = "issuer")]
pub(crate) mod answer;
#[cfg(feature = "issuer")]
mod attempt;
#[cfg(feature = "issuer")]
mod batches;
#[cfg(feature = "issuer")]
mod body;
#[cfg(feature = "issuer")]
pub(crate) mod client;
#[cfg(feature = "issuer")]
pub(crate) mod cookie;
#[cfg(feature = "issuer")]
pub(crate) mod csrf;
#[cfg(feature = "issuer")]
pub(crate) mod gate;
#[cfg(feature = "issuer")]
pub(crate) mod hide_cookie;
#[cfg(feature = "issuer")]
pub(crate) mod jobs;
#[cfg(feature = "issuer")]
pub(crate) mod origin;
#[cfg(feature = "issuer")]
pub(crate) mod request_id;
#[cfg(feature = "issuer")]
pub(crate) mod routes;
#[cfg(feature = "issuer")]
pub(crate) mod state;
#[cfg(feature = "issuer")]
pub(crate) mod threads;
#[cfg(feature = "issuer")]
mod timing;
