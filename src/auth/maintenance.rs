//! For tools: what can be done to the database of a deployment without being a node of it.

use std::sync::Arc;

use super::keys::SigningKeyInfo;
use super::{Auth, Error, blocking, check_migrated, events, store_options, upkeep};
use crate::config::AuthConfig;
use crate::domain::clock::Clock;
use crate::domain::event::Actor;
use crate::domain::session::RevocationReason;
use crate::service::event_log::EventWriter;
use crate::service::housekeeping::{Pruned, Walk, persistent};
use crate::service::revocations::database_time;
use crate::service::upkeep::Upkeep;
use crate::store::Store;

/// The database of a deployment, for tools that look after it and serve nothing.
///
/// [`Auth::connect`] makes a node, which applies migrations and brings its configuration of the keys with it. This does
/// nothing of its own accord: whoever looks at the keys from a shell without the service's settings changes none.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use actix_authflow::{AuthConfig, Maintenance};
///
/// let maintenance = Maintenance::connect(AuthConfig::from_env()?).await?;
/// for key in maintenance.keys().await? {
///     println!("{} {}", key.kid(), key.state());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Maintenance {
    upkeep: Arc<Upkeep>,
    /// Writes what waits when this ends. None if no events are stored.
    _event_writer: Option<EventWriter>,
}

impl Maintenance {
    /// Checks the configuration and reaches the database, which has to be migrated.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], [`Error::Database`] or [`Error::NotMigrated`].
    pub async fn connect(config: AuthConfig) -> Result<Self, Error> {
        config.check()?;
        blocking(move || Self::connect_blocking(&config)).await
    }

    fn connect_blocking(config: &AuthConfig) -> Result<Self, Error> {
        let options = store_options(config);
        check_migrated(&options)?;
        let store = Store::open(options)?;
        let clock = Arc::new(Clock::database(database_time(&store)?));
        let (events, event_writer) = events(config, &store, clock)?;
        Ok(Self { upkeep: Arc::new(upkeep(config, &store, &events)), _event_writer: event_writer })
    }

    /// As [`Auth::keys`].
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn keys(&self) -> Result<Vec<SigningKeyInfo>, Error> {
        keys(Arc::clone(&self.upkeep)).await
    }

    /// As [`Auth::prune`].
    ///
    /// # Errors
    ///
    /// [`Error::Database`]. What was done before stays done.
    pub async fn prune(&self) -> Result<Pruned, Error> {
        prune(Arc::clone(&self.upkeep)).await
    }

    /// As [`Auth::revoke_all_sessions`]. Every node that runs hears of it within two seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Database`]. What was ended before stays ended; call again.
    pub async fn revoke_all_sessions(&self) -> Result<u64, Error> {
        let upkeep = Arc::clone(&self.upkeep);
        blocking(move || {
            Ok(upkeep.end_all_sessions(Actor::Application, RevocationReason::RevokedByHost, |_| {})?)
        })
        .await
    }
}

impl Auth {
    /// The signing keys, the oldest first.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn keys(&self) -> Result<Vec<SigningKeyInfo>, Error> {
        keys(Arc::clone(&self.state.service.upkeep)).await
    }

    /// Deletes what nobody needs any more: earlier generations of refresh tokens, sessions that ended more than a day ago,
    /// deleted users. Marks idle and expired sessions as ended.
    ///
    /// A background task does this by itself (see [`AuthConfig::prune_interval`]); this is for those who turn it off. One
    /// node works at a time, in small batches; while another one does, this one waits two seconds at most and then leaves
    /// the rest to it.
    ///
    /// # Errors
    ///
    /// [`Error::Database`]. What was done before stays done.
    pub async fn prune(&self) -> Result<Pruned, Error> {
        prune(Arc::clone(&self.state.service.upkeep)).await
    }

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
        let state = self.state.clone();
        blocking(move || {
            let announce = |ended: &[_]| state.announcer.announce(ended);
            let upkeep = &state.service.upkeep;
            Ok(upkeep.end_all_sessions(Actor::Application, RevocationReason::RevokedByHost, announce)?)
        })
        .await
    }
}

async fn keys(upkeep: Arc<Upkeep>) -> Result<Vec<SigningKeyInfo>, Error> {
    let keys = blocking(move || Ok(upkeep.keys()?)).await?;
    Ok(keys.into_iter().map(SigningKeyInfo).collect())
}

async fn prune(upkeep: Arc<Upkeep>) -> Result<Pruned, Error> {
    blocking(move || Ok(upkeep.prune(Actor::Application, &mut Walk::default(), persistent())?)).await
}
