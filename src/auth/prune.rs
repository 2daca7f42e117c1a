//! Housekeeping on request.

use std::sync::Arc;

use super::{Auth, Error, blocking};
use crate::domain::event::Actor;
use crate::service::housekeeping::{Pruned, Walk, persistent};

impl Auth {
    /// Deletes what nobody needs any more: earlier generations of refresh tokens, sessions that ended more than a day ago,
    /// deleted users. Marks idle and expired sessions as ended.
    ///
    /// A background task does this by itself (see [`AuthConfig::prune_interval`](crate::AuthConfig::prune_interval)); this
    /// is for those who turn it off. One node works at a time, in small batches; while another one does, this one waits
    /// two seconds at most and then leaves the rest to it.
    ///
    /// # Errors
    ///
    /// [`Error::Database`]. What was done before stays done.
    pub async fn prune(&self) -> Result<Pruned, Error> {
        let service = Arc::clone(&self.state.service);
        blocking(move || Ok(service.prune(Actor::Application, &mut Walk::default(), persistent())?)).await
    }
}
