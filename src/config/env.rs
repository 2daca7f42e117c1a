//! The configuration from environment variables.

use std::net::SocketAddr;

use secrecy::SecretString;

use super::values::{duration, list, size, whole};
use super::{AuthConfig, ConfigError, Registration};
use crate::domain::refresh_jwt::RefreshFormat;
use crate::domain::secret::ServerSecret;
use crate::http::client::TrustedProxies;

/// Where an example secret comes from; the secret itself is never shown.
const SECRET_EXAMPLE: &str = "$(openssl rand -base64 32)";

impl AuthConfig {
    /// Reads the configuration from the environment; `DATABASE_URL` and `AUTHFLOW_SECRET` are required. Variables that are
    /// set but empty count as not set, but for `AUTHFLOW_LISTEN_URL`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a variable is missing or malformed. An unknown one that begins with `AUTHFLOW_` is only warned
    /// about, because Kubernetes sets such variables for a service of that name.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.into_string().unwrap_or_else(|_| "\u{fffd}".into())))
        }))
    }

    /// Reads the configuration from pairs of names and values, as [`from_env`](Self::from_env) does.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let ours = |name: &str| name == "DATABASE_URL" || name.starts_with("AUTHFLOW_");
        let counts = |name: &str, value: &str| !value.is_empty() || name == "AUTHFLOW_LISTEN_URL";
        let variables = variables.into_iter().filter(|(name, value)| ours(name) && counts(name, value));
        let mut variables = Variables(variables.collect());
        let url = variables.take("DATABASE_URL").ok_or_else(|| {
            let fault = "is not set; it says which Postgres to use";
            ConfigError::new("DATABASE_URL", fault, "postgres://user:password@localhost/app")
        })?;
        let secret = variables.secret("AUTHFLOW_SECRET")?.ok_or_else(|| {
            let fault = "is not set; the server's keys are derived from it";
            ConfigError::new("AUTHFLOW_SECRET", fault, SECRET_EXAMPLE)
        })?;
        let mut config = Self::new(url, secret);
        config.secret_previous = variables.secret("AUTHFLOW_SECRET_PREVIOUS")?;
        if let Some(url) = variables.take("AUTHFLOW_LISTEN_URL") {
            config = config.listen_url(url);
        }
        config.read_names(&mut variables)?;
        config.read_lifetimes(&mut variables)?;
        config.read_network(&mut variables)?;
        config.read_resources(&mut variables)?;
        variables.warn_of_the_rest();
        Ok(config)
    }

    fn read_names(&mut self, variables: &mut Variables) -> Result<(), ConfigError> {
        variables
            .set("AUTHFLOW_ISSUER", "https://app.example.com", &mut self.issuer, |text| Some(text.into()))?;
        variables.set("AUTHFLOW_AUDIENCE", "my-api", &mut self.audience, |text| Some(text.into()))?;
        variables.set("AUTHFLOW_CLIENT_ID", "my-app", &mut self.client_id, |text| Some(text.into()))?;
        variables
            .set("AUTHFLOW_COOKIE_NAME", "refresh_token", &mut self.cookie_name, |text| Some(text.into()))?;
        variables
            .set("AUTHFLOW_SIGNING_ALG", "EdDSA", &mut self.signing_algorithm, |text| text.parse().ok())?;
        variables.set("AUTHFLOW_REFRESH_FORMAT", "jwt", &mut self.refresh_format, |text| match text {
            "opaque" => Some(RefreshFormat::Opaque),
            "jwt" => Some(RefreshFormat::Jwt),
            _ => None,
        })?;
        variables.set("AUTHFLOW_SIGNING_ALG_FORCE", "1", &mut self.signing_algorithm_force, switch)?;
        if let Some(path) = variables.take("AUTHFLOW_SIGNING_KEY_FILE") {
            let key = std::fs::read_to_string(&path).map_err(|error| {
                let fault = format!("names a file that cannot be read: {error}");
                ConfigError::new("AUTHFLOW_SIGNING_KEY_FILE", fault, "/etc/authflow/signing-key.pem")
            })?;
            self.signing_key = Some(SecretString::from(key));
        }
        variables.set("AUTHFLOW_REGISTRATION", "closed", &mut self.registration, |text| match text {
            "open" => Some(Registration::Open),
            "closed" => Some(Registration::Closed),
            _ => None,
        })
    }

    fn read_lifetimes(&mut self, variables: &mut Variables) -> Result<(), ConfigError> {
        variables.set("AUTHFLOW_ACCESS_TTL", "30m", &mut self.access_ttl, duration)?;
        variables.set("AUTHFLOW_MOBILE_ACCESS_TTL", "5m", &mut self.mobile_access_ttl, duration)?;
        variables.set("AUTHFLOW_LEEWAY", "5s", &mut self.leeway, duration)?;
        variables.set("AUTHFLOW_REFRESH_TTL", "14d", &mut self.refresh_ttl, duration)?;
        variables.set("AUTHFLOW_SESSION_TTL", "30d", &mut self.session_ttl, duration)?;
        variables.set("AUTHFLOW_REFRESH_GRACE", "30s", &mut self.refresh_grace, duration)?;
        variables.set("AUTHFLOW_SIGNING_KEY_TTL", "90d", &mut self.signing_key_ttl, duration)?;
        let required = &mut self.refresh_requires_access_token;
        variables.set("AUTHFLOW_REFRESH_REQUIRES_ACCESS_TOKEN", "true", required, switch)
    }

    fn read_network(&mut self, variables: &mut Variables) -> Result<(), ConfigError> {
        variables
            .set("AUTHFLOW_BIND", "127.0.0.1:8080", &mut self.bind, |text| text.parse::<SocketAddr>().ok())?;
        variables.set("AUTHFLOW_METRICS_BIND", "127.0.0.1:9464", &mut self.metrics_bind, |text| {
            text.parse().ok().map(Some)
        })?;
        variables.set(
            "AUTHFLOW_ALLOWED_ORIGINS",
            "https://app.example.com",
            &mut self.allowed_origins,
            |text| Some(list(text).map(str::to_owned).collect()),
        )?;
        variables.set(
            "AUTHFLOW_TRUSTED_PROXIES",
            "10.0.0.0/8,192.0.2.7",
            &mut self.trusted_proxies,
            |text| TrustedProxies::parse(text).ok(),
        )?;
        variables.set("AUTHFLOW_DOCTOR", "1", &mut self.doctor, switch)?;
        variables.set("AUTHFLOW_COOKIE_INSECURE", "1", &mut self.cookie_insecure, switch)
    }

    fn read_resources(&mut self, variables: &mut Variables) -> Result<(), ConfigError> {
        let number = |text: &str| whole(text).and_then(|number| u32::try_from(number).ok());
        variables.set("AUTHFLOW_DATABASE_POOL", "16", &mut self.database_pool, number)?;
        variables.set("AUTHFLOW_PRUNE_INTERVAL", "5m", &mut self.prune_interval, duration)?;
        variables.set("AUTHFLOW_EVENTS_RETENTION", "90d", &mut self.events_retention, duration)?;
        variables.set("AUTHFLOW_MAX_SESSIONS", "100", &mut self.max_sessions, number)?;
        variables.set("AUTHFLOW_LOGIN_THROTTLE", "true", &mut self.login_throttle, switch)?;
        variables.set("AUTHFLOW_LOGIN_CEILING", "100", &mut self.login_ceiling, number)?;
        variables.set("AUTHFLOW_PREPARED_STATEMENTS", "true", &mut self.prepared_statements, switch)?;
        variables.set("AUTHFLOW_HASH_MEMORY", "256MiB", &mut self.hash_memory, size)
    }
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// The variables that have not been read yet.
struct Variables(std::collections::BTreeMap<String, String>);

impl Variables {
    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    fn secret(&mut self, name: &'static str) -> Result<Option<ServerSecret>, ConfigError> {
        let secret = self.take(name).map(ServerSecret::new).transpose();
        secret.map_err(|weak| ConfigError::new(name, weak.to_string(), SECRET_EXAMPLE))
    }

    /// Stores the value of a variable that is set. None of these is a secret, so a fault may show the value.
    fn set<T>(
        &mut self,
        name: &'static str,
        example: &'static str,
        target: &mut T,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<(), ConfigError> {
        if let Some(text) = self.take(name) {
            let malformed =
                || ConfigError::new(name, format!("has a value of the wrong form: {text:?}"), example);
            *target = parse(text.trim()).ok_or_else(malformed)?;
        }
        Ok(())
    }

    /// A misspelt name would otherwise be a setting that silently does nothing.
    fn warn_of_the_rest(&self) {
        for variable in self.0.keys() {
            tracing::warn!(%variable, "no variable that this version knows; check its spelling");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::ExposeSecret as _;

    use super::*;

    const SECRET: (&str, &str) = ("AUTHFLOW_SECRET", "Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA");
    const URL: (&str, &str) = ("DATABASE_URL", "postgres://localhost/app");

    fn read(variables: &[(&str, &str)]) -> Result<AuthConfig, ConfigError> {
        let all = [&[SECRET, URL], variables].concat();
        let config =
            AuthConfig::from_variables(all.iter().map(|(name, value)| ((*name).into(), (*value).into())))?;
        config.check().map(|()| config)
    }

    #[test]
    fn two_variables_are_enough_and_the_rest_has_defaults() {
        let config = read(&[]).unwrap();
        assert_eq!(config.access_ttl, Duration::from_secs(1800));
        assert_eq!(config.refresh_grace, Duration::from_secs(30));
        assert_eq!(config.bind.to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn without_a_database_or_a_secret_there_is_no_configuration() {
        for (missing, present) in [("DATABASE_URL", SECRET), ("AUTHFLOW_SECRET", URL)] {
            let variables =
                [(present.0.to_owned(), present.1.to_owned()), (missing.to_owned(), String::new())];
            assert_eq!(AuthConfig::from_variables(variables).map(drop).unwrap_err().variable(), missing);
        }
    }

    #[test]
    fn every_variable_is_read() {
        let config = read(&[
            ("AUTHFLOW_ISSUER", "https://i.example"),
            ("AUTHFLOW_ACCESS_TTL", "10m"),
            ("AUTHFLOW_LEEWAY", "30s"),
            ("AUTHFLOW_REFRESH_GRACE", "0s"),
            ("AUTHFLOW_REGISTRATION", "closed"),
            ("AUTHFLOW_SIGNING_ALG", "ES256"),
            ("AUTHFLOW_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7, ::1"),
            ("AUTHFLOW_ALLOWED_ORIGINS", "https://a.example,https://b.example:8443"),
            ("AUTHFLOW_HASH_MEMORY", "64MiB"),
            ("AUTHFLOW_PREPARED_STATEMENTS", "false"),
            ("AUTHFLOW_LOGIN_THROTTLE", "false"),
            ("AUTHFLOW_LOGIN_CEILING", "50"),
        ])
        .unwrap();
        assert_eq!(config.issuer, "https://i.example");
        assert_eq!(config.leeway, Duration::from_secs(30));
        assert_eq!(config.trusted_proxies, TrustedProxies::parse("10.0.0.0/8,192.0.2.7,::1").unwrap());
        assert_eq!(config.allowed_origins.len(), 2);
        assert_eq!(config.hash_memory, 64 << 20);
        assert!(!config.prepared_statements);
        assert_eq!((config.login_throttle, config.login_ceiling), (false, 50));
    }

    #[test]
    fn each_bad_value_is_an_error_that_names_its_variable() {
        for (variable, value) in [
            ("AUTHFLOW_SECRET", "short"),
            ("AUTHFLOW_SECRET_PREVIOUS", "short"),
            ("AUTHFLOW_BIND", "8080"),
            ("AUTHFLOW_ISSUER", "a\nb"),
            ("AUTHFLOW_REGISTRATION", "maybe"),
            ("AUTHFLOW_ACCESS_TTL", "30"),
            ("AUTHFLOW_ACCESS_TTL", "0s"),
            ("AUTHFLOW_ACCESS_TTL", "25h"),
            ("AUTHFLOW_MOBILE_ACCESS_TTL", "soon"),
            ("AUTHFLOW_REFRESH_TTL", "31d"),
            ("AUTHFLOW_LEEWAY", "31s"),
            ("AUTHFLOW_REFRESH_GRACE", "6m"),
            ("AUTHFLOW_REFRESH_REQUIRES_ACCESS_TOKEN", "yes"),
            ("AUTHFLOW_REFRESH_FORMAT", "paseto"),
            ("AUTHFLOW_SIGNING_ALG", "none"),
            ("AUTHFLOW_SIGNING_ALG_FORCE", "yes"),
            ("AUTHFLOW_SIGNING_KEY_TTL", "1h"),
            ("AUTHFLOW_SIGNING_KEY_FILE", "/nonexistent/key.pem"),
            ("AUTHFLOW_ALLOWED_ORIGINS", "app.example.com"),
            ("AUTHFLOW_TRUSTED_PROXIES", "everybody"),
            ("AUTHFLOW_DATABASE_POOL", "0"),
            ("AUTHFLOW_MAX_SESSIONS", "0"),
            ("AUTHFLOW_LOGIN_THROTTLE", "sometimes"),
            ("AUTHFLOW_LOGIN_CEILING", "9"),
            ("AUTHFLOW_LOGIN_CEILING", "1001"),
            ("AUTHFLOW_PRUNE_INTERVAL", "25h"),
            ("AUTHFLOW_PRUNE_INTERVAL", "often"),
            ("AUTHFLOW_EVENTS_RETENTION", "90"),
            ("AUTHFLOW_EVENTS_RETENTION", "3651d"),
            ("AUTHFLOW_MAX_SESSIONS", "many"),
            ("AUTHFLOW_PREPARED_STATEMENTS", "no"),
            ("AUTHFLOW_HASH_MEMORY", "1MiB"),
            ("AUTHFLOW_COOKIE_NAME", "a;b"),
            ("AUTHFLOW_LISTEN_URL", "https://db.example.com/app"),
            ("AUTHFLOW_COOKIE_NAME", "shop_device"),
            ("AUTHFLOW_METRICS_BIND", "9464"),
            ("AUTHFLOW_METRICS_BIND", "127.0.0.1:8080"),
        ] {
            let error = read(&[(variable, value)]).map(drop).unwrap_err();
            assert_eq!(error.variable(), variable, "{value}: {error}");
            assert!(error.to_string().contains("for example"), "{error}");
        }
    }

    #[test]
    fn nodes_listen_where_the_database_is_or_elsewhere_or_not_at_all() {
        let listens_at = |variables: &[(&str, &str)]| {
            read(variables).unwrap().listens_at().map(|url| url.expose_secret().to_owned())
        };
        assert_eq!(listens_at(&[]).as_deref(), Some(URL.1));
        let direct = "postgres://db.example.com:5433/app";
        assert_eq!(listens_at(&[("AUTHFLOW_LISTEN_URL", direct)]).as_deref(), Some(direct));
        assert_eq!(listens_at(&[("AUTHFLOW_LISTEN_URL", "")]), None);
    }

    #[test]
    fn the_url_of_something_else_is_refused_without_its_password() {
        let error =
            read(&[("AUTHFLOW_LISTEN_URL", "mysql://user:hunter2@localhost/app")]).map(drop).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn an_insecure_cookie_is_for_loopback_only() {
        assert!(read(&[("AUTHFLOW_COOKIE_INSECURE", "1")]).is_ok());
        let error = read(&[("AUTHFLOW_COOKIE_INSECURE", "1"), ("AUTHFLOW_BIND", "0.0.0.0:80")])
            .map(drop)
            .unwrap_err();
        assert_eq!(error.variable(), "AUTHFLOW_COOKIE_INSECURE");
    }

    #[test]
    fn a_foreign_variable_does_not_stop_the_start() {
        assert!(read(&[("AUTHFLOW_PORT_8080_TCP_ADDR", "10.0.0.1")]).is_ok());
    }

    #[test]
    fn no_secret_is_ever_in_an_error() {
        let error = read(&[("AUTHFLOW_SECRET", "hunter2")]).map(drop).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
