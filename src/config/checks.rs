//! The rules for values that the type of a setter cannot hold by itself, those that span several values among them.

use std::time::Duration;

use super::{AuthConfig, ConfigError, values};
use crate::domain::access_token::{MAX_LEEWAY, MAX_LIFE};

impl AuthConfig {
    pub(super) fn check_names(&self) -> Result<(), ConfigError> {
        for (variable, value) in [
            ("AUTHFLOW_ISSUER", &self.issuer),
            ("AUTHFLOW_AUDIENCE", &self.audience),
            ("AUTHFLOW_CLIENT_ID", &self.client_id),
        ] {
            if value.is_empty() || value.len() > 255 || value.chars().any(char::is_control) {
                let fault = "must have 1 to 255 bytes and no control characters";
                return Err(ConfigError::new(variable, fault, "https://app.example.com"));
            }
        }
        Ok(())
    }

    pub(super) fn check_lifetimes(&self) -> Result<(), ConfigError> {
        let day = Duration::from_secs(MAX_LIFE.unsigned_abs());
        let second = Duration::from_secs(1);
        for (variable, value, least, most, example) in [
            ("AUTHFLOW_ACCESS_TTL", self.access_ttl, second, day, "30m"),
            ("AUTHFLOW_MOBILE_ACCESS_TTL", self.mobile_access_ttl, second, day, "5m"),
            ("AUTHFLOW_LEEWAY", self.leeway, Duration::ZERO, MAX_LEEWAY, "5s"),
            ("AUTHFLOW_REFRESH_GRACE", self.refresh_grace, Duration::ZERO, 300 * second, "30s"),
            ("AUTHFLOW_PRUNE_INTERVAL", self.prune_interval, Duration::ZERO, day, "5m"),
            ("AUTHFLOW_EVENTS_RETENTION", self.events_retention, Duration::ZERO, 3_650 * day, "90d"),
            ("AUTHFLOW_REFRESH_TTL", self.refresh_ttl, second, 3_650 * day, "14d"),
            ("AUTHFLOW_SESSION_TTL", self.session_ttl, second, 3_650 * day, "30d"),
            ("AUTHFLOW_SIGNING_KEY_TTL", self.signing_key_ttl, day, 3_650 * day, "90d"),
        ] {
            if value < least || value > most {
                let fault = format!("must be from {}s to {}s", least.as_secs(), most.as_secs());
                return Err(ConfigError::new(variable, fault, example));
            }
        }
        if self.refresh_ttl > self.session_ttl {
            let fault = "must not be longer than AUTHFLOW_SESSION_TTL";
            return Err(ConfigError::new("AUTHFLOW_REFRESH_TTL", fault, "14d"));
        }
        if self.refresh_grace >= self.refresh_ttl {
            let fault = "must be shorter than AUTHFLOW_REFRESH_TTL";
            return Err(ConfigError::new("AUTHFLOW_REFRESH_GRACE", fault, "30s"));
        }
        Ok(())
    }

    pub(super) fn check_resources(&self) -> Result<(), ConfigError> {
        if !(1..=1_000).contains(&self.database_pool) {
            return Err(ConfigError::new("AUTHFLOW_DATABASE_POOL", "must be from 1 to 1000", "16"));
        }
        if !(1..=10_000).contains(&self.max_sessions) {
            return Err(ConfigError::new("AUTHFLOW_MAX_SESSIONS", "must be from 1 to 10000", "100"));
        }
        if !(10..=1_000).contains(&self.login_ceiling) {
            return Err(ConfigError::new("AUTHFLOW_LOGIN_CEILING", "must be from 10 to 1000", "100"));
        }
        let one_hash = self.hash_params.memory_bytes();
        if self.hash_memory < one_hash {
            let fault = format!("must be at least {one_hash} bytes, for one hash");
            return Err(ConfigError::new("AUTHFLOW_HASH_MEMORY", fault, "256MiB"));
        }
        if self.cookie_insecure && !self.bind.ip().is_loopback() {
            let fault = "is only for loopback, but AUTHFLOW_BIND is not a loopback address";
            return Err(ConfigError::new("AUTHFLOW_COOKIE_INSECURE", fault, "0"));
        }
        if self.metrics_bind == Some(self.bind) && self.bind.port() != 0 {
            let fault = "must be another address than AUTHFLOW_BIND: metrics are not for the public";
            return Err(ConfigError::new("AUTHFLOW_METRICS_BIND", fault, "127.0.0.1:9464"));
        }
        values::check_database_url("DATABASE_URL", self.database_url())?;
        self.check_listen_url()
    }
}
