//! `authflow keys`.

use std::time::Duration;

use actix_authflow::{Auth, AuthConfig, KeyState, Maintenance, RotateKeys, SigningKeyInfo};
use actix_web::web;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;

use super::Result;
use super::environment::Environment;

/// What can be done about the signing keys.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the signing keys, past ones included.
    List,
    /// Let a new key sign. Nobody is logged out.
    ///
    /// It is announced first, and signs after an hour, when everybody who caches the published keys knows it. Keys also
    /// rotate by themselves, every AUTHFLOW_SIGNING_KEY_TTL.
    Rotate {
        /// Do not wait for those who cache the published keys: sign after five seconds.
        #[arg(long)]
        now: bool,
    },
    /// Declare a key compromised: refuse it everywhere, and end the sessions whose last access token it signed.
    Compromise {
        /// The key id, as listed.
        // One in 64 begins with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

pub(crate) async fn run(command: Command) -> Result {
    let environment = web::block(|| Environment::existing().map_err(|error| error.to_string())).await??;
    let config = environment.config;
    match command {
        Command::List => list(&Maintenance::connect(config).await?.keys().await?),
        Command::Rotate { now } => {
            let auth = node(config).await?;
            let when = if now { RotateKeys::Now } else { RotateKeys::Announced };
            let key = auth.rotate_keys(when).await?;
            println!("{} is announced and signs from {}", key.kid(), time(key.signs_from()));
        }
        Command::Compromise { kid } => {
            let auth = node(config).await?;
            let ended = auth.compromise_key(&kid).await?;
            println!("{kid} is refused; sessions ended: {ended}");
            let keys = auth.keys().await?;
            if let Some(key) = keys.iter().find(|key| key.state() == KeyState::Signing) {
                println!("{} signs", key.kid());
            }
        }
    }
    drop(environment.local);
    Ok(())
}

/// Whoever changes keys does so as a node, by whose configuration new ones are made.
async fn node(config: AuthConfig) -> Result<Auth> {
    Ok(Auth::connect(config.prune_interval(Duration::ZERO)).await?)
}

fn list(keys: &[SigningKeyInfo]) {
    println!("{:<43}  {:<5}  {:<7}  {:<11}", "KEY ID", "ALG", "FROM", "STATE");
    for key in keys {
        let (kid, algorithm) = (key.kid(), key.algorithm().as_str());
        println!("{kid:<43}  {algorithm:<5}  {:<7}  {:<11}  {}", key.origin(), key.state(), times(key));
    }
}

fn times(key: &SigningKeyInfo) -> String {
    let until = key.expires_at().map_or_else(String::new, time);
    match (key.state(), key.compromised_at()) {
        (KeyState::Announced, _) => format!("signs from {}", time(key.signs_from())),
        (KeyState::Signing, _) => format!("since {}", time(key.signs_from())),
        (KeyState::Retired, _) => format!("verifies until {until}"),
        (_, Some(compromised_at)) => format!("since {}", time(compromised_at)),
        _ => String::new(),
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
