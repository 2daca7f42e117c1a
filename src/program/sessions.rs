//! `authflow sessions`.

use actix_authflow::Maintenance;
use actix_web::web;
use clap::Subcommand;

use super::Result;
use super::environment::Environment;

/// What can be done about sessions.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// End sessions, and say how many.
    Revoke {
        /// Every session of every user. All log in again.
        #[arg(long, required = true)]
        all: bool,
    },
}

pub(crate) async fn run(command: Command) -> Result {
    // The flag is there to be typed.
    let Command::Revoke { all: _ } = command;
    let environment = web::block(|| Environment::existing().map_err(|error| error.to_string())).await??;
    let maintenance = Maintenance::connect(environment.config).await?;
    println!("{} sessions ended", maintenance.revoke_all_sessions().await?);
    drop(maintenance);
    drop(environment.local);
    Ok(())
}
