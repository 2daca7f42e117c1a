//! Where the program's configuration comes from: the environment, `.env`, and for a newcomer a private Postgres.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use actix_authflow::AuthConfig;
use actix_authflow::local_postgres::LocalPostgres;
use uuid::Uuid;

use super::Result;

/// What the program keeps for a newcomer.
const DIRECTORY: &str = ".authflow";
/// The private Postgres, in there.
const POSTGRES: &str = "postgres";

/// The configuration, and what has to outlive it.
pub(crate) struct Environment {
    pub(crate) config: AuthConfig,
    /// Present where no `DATABASE_URL` was given. Stops when dropped.
    pub(crate) local: Option<Local>,
}

/// The newcomer's private set-up.
pub(crate) struct Local {
    pub(crate) postgres: LocalPostgres,
    pub(crate) secret_file: PathBuf,
}

/// Reads `.env` from here or above; variables that are set already win.
pub(crate) fn load_dotenv() -> Result {
    match dotenvy::dotenv() {
        // The error repeats the line, in which there may be a secret.
        Err(dotenvy::Error::LineParse(..)) => {
            Err("the file .env has a line that is not NAME=value, or a quote that is not closed".into())
        }
        Err(error) if !error.not_found() => Err(format!("the file .env cannot be read: {error}").into()),
        _ => Ok(()),
    }
}

impl Environment {
    /// Reads the environment. Without `DATABASE_URL` it starts the private Postgres in `./.authflow` and, unless
    /// `AUTHFLOW_SECRET` is set, keeps a generated secret beside it.
    pub(crate) fn prepare() -> Result<Self> {
        Self::prepare_with(&[])
    }

    /// The same for what is done to a database that exists: where there is none it makes none. A forgotten `DATABASE_URL`
    /// would otherwise have everything done, in a database that nobody serves.
    pub(crate) fn existing() -> Result<Self> {
        if !is_set("DATABASE_URL") {
            if !Path::new(DIRECTORY).join(POSTGRES).join("data").exists() {
                return Err(format!(
                    "DATABASE_URL is not set, and there is no private Postgres in ./{DIRECTORY}: set the variables that \
                     the service is started with (for example: DATABASE_URL=postgres://user:password@localhost/app)"
                )
                .into());
            }
            tracing::warn!("DATABASE_URL is not set: this is about the private Postgres in ./{DIRECTORY}");
        }
        Self::prepare()
    }

    /// [`prepare`](Self::prepare) with these values for variables that are not set.
    pub(crate) fn prepare_with(defaults: &[(&str, &str)]) -> Result<Self> {
        let unset = defaults.iter().filter(|(name, _)| !is_set(name));
        let mut variables = text_variables();
        variables.extend(unset.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        if is_set("DATABASE_URL") {
            return Ok(Self { config: AuthConfig::from_variables(variables)?, local: None });
        }
        let directory = Path::new(DIRECTORY);
        fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        ignore_in_git(directory)?;
        let secret_file = directory.join("secret");
        if !is_set("AUTHFLOW_SECRET") {
            variables.push(("AUTHFLOW_SECRET".into(), kept_secret(&secret_file)?));
        }
        let postgres = LocalPostgres::open(&directory.join(POSTGRES))?;
        variables.push(("DATABASE_URL".into(), postgres.url("postgres")));
        let config = AuthConfig::from_variables(variables)?;
        Ok(Self { config, local: Some(Local { postgres, secret_file }) })
    }
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// The environment as text. Variables of others may be any bytes, and are none of our business.
fn text_variables() -> Vec<(String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// The secret in the file, generated at the first start. Only its owner may read it.
fn kept_secret(file: &Path) -> Result<String> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut new) => {
            // Two UUIDs of version 4 have 244 random bits from the operating system.
            let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
            new.write_all(secret.as_bytes())?;
            Ok(secret)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Ok(fs::read_to_string(file)?.trim().to_owned())
        }
        Err(error) => Err(format!("{} cannot be written: {error}", file.display()).into()),
    }
}

/// Nobody should commit a database and a secret by accident.
fn ignore_in_git(directory: &Path) -> Result {
    match OpenOptions::new().write(true).create_new(true).open(directory.join(".gitignore")) {
        Ok(mut file) => Ok(file.write_all(b"*\n")?),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}
