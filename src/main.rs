//! The program `authflow`: the scope of the library as a service of its own. It can do nothing that the library cannot.

#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod program;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::program::{doctor, environment, keys, prune, screen, serve, sessions};

/// Short-lived JWT + long-lived refresh token, as a service.
///
/// Configured by environment variables (DATABASE_URL, AUTHFLOW_SECRET, ...; see the README) and a file `.env`. Without
/// DATABASE_URL `serve` and `migrate` make a private Postgres in ./.authflow from the Postgres programs on this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the scope at /auth, with a page at /, /healthz, /readyz and a guarded /api/me.
    Serve {
        /// Let the page show expiries, rotation chains and thieves: short lives, and a program that keeps copies of the
        /// tokens it sends. On loopback only.
        #[arg(long)]
        demo: bool,
    },
    /// Apply pending migrations and exit.
    Migrate,
    /// Delete what nobody needs any more and exit. A serving program does so by itself.
    Prune,
    /// Ask from outside whether a proxy in front leaves requests and answers as they are.
    Doctor(doctor::Options),
    /// List, rotate or give up the signing keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// End sessions.
    #[command(subcommand)]
    Sessions(sessions::Command),
}

#[actix_web::main]
async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let result = match environment::load_dotenv() {
        Ok(()) => {
            log_to_stderr();
            run(command).await
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("authflow: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> program::Result {
    match command {
        Command::Serve { demo } => serve::serve(demo).await,
        Command::Doctor(options) => doctor::doctor(options).await,
        Command::Keys(command) => keys::run(command).await,
        Command::Sessions(command) => sessions::run(command).await,
        Command::Migrate => {
            let environment = environment::Environment::prepare()?;
            let applied = actix_authflow::Auth::migrate(&environment.config).await?;
            screen::show(&format!("{applied} migrations applied"));
            Ok(())
        }
        Command::Prune => prune::prune().await,
    }
}

fn log_to_stderr() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}
