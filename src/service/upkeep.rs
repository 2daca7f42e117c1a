//! What concerns the whole database. It needs no secret and no key, so tools can do it that are no node.

use std::sync::Arc;

use chrono::TimeDelta;

use super::events::Events;
use crate::domain::keys::lifecycle::KeyRecord;
use crate::store::{Store, StoreError};

/// Housekeeping, the end of every session, and a look at the keys.
pub(crate) struct Upkeep {
    pub(crate) store: Store,
    pub(crate) events: Arc<Events>,
    /// The window in which a predecessor still counts.
    pub(crate) grace: TimeDelta,
    /// How long stored events are kept; `None` if none are stored.
    pub(crate) events_kept: Option<TimeDelta>,
}

impl Upkeep {
    /// Every signing key there is, the oldest first.
    pub(crate) fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(self.store.run(|session| session.read_keys())?.keys)
    }
}
