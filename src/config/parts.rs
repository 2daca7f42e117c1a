//! What each layer gets of the configuration.

use chrono::TimeDelta;
use secrecy::{ExposeSecret as _, SecretString};

use super::{AuthConfig, ConfigError, span, values};
use crate::domain::throttle::Throttle;
use crate::http::cookie::{Cookies, DEFAULT_SUFFIX, Security};
use crate::http::csrf::OriginPolicy;
use crate::http::origin::{InvalidOrigin, Origin};

/// Where nodes tell each other of revocations.
#[derive(Debug, Clone, Default)]
pub(crate) enum ListenUrl {
    /// Where the database is.
    #[default]
    Database,
    /// At a URL of its own.
    Direct(SecretString),
    /// Nowhere.
    Off,
}

impl From<String> for ListenUrl {
    fn from(url: String) -> Self {
        if url.is_empty() { Self::Off } else { Self::Direct(url.into()) }
    }
}

impl AuthConfig {
    /// Where to listen, if anywhere.
    pub(crate) fn listens_at(&self) -> Option<SecretString> {
        match &self.listen_url {
            ListenUrl::Database => Some(self.database_url.clone()),
            ListenUrl::Direct(url) => Some(url.clone()),
            ListenUrl::Off => None,
        }
    }

    pub(super) fn check_listen_url(&self) -> Result<(), ConfigError> {
        match &self.listen_url {
            ListenUrl::Direct(url) => values::check_database_url("AUTHFLOW_LISTEN_URL", url.expose_secret()),
            ListenUrl::Database | ListenUrl::Off => Ok(()),
        }
    }

    pub(crate) fn cookies(&self) -> Result<Cookies, ConfigError> {
        let security = if self.cookie_insecure { Security::Insecure } else { Security::Secure };
        Cookies::new(&self.cookie_name, security)
            .map_err(|error| ConfigError::new("AUTHFLOW_COOKIE_NAME", error.to_string(), DEFAULT_SUFFIX))
    }

    /// None if attempts are not to be counted.
    pub(crate) fn throttle(&self) -> Option<Throttle> {
        self.login_throttle.then(|| Throttle::new(&self.secret, self.login_ceiling))
    }

    /// How long events are stored, if they are.
    pub(crate) fn events_kept(&self) -> Option<TimeDelta> {
        (!self.events_retention.is_zero()).then(|| span(self.events_retention))
    }

    pub(crate) fn origins(&self) -> Result<OriginPolicy, ConfigError> {
        let origins: Result<Vec<Origin>, _> =
            self.allowed_origins.iter().map(|origin| origin.parse()).collect();
        origins.map(OriginPolicy::new).map_err(|error: InvalidOrigin| {
            ConfigError::new("AUTHFLOW_ALLOWED_ORIGINS", error.to_string(), "https://app.example.com")
        })
    }
}

/// What is wrong with the configuration where a pooler in front of the database loses prepared statements.
pub(crate) fn lost_statements(fault: &str) -> ConfigError {
    let fault = format!(
        "is true, but a pooler in front of the database loses prepared statements ({fault}): let it keep them \
         (PgBouncer from 1.21 on, with max_prepared_statements above 0), or do without"
    );
    ConfigError::new("AUTHFLOW_PREPARED_STATEMENTS", fault, "false")
}
