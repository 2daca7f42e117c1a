//! The end of every session.

use super::{Auth, Error, blocking};
use crate::domain::event::Actor;
use crate::domain::session::RevocationReason;

impl Auth {
    /// Ends every session of every user, in small batches, and answers how many they were: for when a database was restored
    /// from a backup, or a secret is in wrong hands. Users log in again; whoever may not must be disabled.
    ///
    /// The access tokens of these sessions are dead on this node at once, and on others within two seconds. A session
    /// that is started meanwhile may be ended too, or not.
    ///
    /// Sessions that the database does not know any more, because it is an older copy, cannot be ended: their access
    /// tokens are good until they expire, unless the key that signed them is
    /// [declared compromised](Self::compromise_key).
    ///
    /// # Errors
    ///
    /// [`Error::Database`]. What was ended before stays ended; call again.
    pub async fn revoke_all_sessions(&self) -> Result<u64, Error> {
        let (state, reason) = (self.state.clone(), RevocationReason::RevokedByHost);
        blocking(move || {
            let announce = |ended: &[_]| state.announcer.announce(ended);
            Ok(state.service.end_all_sessions(Actor::Application, reason, announce)?)
        })
        .await
    }
}
