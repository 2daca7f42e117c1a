//! `authflow prune`.

use std::time::Duration;

use actix_authflow::Auth;

use super::Result;
use super::environment::Environment;

/// One pass of housekeeping, for whoever runs it by a timer of their own.
pub(crate) async fn prune() -> Result {
    let environment = Environment::existing()?;
    let auth = Auth::connect(environment.config.clone().prune_interval(Duration::ZERO)).await?;
    let done = auth.prune().await?;
    println!(
        "{} sessions ended, {} refresh tokens, {} sessions, {} users, {} events and {} counts of attempts deleted",
        done.sessions_ended, done.refresh_tokens, done.sessions, done.users, done.events, done.attempts
    );
    Ok(())
}
