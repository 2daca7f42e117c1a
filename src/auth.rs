//! The handle: everything a host application does with this crate starts here.

pub(crate) mod accounts;
pub(crate) mod keys;
mod levels;
pub(crate) mod maintenance;

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use actix_web::web::{self, ServiceConfig};
use diesel::PgConnection;
use tokio::task::spawn_blocking;
use tracing::Span;

use self::levels::{Sampled, Sampler};
use crate::config::{AuthConfig, ConfigError, Registration, lost_statements, misfit, span};
use crate::domain::access_token::AccessTokenRules;
use crate::domain::clock::Clock;
use crate::domain::device::DeviceKeys;
use crate::domain::event::{ALARMS, Actor};
use crate::domain::issuing::TokenIssuer;
use crate::domain::password::hash::Hasher;
use crate::domain::refresh_jwt::Envelopes;
use crate::domain::refresh_token::RefreshTokenKeys;
use crate::domain::revocations::MAX_LAG;
use crate::domain::verifier::Verifier;
use crate::http::error::{AuthError, ErrorCode};
use crate::http::guard::Guard;
use crate::http::hide_cookie::HideCookie;
use crate::http::jobs::{DATABASE_DEADLINE, Jobs};
use crate::http::request_id::TraceRequests;
use crate::http::routes;
use crate::http::state::State;
use crate::meters;
use crate::service::event_log::{EventQueue, EventWriter};
use crate::service::events::Events;
use crate::service::housekeeper::Housekeeper;
use crate::service::keyring::{Keyring, KeyringError, StartedKeys};
use crate::service::revocations::{Announcer, Hints, RevocationWatch, Watched, database_time};
use crate::service::upkeep::Upkeep;
use crate::service::{Lifetimes, Service};
use crate::store::migrations::{self, MigrationError};
use crate::store::{Store, StoreError, StoreOptions};

/// Authentication for an actix-web application. Build it once, outside the worker closure; clones share everything.
///
/// ```no_run
/// use actix_authflow::{Auth, AuthConfig, Authenticated};
/// use actix_web::{App, HttpServer, Responder, get, web};
///
/// #[get("/me")]
/// async fn me(user: Authenticated) -> impl Responder {
///     format!("user {}", user.id())
/// }
///
/// #[actix_web::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let auth = Auth::connect(AuthConfig::from_env()?).await?;
///     HttpServer::new(move || {
///         App::new()
///             .configure(auth.routes("/auth"))
///             .service(web::scope("/api").wrap(auth.guard()).service(me))
///     })
///     .bind(("127.0.0.1", 8080))?
///     .run()
///     .await?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Auth {
    pub(crate) state: web::Data<State>,
    /// Ends with the last clone.
    _watch: Arc<RevocationWatch>,
    /// Ends with the last clone. None where revocations are polled for only.
    hints: Option<Arc<Hints>>,
    /// Ends with the last clone. None if housekeeping is off.
    _housekeeper: Option<Arc<Housekeeper>>,
    /// Writes what waits when the last clone ends. None if no events are stored.
    _event_writer: Option<Arc<EventWriter>>,
    /// Ends with the last clone.
    _sampler: Arc<Sampler>,
}

/// How a node hears of sessions that end elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationStatus {
    /// For how long a session may have ended on another node without being known here. About a second at most while all is
    /// well. It grows while the database is away; from ten seconds on the node is not [`ready`](Auth::ready), and
    /// [`Guard::require_live`](crate::Guard::require_live) lets nobody through.
    pub lag: Duration,
    /// Whether other nodes can tell this one at this moment (`LISTEN`), so that it does not only hear of them by polling.
    pub listening: bool,
}

/// Why an [`Auth`] could not be built, or a call on it failed.
///
/// Any call may end with [`Database`](Self::Database) or [`Internal`](Self::Internal), and one that hashes a password with
/// [`Overloaded`](Self::Overloaded). What else there is stands with each call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value of the configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be reached, or refused.
    #[error("the database is not available: {0}")]
    Database(String),
    /// The migrations could not be applied.
    #[error("the migrations failed: {0}")]
    Migration(String),
    /// The tables are older than this version of the crate.
    #[error("migrations are pending: apply them first (`authflow migrate`, or `Auth::migrate` in code)")]
    NotMigrated,
    /// There is no such user.
    #[error("there is no such user")]
    UnknownUser,
    /// There is no signing key with this id.
    #[error("there is no such signing key")]
    UnknownKey,
    /// Another user has this e-mail address or external id.
    #[error("another user has this e-mail address or external id")]
    Taken,
    /// The value cannot be used as an e-mail address or password.
    #[error("{0}")]
    Invalid(String),
    /// A hook of the host's refused the user or the token.
    #[error("a hook of the host's refused")]
    Refused,
    /// Too many passwords are being hashed; try again.
    #[error("too many passwords are being hashed")]
    Overloaded,
    /// A fault of the set-up or of this crate.
    #[error("internal: {0}")]
    Internal(String),
}

impl Auth {
    /// Checks the configuration, reaches the database, applies pending migrations, loads what the guard needs to know, and
    /// starts the background task that keeps it fresh.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] or [`Error::Migration`], or what can befall any call ([`Error`]); nothing is left running then.
    pub async fn connect(config: AuthConfig) -> Result<Self, Error> {
        config.check()?;
        if config.is_cookie_insecure() {
            tracing::warn!(
                "the refresh cookie is insecure, neither Secure nor protected by its name: on loopback only"
            );
        }
        blocking(move || Self::connect_blocking(&config)).await
    }

    /// Applies the migrations that are pending. Several instances may do so at once.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] or [`Error::Migration`], or what can befall any call ([`Error`]).
    pub async fn migrate(config: &AuthConfig) -> Result<usize, Error> {
        config.check()?;
        let options = store_options(config);
        blocking(move || migrate(&options)).await
    }

    /// Registers the routes of the scope at `path`, and what the extractors need: for [`App::configure`].
    ///
    /// [`App::configure`]: actix_web::App::configure
    pub fn routes(&self, path: &str) -> impl FnOnce(&mut ServiceConfig) + use<> {
        let (path, state) = (path.to_owned(), self.state.clone());
        move |app| routes::configure(app, &path, state)
    }

    /// Middleware that lets only authenticated requests through.
    pub fn guard(&self) -> Guard {
        Guard::new(self.verifier())
    }

    /// Middleware, to be wrapped outermost, that keeps the cookies of this crate from handlers and access logs.
    pub fn hide_cookie(&self) -> HideCookie {
        HideCookie::new(self.state.cookies.clone())
    }

    /// Middleware that gives every request an identifier, by which what is logged about it is found.
    pub fn trace_requests(&self) -> TraceRequests {
        TraceRequests::new(self.state.proxies.clone())
    }

    /// The verifier behind the guard.
    pub fn verifier(&self) -> Verifier {
        self.state.verifier.clone()
    }

    /// Whether this node can serve: the database answers, and this node hears of sessions that end elsewhere. What had ended
    /// before was loaded by [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`Error::Database`] with the reason, within three seconds. The guard goes on by what the node knows.
    pub async fn ready(&self) -> Result<(), Error> {
        self.state.run(Actor::Service, |service| service.ping().into()).await?;
        let RevocationStatus { lag, .. } = self.revocation_status();
        if lag < MAX_LAG {
            return Ok(());
        }
        Err(Error::Database(format!("revocations were last read {} s ago", lag.as_secs())))
    }

    /// How far behind this node is with sessions that end elsewhere. For monitoring; costs nothing.
    pub fn revocation_status(&self) -> RevocationStatus {
        let lag = self.state.verifier.revocation_lag().unwrap_or_default();
        RevocationStatus { lag, listening: self.hints.as_ref().is_some_and(|hints| hints.listening()) }
    }

    fn connect_blocking(config: &AuthConfig) -> Result<Self, Error> {
        meters::begin(&ALARMS);
        let options = store_options(config);
        migrate(&options)?;
        let store = Store::open(options)?;
        let keys = StartedKeys::start(config.keys()?, &store)?;
        let rules = AccessTokenRules::new(&config.issuer, &config.audience);
        let verifier = Verifier::new(keys.key_set()?, rules, Clock::database(database_time(&store)?))
            .with_leeway(config.leeway);
        let (events, writer) = events(config, &store, Arc::clone(verifier.clock()))?;
        let announcer = Announcer::new(verifier.clone());
        let keyring = Arc::new(keys.into_keyring(store.clone(), announcer.clone(), Arc::clone(&events)));
        let watch = RevocationWatch::start(Watched {
            store: store.clone(),
            verifier: verifier.clone(),
            keyring: Arc::clone(&keyring),
            interval: config.poll_interval,
        })?;
        let hints = config.listens_at().map(|url| Hints::start(url, &announcer, &watch)).transpose()?;
        let issuer = TokenIssuer {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            client_id: config.client_id.clone(),
        };
        let service = Arc::new(service(config, store, issuer, keyring, events)?);
        let interval = Some(config.prune_interval).filter(|interval| !interval.is_zero());
        let housekeeper =
            interval.map(|interval| Housekeeper::start(Arc::clone(&service.upkeep), interval)).transpose()?;
        let state = state(config, service, verifier, announcer)?;
        let (state, hints) = (Arc::new(state), hints.map(Arc::new));
        let sampled = Sampled { state: Arc::downgrade(&state), hints: hints.as_ref().map(Arc::downgrade) };
        Ok(Self {
            state: web::Data::from(state),
            _watch: Arc::new(watch),
            hints,
            _housekeeper: housekeeper.map(Arc::new),
            _event_writer: writer.map(Arc::new),
            _sampler: Arc::new(Sampler::start(sampled)?),
        })
    }
}

/// What the routes share.
fn state(
    config: &AuthConfig,
    service: Arc<Service>,
    verifier: Verifier,
    announcer: Announcer,
) -> Result<State, Error> {
    let (hashes, patience) = (hashing_permits(config), config.hashing_patience);
    let jobs = Jobs::start(config.database_pool, hashes, patience, Arc::clone(&service));
    Ok(State {
        service,
        verifier,
        announcer,
        jobs: jobs.map_err(|error| Error::Internal(error.to_string()))?,
        cookies: config.cookies()?,
        origins: config.origins()?,
        proxies: config.trusted_proxies.clone(),
        registration_open: config.registration == Registration::Open,
        examines: config.doctor,
        refresh_requires_access_token: config.refresh_requires_access_token,
    })
}

pub(crate) fn service(
    config: &AuthConfig,
    store: Store,
    issuer: TokenIssuer,
    keyring: Arc<Keyring>,
    events: Arc<Events>,
) -> Result<Service, Error> {
    let hasher = Hasher::new(config.hash_params, config.hash_memory)
        .map_err(|error| Error::Internal(error.to_string()))?;
    let hasher = match &config.hooks.foreign_verifier {
        Some(verify) => hasher.with_foreign_verifier(Arc::clone(verify)),
        None => hasher,
    };
    let upkeep = Arc::new(upkeep(config, &store, &events));
    Ok(Service {
        store,
        refresh_keys: RefreshTokenKeys::new(&config.secret, config.secret_previous.as_ref()),
        envelopes: Envelopes::new(&config.secret, config.secret_previous.as_ref(), &config.issuer),
        refresh_format: config.refresh_format,
        issuer,
        keyring,
        hasher,
        throttle: config.throttle(),
        devices: DeviceKeys::new(&config.secret, config.secret_previous.as_ref()),
        policy: config.password_policy.clone(),
        lifetimes: Lifetimes {
            access: span(config.access_ttl),
            mobile_access: span(config.mobile_access_ttl),
            refresh: span(config.refresh_ttl),
            session: span(config.session_ttl),
            grace: span(config.refresh_grace),
        },
        max_sessions: config.max_sessions,
        hooks: config.hooks.clone(),
        events,
        upkeep,
    })
}

fn upkeep(config: &AuthConfig, store: &Store, events: &Arc<Events>) -> Upkeep {
    Upkeep {
        store: store.clone(),
        events: Arc::clone(events),
        grace: span(config.refresh_grace),
        events_kept: config.events_kept(),
    }
}

/// Where events go, and what writes them to the table if they are stored.
fn events(
    config: &AuthConfig,
    store: &Store,
    clock: Arc<Clock>,
) -> Result<(Arc<Events>, Option<EventWriter>), Error> {
    let table: Option<Arc<EventQueue>> = config.events_kept().map(|_| Arc::default());
    let events = Events::new(clock, config.hooks.on_event.clone(), table.clone());
    let writer = table.map(|queue| EventWriter::start(store.clone(), queue)).transpose()?;
    Ok((Arc::new(events), writer))
}

pub(crate) fn store_options(config: &AuthConfig) -> StoreOptions {
    StoreOptions {
        database_url: config.database_url.clone(),
        pool_size: config.database_pool,
        pool_timeout: DATABASE_DEADLINE,
        prepared_statements: config.prepared_statements,
        transaction_limit: config.transaction_limit,
    }
}

/// As many hashes at once as there are cores, and as the memory budget allows.
fn hashing_permits(config: &AuthConfig) -> usize {
    let by_memory = config.hash_memory / config.hash_params.memory_bytes().max(1);
    let by_memory = usize::try_from(by_memory).unwrap_or(usize::MAX);
    available_parallelism().map_or(1, usize::from).min(by_memory).max(1)
}

fn migrate(options: &StoreOptions) -> Result<usize, Error> {
    Ok(migrations::run(&mut first_connection(options)?)?)
}

fn check_migrated(options: &StoreOptions) -> Result<(), Error> {
    if migrations::pending(&mut first_connection(options)?)? { Err(Error::NotMigrated) } else { Ok(()) }
}

/// Looks first whether the way to the database is one on which anything can be prepared.
fn first_connection(options: &StoreOptions) -> Result<PgConnection, Error> {
    if let Some(fault) = Store::loses_statements(options)? {
        return Err(lost_statements(&fault).into());
    }
    Ok(Store::connect(options)?)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let span = Span::current();
    spawn_blocking(move || span.in_scope(work))
        .await
        .unwrap_or_else(|error| Err(Error::Internal(error.to_string())))
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(reason) => Self::Database(reason),
            StoreError::Refused => Self::Refused,
            StoreError::Failed(error) => Self::Database(error.to_string()),
            StoreError::Hook(reason) => Self::Internal(reason),
            StoreError::Corrupt(what) => Self::Internal(what.into()),
        }
    }
}

/// For handlers of the host's own: what they pass on with `?` is answered in the form of this crate. What the client cannot
/// help is logged and not told.
impl From<Error> for AuthError {
    fn from(error: Error) -> Self {
        Self::from(match error {
            Error::UnknownUser | Error::UnknownKey => ErrorCode::NotFound,
            Error::Taken => ErrorCode::EmailTaken,
            Error::Invalid(reason) => return Self::with_reason(ErrorCode::InvalidRequest, &reason),
            Error::Refused => ErrorCode::Forbidden,
            Error::Overloaded => return Self::overloaded(),
            Error::Config(_)
            | Error::Database(_)
            | Error::Migration(_)
            | Error::NotMigrated
            | Error::Internal(_) => {
                tracing::error!(%error, "a request could not be answered");
                ErrorCode::StorageUnavailable
            }
        })
    }
}

impl From<MigrationError> for Error {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Database(error) => Self::Database(error.to_string()),
            MigrationError::Migration(error) => Self::Migration(error.to_string()),
        }
    }
}

impl From<KeyringError> for Error {
    fn from(error: KeyringError) -> Self {
        if let Some(misfit) = misfit(&error) {
            return Self::Config(misfit);
        }
        match error {
            KeyringError::Store(error) => error.into(),
            KeyringError::UnknownKey => Self::UnknownKey,
            KeyringError::Unchangeable(reason) => Self::Invalid(reason.into()),
            other => Self::Internal(other.to_string()),
        }
    }
}
