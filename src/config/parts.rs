//! What each layer gets of the configuration.

use super::{AuthConfig, ConfigError};
use crate::http::cookie::{RefreshCookie, Security};
use crate::http::csrf::OriginPolicy;
use crate::http::origin::{InvalidOrigin, Origin};

impl AuthConfig {
    pub(crate) fn cookie(&self) -> Result<RefreshCookie, ConfigError> {
        let security = if self.cookie_insecure { Security::Insecure } else { Security::Secure };
        RefreshCookie::new(&self.cookie_name, security)
            .map_err(|error| ConfigError::new("AUTHFLOW_COOKIE_NAME", error.to_string(), "refresh_token"))
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
