//! Postgres through Diesel. Queries are methods, one file per table; rows become domain values here and nowhere else.

mod attempts;
mod deadline;
mod events;
mod housekeeping;
pub(crate) mod migrations;
mod notifications;
mod password_change;
mod pooler;
mod refresh_tokens;
#[expect(unreachable_pub, reason = "generated")]
mod schema;
mod server;
mod sessions;
mod settled;
mod signers;
mod signing_keys;
mod statement;
mod user_sessions;
mod users;
mod walk;

use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, CacheSize, TransactionManager as _};
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection, State};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::{Connection, PgConnection, QueryResult};
use secrecy::{ExposeSecret as _, SecretString};

pub(crate) use self::attempts::Reserved;
pub(crate) use self::deadline::until;
pub(crate) use self::housekeeping::Deleted;
pub(crate) use self::notifications::Listener;
pub(crate) use self::password_change::{Change, OwnAccount};
pub(crate) use self::refresh_tokens::{ChainRead, Rotation, RotationTerms};
use self::server::Lost;
pub(crate) use self::sessions::{NewSession, Started, StartedSession};
pub(crate) use self::signing_keys::Keys;
pub(crate) use self::users::{NewUser, UserInsertion};

/// How often a statement that lost a race (40001, 40P01) is tried before the race is given up.
const RACE_ATTEMPTS: u32 = 10;
/// How long a transaction may take until its commit is sent, and how long Postgres may wait for that then. Twice this is
/// the longest time from the timestamp of a revocation to its commit, and every node reads back further than that.
pub(crate) const TRANSACTION_LIMIT: Duration = Duration::from_secs(15);

/// How the store reaches the database.
#[derive(Debug, Clone)]
pub(crate) struct StoreOptions {
    /// Secret, because there may be a password in it.
    pub(crate) database_url: SecretString,
    /// Connections at most.
    pub(crate) pool_size: u32,
    /// How long a job waits for a connection.
    pub(crate) pool_timeout: Duration,
    /// Off for poolers that cannot keep prepared statements.
    pub(crate) prepared_statements: bool,
    /// [`TRANSACTION_LIMIT`], but in tests.
    pub(crate) transaction_limit: Duration,
}

/// Why the store could not do its work. Expected outcomes are values, not errors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// No connection, or it broke, or the database refuses writes: the same call may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Something that should not happen.
    #[error("a query failed: {0}")]
    Failed(#[from] DieselError),
    /// A hook of the host's rolled its transaction back.
    #[error("the host refused")]
    Refused,
    /// A hook of the host's gave something unusable.
    #[error("a hook of the host's cannot be used: {0}")]
    Hook(String),
    /// A row that no code of this crate writes.
    #[error("an impossible row: {0}")]
    Corrupt(&'static str),
}

/// The database: a pool of connections and the queries of every table.
#[derive(Clone)]
pub(crate) struct Store {
    pool: Pool<ConnectionManager<PgConnection>>,
    options: StoreOptions,
}

/// A connection lent to one piece of work. The queries are its methods.
pub(crate) struct Session<'a> {
    connection: &'a mut PgConnection,
}

impl Store {
    /// Opens the pool; at least one connection must come up in time.
    pub(crate) fn open(options: StoreOptions) -> Result<Self, StoreError> {
        // libpq's own word for what is wrong is better than the pool's time-out.
        Self::connect(&options)?;
        let pool = Pool::builder()
            .max_size(options.pool_size)
            .min_idle(Some(1))
            .connection_timeout(options.pool_timeout)
            .test_on_check_out(false)
            .connection_customizer(Box::new(Customizer(options.clone())))
            .error_handler(Box::new(LogPoolErrors))
            .build_unchecked(ConnectionManager::new(with_timeouts(options.database_url.expose_secret())));
        Ok(Self { pool, options })
    }

    /// A connection outside any pool.
    pub(crate) fn connect(options: &StoreOptions) -> Result<PgConnection, StoreError> {
        let mut connection = PgConnection::establish(&with_timeouts(options.database_url.expose_secret()))
            .map_err(|error| StoreError::Unavailable(one_line(&error.to_string())))?;
        configure(&mut connection, options);
        Ok(connection)
    }

    /// A connection outside the pool, for work that must not wait for it.
    pub(crate) fn dedicated(&self) -> Result<PgConnection, StoreError> {
        Self::connect(&self.options)
    }

    /// Runs `work`, and runs it again after a lost race, or once on another connection after one that broke or that leads to a
    /// server which takes no writes (any more).
    ///
    /// `work` may therefore run several times, with an earlier run committed although its answer was lost. It must come to
    /// the same result then: identifiers and nonces are drawn before, and finding them in the database means "this is
    /// my own commit".
    pub(crate) fn run<T>(
        &self,
        mut work: impl FnMut(&mut Session<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut lost = None;
        let mut races = 0;
        loop {
            let mut connection = match lost {
                None => self.connection()?,
                Some(lost) => self.live_connection(lost)?,
            };
            let result = work(&mut Session { connection: &mut connection });
            match result {
                Err(StoreError::Failed(error)) if Lost::by(&error) > lost => {
                    lost = Lost::by(&error);
                    tracing::debug!(?lost, "retrying once on another connection");
                    server::leave(&mut connection);
                }
                Err(StoreError::Failed(error)) if is_lost_race(&error) && races < RACE_ATTEMPTS => {
                    races += 1;
                    drop(connection);
                    std::thread::sleep(Duration::from_millis(u64::from(races)));
                }
                Err(StoreError::Failed(error)) if is_unavailable(&error) => {
                    return Err(StoreError::Unavailable(error.to_string()));
                }
                other => return other,
            }
        }
    }

    /// Runs `work` in one transaction of READ COMMITTED, whatever the database's default: each of its statements must see
    /// what others committed before it.
    ///
    /// One that takes longer than the limit is rolled back. The clock of this process sees to it up to the commit, and
    /// Postgres, if nothing comes from here any more. The settings come with `BEGIN`, in the same round trip, and end with
    /// the transaction, so that a pooler may be in between.
    pub(crate) fn transaction<T>(
        &self,
        mut work: impl FnMut(&mut Session<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let limit = self.options.transaction_limit;
        let milliseconds = limit.as_millis();
        let begin = format!(
            "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED; \
             SET LOCAL idle_in_transaction_session_timeout = {milliseconds}; SET LOCAL lock_timeout = {milliseconds}"
        );
        self.run(|session| {
            let (began, connection) = (Instant::now(), &mut *session.connection);
            AnsiTransactionManager::begin_transaction_sql(connection, &begin)?;
            let done = work(&mut Session { connection }).and_then(|done| {
                let late = || StoreError::Unavailable("a transaction took too long".into());
                if began.elapsed() < limit { Ok(done) } else { Err(late()) }
            });
            match done {
                Ok(done) => {
                    AnsiTransactionManager::commit_transaction(connection).map(|()| done).map_err(Into::into)
                }
                Err(error) => match AnsiTransactionManager::rollback_transaction(connection) {
                    // The first error is why the connection broke.
                    Ok(()) | Err(DieselError::BrokenTransactionManager) => Err(error),
                    Err(rollback) => Err(rollback.into()),
                },
            }
        })
    }

    /// How the pool stands: connections in use, idle ones, and how many it may have.
    pub(crate) fn pool(&self) -> (u32, u32, u32) {
        let State { connections, idle_connections: idle, .. } = self.pool.state();
        (connections.saturating_sub(idle), idle, self.options.pool_size)
    }

    fn connection(&self) -> Result<PooledConnection<ConnectionManager<PgConnection>>, StoreError> {
        deadline::still_awaited()?;
        let patience =
            deadline::remaining().unwrap_or(self.options.pool_timeout).min(self.options.pool_timeout);
        self.pool.get_timeout(patience).map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// A connection that has just answered, and that takes writes if that is what was lost. After a restart of the database
    /// or a failover every idle connection may be of no use; each one taken here leaves the pool, so the search ends. Where
    /// none is idle the one that comes is new, and there is no better.
    fn live_connection(
        &self,
        lost: Lost,
    ) -> Result<PooledConnection<ConnectionManager<PgConnection>>, StoreError> {
        for _ in 0..=self.options.pool_size {
            let new = self.pool.state().idle_connections == 0;
            let mut connection = self.connection()?;
            match (lost, server::takes_writes(&mut connection)) {
                (_, Ok(true)) | (Lost::Connection, Ok(false)) => return Ok(connection),
                (Lost::Writes, Ok(false)) if new => break,
                (Lost::Writes, Ok(false)) => server::leave(&mut connection),
                (_, Err(_)) => {}
            }
        }
        Err(StoreError::Unavailable("no connection of the pool is of use".into()))
    }
}

impl Session<'_> {
    /// Asks the database for a sign of life.
    pub(crate) fn ping(&mut self) -> Result<(), StoreError> {
        Ok(ping(self.connection)?)
    }

    /// Fails where whoever asked has been answered, between two statements of which the second must not begin then.
    pub(crate) fn still_awaited(&self) -> Result<(), StoreError> {
        deadline::still_awaited()
    }

    /// The connection itself, for hooks of the host that run in the same transaction.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        self.connection
    }
}

/// For work on a connection of one's own.
impl<'a> From<&'a mut PgConnection> for Session<'a> {
    fn from(connection: &'a mut PgConnection) -> Self {
        Self { connection }
    }
}

/// libpq explains itself over several lines; a log has one for each event.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn ping(connection: &mut PgConnection) -> QueryResult<()> {
    use diesel::connection::SimpleConnection as _;
    connection.batch_execute("SELECT 1")
}

/// The connection string with bounds on how long a dead peer is waited for, where it does not set its own: libpq's defaults
/// are minutes to hours. Harmless on Unix sockets.
fn with_timeouts(url: &str) -> String {
    let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let mut separator = match (is_url, url.contains('?')) {
        (true, false) => '?',
        (true, true) => '&',
        (false, _) => ' ',
    };
    let mut full = url.to_owned();
    for (name, value) in [
        ("connect_timeout", "5"),
        ("keepalives_idle", "10"),
        ("keepalives_interval", "5"),
        ("keepalives_count", "3"),
        ("tcp_user_timeout", "15000"),
    ] {
        if !url.contains(name) {
            full.extend([separator.to_string().as_str(), name, "=", value]);
            separator = if is_url { '&' } else { ' ' };
        }
    }
    full
}

fn configure(connection: &mut PgConnection, options: &StoreOptions) {
    if !options.prepared_statements {
        connection.set_prepared_statement_cache_size(CacheSize::Disabled);
    }
}

fn is_unavailable(error: &DieselError) -> bool {
    Lost::by(error).is_some()
}

/// 40001 (serialization failure) or 40P01 (deadlock). Diesel names only the first, and keeps the code of the others to itself.
/// A deadlock comes with details, whatever language the server speaks; of what else can befall a statement of this crate
/// (a timeout, a missing right) nothing does. A hook of the host's may cause something that does, and then runs again in
/// vain.
fn is_lost_race(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) => info.details().is_some(),
        _ => false,
    }
}

#[derive(Debug)]
struct Customizer(StoreOptions);

impl CustomizeConnection<PgConnection, diesel::r2d2::Error> for Customizer {
    fn on_acquire(&self, connection: &mut PgConnection) -> Result<(), diesel::r2d2::Error> {
        configure(connection, &self.0);
        Ok(())
    }
}

#[derive(Debug)]
struct LogPoolErrors;

impl r2d2::HandleError<diesel::r2d2::Error> for LogPoolErrors {
    fn handle_error(&self, error: diesel::r2d2::Error) {
        tracing::warn!(%error, "no new database connection");
    }
}

#[cfg(test)]
mod tests {
    use super::with_timeouts;

    #[test]
    fn timeouts_are_added_where_none_are_set() {
        assert!(
            with_timeouts("postgres://h/db")
                .starts_with("postgres://h/db?connect_timeout=5&keepalives_idle=10&")
        );
        assert!(
            with_timeouts("postgres://h/db?sslmode=require").contains("?sslmode=require&connect_timeout=5&")
        );
        assert!(with_timeouts("host=h dbname=db").contains("dbname=db connect_timeout=5 keepalives_idle=10"));
        assert!(!with_timeouts("postgres://h/db?connect_timeout=9").contains("connect_timeout=5"));
    }
}
