//! What is wrong with a configuration, and what to do about it.

use std::borrow::Cow;

/// A value of the configuration that cannot be used. Never contains a secret.
///
/// ```
/// use std::time::Duration;
/// use actix_authflow::{AuthConfig, ServerSecret};
///
/// # fn secret() -> String { "Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA".into() }
/// let config = AuthConfig::new("postgres://localhost/app", ServerSecret::new(secret())?)
///     .refresh_grace(Duration::from_secs(3600));
/// let error = config.check().unwrap_err();
/// assert_eq!(error.variable(), "AUTHFLOW_REFRESH_GRACE");
/// # Ok::<(), actix_authflow::WeakSecret>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {fault} (for example: {variable}={example})")]
pub struct ConfigError {
    variable: &'static str,
    fault: Cow<'static, str>,
    example: Cow<'static, str>,
}

impl ConfigError {
    pub(crate) fn new(
        variable: &'static str,
        fault: impl Into<Cow<'static, str>>,
        example: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { variable, fault: fault.into(), example: example.into() }
    }

    /// The environment variable that gives the value. The setter has the same name in lower case, without the prefix (but
    /// for `signing_algorithm`, `signing_algorithm_force` and `signing_key_pem`).
    pub fn variable(&self) -> &'static str {
        self.variable
    }
}
