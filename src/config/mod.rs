//! Configuration: collected by the builder or from the environment, checked whole, then handed to each layer.

mod checks;
mod env;
mod error;
mod keys;
mod parts;
mod values;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use diesel::PgConnection;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

pub use self::error::ConfigError;
pub(crate) use self::keys::misfit;
use self::parts::ListenUrl;
pub(crate) use self::parts::lost_statements;
use crate::domain::access_token::DEFAULT_LEEWAY;
use crate::domain::event::SecurityEvent;
use crate::domain::keys::SigningAlgorithm;
use crate::domain::password::hash::HashParams;
use crate::domain::password::policy::PasswordPolicy;
use crate::domain::refresh_jwt::RefreshFormat;
use crate::domain::secret::ServerSecret;
use crate::domain::user::User;
use crate::http::client::TrustedProxies;
use crate::http::cookie::DEFAULT_SUFFIX;
use crate::http::origin::Origin;
use crate::service::hooks::{ClaimsRefused, ExtraClaims, Hooks, RegistrationError, TokenSubject};
use crate::store::TRANSACTION_LIMIT;

/// Whether `POST /register` makes users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registration {
    /// Anybody may register. The default.
    #[default]
    Open,
    /// Users are made by the host application; `/register` answers 404.
    Closed,
}

/// The configuration of an [`Auth`](crate::Auth).
///
/// Made by [`AuthConfig::from_env`] or, value by value, by [`AuthConfig::new`] and the setters. Nothing is checked before
/// [`Auth::connect`](crate::Auth::connect), which checks everything.
///
/// ```
/// use std::time::Duration;
/// use actix_authflow::{AuthConfig, ServerSecret};
///
/// # fn secret() -> String { "Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA".into() }
/// let config = AuthConfig::new("postgres://localhost/app", ServerSecret::new(secret())?)
///     .issuer("https://app.example.com")
///     .access_ttl(Duration::from_secs(15 * 60));
/// config.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AuthConfig {
    pub(crate) database_url: SecretString,
    pub(crate) secret: ServerSecret,
    pub(crate) secret_previous: Option<ServerSecret>,
    pub(crate) bind: SocketAddr,
    pub(crate) metrics_bind: Option<SocketAddr>,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) client_id: String,
    pub(crate) registration: Registration,
    pub(crate) access_ttl: Duration,
    pub(crate) mobile_access_ttl: Duration,
    pub(crate) leeway: Duration,
    pub(crate) refresh_ttl: Duration,
    pub(crate) session_ttl: Duration,
    pub(crate) refresh_grace: Duration,
    pub(crate) refresh_requires_access_token: bool,
    pub(crate) max_sessions: u32,
    pub(crate) login_throttle: bool,
    pub(crate) login_ceiling: u32,
    pub(crate) prune_interval: Duration,
    pub(crate) events_retention: Duration,
    pub(crate) refresh_format: RefreshFormat,
    pub(crate) signing_algorithm: SigningAlgorithm,
    pub(crate) signing_algorithm_force: bool,
    pub(crate) signing_key_ttl: Duration,
    /// Given by hand: PKCS#8 PEM or a JWK.
    pub(crate) signing_key: Option<SecretString>,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) doctor: bool,
    pub(crate) database_pool: u32,
    pub(crate) listen_url: ListenUrl,
    pub(crate) prepared_statements: bool,
    pub(crate) hash_memory: u64,
    pub(crate) hash_params: HashParams,
    pub(crate) password_policy: PasswordPolicy,
    pub(crate) cookie_name: String,
    pub(crate) cookie_insecure: bool,
    pub(crate) hooks: Hooks,
    /// How often revocations are read. Fixed, but in tests.
    pub(crate) poll_interval: Duration,
    /// How long a transaction may take. Fixed, but in tests.
    pub(crate) transaction_limit: Duration,
    /// How long a password waits for its turn to be hashed. Fixed, but in tests.
    pub(crate) hashing_patience: Duration,
}

impl AuthConfig {
    /// A configuration with the defaults, for a database and a master secret.
    pub fn new(database_url: impl Into<String>, secret: ServerSecret) -> Self {
        Self {
            database_url: SecretString::from(database_url.into()),
            secret,
            secret_previous: None,
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            metrics_bind: None,
            issuer: "authflow".into(),
            audience: "authflow".into(),
            client_id: "authflow".into(),
            registration: Registration::default(),
            access_ttl: Duration::from_secs(30 * 60),
            mobile_access_ttl: Duration::from_secs(5 * 60),
            leeway: DEFAULT_LEEWAY,
            refresh_ttl: Duration::from_secs(14 * 24 * 60 * 60),
            session_ttl: Duration::from_secs(30 * 24 * 60 * 60),
            refresh_grace: Duration::from_secs(30),
            refresh_requires_access_token: true,
            max_sessions: 100,
            login_throttle: true,
            login_ceiling: 100,
            prune_interval: Duration::from_secs(5 * 60),
            events_retention: Duration::ZERO,
            refresh_format: RefreshFormat::default(),
            signing_algorithm: SigningAlgorithm::default(),
            signing_algorithm_force: false,
            signing_key_ttl: Duration::from_secs(90 * 24 * 60 * 60),
            signing_key: None,
            allowed_origins: Vec::new(),
            trusted_proxies: TrustedProxies::default(),
            doctor: false,
            database_pool: 16,
            listen_url: ListenUrl::default(),
            prepared_statements: true,
            hash_memory: 256 << 20,
            hash_params: HashParams::default(),
            password_policy: PasswordPolicy::default(),
            cookie_name: DEFAULT_SUFFIX.into(),
            cookie_insecure: false,
            hooks: Hooks::default(),
            poll_interval: Duration::from_secs(1),
            transaction_limit: TRANSACTION_LIMIT,
            hashing_patience: Duration::from_secs(2),
        }
    }
}

/// Generates the setters that only store a value.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty),+ $(,)?) => {
        impl AuthConfig {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(mut self, $name: $type) -> Self {
                    self.$name = $name;
                    self
                }
            )+
        }
    };
}

setters! {
    /// How long an access token of a cookie session lives. Defaults to 30 minutes; at most 24 hours.
    access_ttl: Duration,
    /// How long an access token of a body session lives. Defaults to 5 minutes; at most 24 hours.
    mobile_access_ttl: Duration,
    /// How far clocks may differ, in whole seconds: an access token counts for that long beyond its `exp`. Defaults to 5
    /// seconds; at most 30. Services that only verify set their own: [`Verifier::with_leeway`](crate::Verifier::with_leeway).
    leeway: Duration,
    /// How long a refresh token lives unused. Defaults to 14 days.
    refresh_ttl: Duration,
    /// How long a session lives at most. Defaults to 30 days. Retired signing keys are kept for that long and a day: where it
    /// is lowered, a session from before that rests for longer across a change of keys cannot be refreshed any more.
    session_ttl: Duration,
    /// How long the predecessor of a refresh token still counts. Defaults to 30 seconds; 0 to 5 minutes. With 0 every token
    /// is strictly single-use, which is not for browsers: a second tab that refreshes at the same time is theft then.
    refresh_grace: Duration,
    /// Whether a refresh needs the access token as well. Defaults to `true`; `false` serves clients that keep it in memory
    /// only, and then demands a same-origin `Origin` or `Sec-Fetch-Site`.
    refresh_requires_access_token: bool,
    /// How many sessions a user may have at once; a login beyond that ends the oldest. Defaults to 100; 1 to 10,000.
    max_sessions: u32,
    /// Whether failed logins are counted and slowed down (429), and with them registrations and changes of passwords. Defaults
    /// to `true`; `false` is for hosts that do it in front.
    login_throttle: bool,
    /// How many logins in a row may fail on one account from devices that have never logged in to it, before there is one an
    /// hour for all of them. Defaults to 100; 10 to 1,000.
    login_ceiling: u32,
    /// How often what nobody needs any more is deleted (see [`Auth::prune`](crate::Auth::prune)). Defaults to 5 minutes; at most
    /// 24 hours; 0 leaves it to calls of that function.
    prune_interval: Duration,
    /// How long security events are kept in the table `authflow.events`. Defaults to 0: none are stored; at most ten years.
    /// They are written in the background, and housekeeping deletes them.
    events_retention: Duration,
    /// The form of the refresh tokens of body sessions. Defaults to opaque. Both forms are accepted at any time.
    refresh_format: RefreshFormat,
    /// The algorithm of access tokens. Defaults to EdDSA. Between EdDSA and ES256 it can be changed at any time: a key of the
    /// other algorithm is announced and takes over, and nobody is logged out.
    signing_algorithm: SigningAlgorithm,
    /// Lets the algorithm be changed to or from HS256 although that logs everybody out. Defaults to `false`.
    signing_algorithm_force: bool,
    /// How long a stored key signs before the next takes over by itself. Defaults to 90 days; at least one.
    signing_key_ttl: Duration,
    /// Whether `/register` makes users. Defaults to open.
    registration: Registration,
    /// Proxies whose `X-Forwarded-For` is believed. Defaults to none.
    trusted_proxies: TrustedProxies,
    /// The origins whose pages may call the scope, as `https://app.example.com`. Defaults to the scope's own origin, which has
    /// to be on a list as well if its pages call it.
    allowed_origins: Vec<String>,
    /// Whether the scope has the route `/doctor`, by which the program `authflow doctor` sees what a proxy in front does to
    /// requests and answers. Defaults to `false`. It tells callers what arrived of their own request and the address of the
    /// last proxy, so switch it on for as long as it is needed.
    doctor: bool,
    /// Database connections at most. Defaults to 16.
    database_pool: u32,
    /// Whether statements are prepared once per connection. Defaults to `true`; `false` behind PgBouncer before 1.21.
    prepared_statements: bool,
    /// Bytes of memory that password hashing may use at once. Defaults to 256 MiB. A stored hash that needs more than one of
    /// today's waits until there is room for it; one that needs more than all of this is computed alone.
    hash_memory: u64,
    /// The cost of a password hash. Defaults to (and is at least) Argon2id with 19 MiB, 2 passes, 1 lane.
    hash_params: HashParams,
    /// What a new password must be like. Defaults to 8 characters and not a common password.
    password_policy: PasswordPolicy,
    /// Names the cookie without prefix and without `Secure`, for browsers that take no Secure cookies on loopback. Defaults
    /// to `false`; refused unless [`bind`](Self::bind) is a loopback address. The library does not see where a host listens:
    /// it has to be loopback there too, and the start is a warning in the log.
    cookie_insecure: bool,
    /// Where the program `authflow` listens. Defaults to `127.0.0.1:8080`. The library binds nothing.
    bind: SocketAddr,
}

impl AuthConfig {
    /// Where the program `authflow` answers `/metrics`, for Prometheus. Defaults to nowhere. Keep it away from the public: it
    /// tells how much goes on. The library binds nothing; it records its metrics through the crate `metrics`.
    #[must_use]
    pub fn metrics_bind(mut self, address: SocketAddr) -> Self {
        self.metrics_bind = Some(address);
        self
    }

    /// A second master secret whose tokens are accepted, for changing the secret without logging anybody out.
    #[must_use]
    pub fn secret_previous(mut self, secret: ServerSecret) -> Self {
        self.secret_previous = Some(secret);
        self
    }

    /// The `iss` claim of access tokens (RFC 9068 §2.2). Defaults to `authflow`.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// The `aud` claim of access tokens (RFC 9068 §2.2). Defaults to `authflow`.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// The `client_id` claim of access tokens (RFC 9068 §2.2). Defaults to `authflow`.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// Where nodes tell each other of revocations by `LISTEN` and `NOTIFY`. Defaults to the database's URL; a pooler in
    /// transaction mode needs a direct one. Empty: they do not, and hear of each other by polling alone, within two seconds.
    #[must_use]
    pub fn listen_url(mut self, url: impl Into<String>) -> Self {
        self.listen_url = ListenUrl::from(url.into());
        self
    }

    /// The last part of the cookie's name. Defaults to `refresh_token`. The cookie by which a device is known again ends in
    /// `device` then, and else in this name and `_device`. Applications on several ports of one host need
    /// different ones, because browsers share cookies between ports.
    #[must_use]
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie_name = name.into();
        self
    }

    /// A signing key of one's own, Ed25519 or P-256 in PKCS#8 PEM form, instead of the stored ones. It is not rotated. Its
    /// predecessors go on verifying for as long as a session may live.
    #[must_use]
    pub fn signing_key_pem(mut self, pem: impl Into<String>) -> Self {
        self.signing_key = Some(SecretString::from(pem.into()));
        self
    }

    /// The same in the form of a private JSON Web Key (RFC 7517). Its `kid` does not matter: key ids are thumbprints.
    #[must_use]
    pub fn signing_key_jwk(mut self, jwk: impl Into<String>) -> Self {
        self.signing_key = Some(SecretString::from(jwk.into()));
        self
    }

    /// Takes part in the making of a user, in the same transaction: adds rows of the host's own, or refuses.
    ///
    /// The hook may run again after a lost race; what it did before has then been rolled back.
    #[must_use]
    pub fn on_registration(
        mut self,
        hook: impl Fn(&mut PgConnection, &User) -> Result<(), RegistrationError> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.on_registration = Some(Arc::new(hook));
        self
    }

    /// Adds claims of the host's own to every access token: a value that serialises to a JSON object. Called whenever a token
    /// is issued, before anything is consumed; must be quick, and must not use this crate's own names. Handlers read the
    /// claims back with [`HostClaims`](crate::HostClaims). Tokens are sent with every request: keep them small.
    ///
    /// ```
    /// # use actix_authflow::{AuthConfig, ClaimsRefused};
    /// #[derive(serde::Serialize)]
    /// struct Tenant {
    ///     tenant: String,
    /// }
    ///
    /// # fn example(config: AuthConfig) -> AuthConfig {
    /// config.claims(|subject| {
    ///     let email = subject.user.email.as_deref().ok_or(ClaimsRefused)?;
    ///     let (_, domain) = email.rsplit_once('@').ok_or(ClaimsRefused)?;
    ///     Ok(Tenant { tenant: domain.to_owned() })
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn claims<T: Serialize>(
        mut self,
        hook: impl Fn(&TokenSubject<'_>) -> Result<T, ClaimsRefused> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.claims =
            Some(Arc::new(move |subject: &TokenSubject<'_>| ExtraClaims::from_typed(hook(subject))));
        self
    }

    /// Hears of every [`SecurityEvent`]: logins, refused ones too, ended sessions, copies of tokens that came back.
    ///
    /// The request waits for the hook, so it must not block: send the event on, to a channel or a counter. A panic in it is
    /// logged and otherwise ignored.
    ///
    /// ```
    /// # use actix_authflow::{AuthConfig, EventKind};
    /// # fn example(config: AuthConfig, alarms: std::sync::mpsc::SyncSender<String>) -> AuthConfig {
    /// config.on_event(move |event| {
    ///     if let EventKind::RefreshTokenReused = event.kind {
    ///         // Where nobody keeps up, an alarm is lost rather than a request held up.
    ///         let _ = alarms.try_send(format!("a refresh token of {:?} was copied", event.user_id));
    ///     }
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn on_event(mut self, hook: impl Fn(&SecurityEvent) + Send + Sync + 'static) -> Self {
        self.hooks.on_event = Some(Arc::new(hook));
        self
    }

    /// Verifies password hashes that were imported from elsewhere: gets the stored hash and the password, answers whether
    /// they belong together, or `None` for a hash it does not know. After a login the password is hashed anew.
    #[must_use]
    pub fn verify_foreign_hash(
        mut self,
        verify: impl Fn(&str, &str) -> Option<bool> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.foreign_verifier = Some(Arc::new(verify));
        self
    }

    /// Checks every value and the rules between them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the variable, what is wrong with its value, and a remedy.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_names()?;
        self.check_lifetimes()?;
        self.check_resources()?;
        self.keys()?;
        self.cookies()?;
        self.origins().map(drop)
    }

    /// Where the program `authflow` listens.
    pub fn bind_address(&self) -> SocketAddr {
        self.bind
    }

    /// Where the program `authflow` answers `/metrics`, if anywhere.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_bind
    }

    /// Whether the cookie goes without `Secure` and prefix.
    pub fn is_cookie_insecure(&self) -> bool {
        self.cookie_insecure
    }

    /// The origins whose pages may call the scope, in the form in which browsers send them.
    pub fn origins_allowed(&self) -> Vec<String> {
        let sent = |origin: &String| {
            origin.parse().map_or_else(|_| origin.clone(), |origin: Origin| origin.to_string())
        };
        self.allowed_origins.iter().map(sent).collect()
    }

    /// How long the predecessor of a refresh token still gets the same successor.
    pub fn grace_window(&self) -> Duration {
        self.refresh_grace
    }

    pub(crate) fn database_url(&self) -> &str {
        self.database_url.expose_secret()
    }
}

/// A span of configuration, which is far below chrono's bounds.
pub(crate) fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
