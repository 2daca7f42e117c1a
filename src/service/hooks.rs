//! Where the host application takes part.

use std::sync::Arc;

use diesel::PgConnection;

use crate::domain::password::hash::ForeignVerifier;
use crate::domain::user::User;

/// Why a registration hook stops a registration. Either way the transaction is rolled back.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The host does not want this user: answered with 403 `forbidden`.
    #[error("the registration was refused")]
    Refused,
    /// The host's own query failed: answered with 503, or tried again after a lost race.
    #[error(transparent)]
    Failed(#[from] diesel::result::Error),
}

pub(crate) type RegistrationHook =
    dyn Fn(&mut PgConnection, &User) -> Result<(), RegistrationError> + Send + Sync;

/// The hooks a host may set.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    /// Runs in the transaction that makes a user.
    pub(crate) on_registration: Option<Arc<RegistrationHook>>,
    /// Verifies password hashes that are not ours.
    pub(crate) foreign_verifier: Option<Arc<ForeignVerifier>>,
}
