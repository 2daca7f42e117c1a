//! `authflow prune`.

use actix_authflow::Maintenance;

use super::Result;
use super::environment::Environment;

/// One pass of housekeeping, for whoever runs it by a timer of their own.
pub(crate) async fn prune() -> Result {
    let environment = Environment::existing()?;
    let done = Maintenance::connect(environment.config.clone()).await?.prune().await?;
    println!(
        "{} sessions ended, {} refresh tokens, {} sessions, {} users, {} events and {} counts of attempts deleted",
        done.sessions_ended, done.refresh_tokens, done.sessions, done.users, done.events, done.attempts
    );
    Ok(())
}
