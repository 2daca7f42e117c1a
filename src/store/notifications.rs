//! `NOTIFY` and `LISTEN`: one node tells the others that there is something to read in the table.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::server::takes_writes;
use super::{StoreError, one_line, with_timeouts};

/// How long a first notification of one's own may take to come back.
const ECHO: Duration = Duration::from_secs(2);

/// A connection that hears the other nodes, and by which they are told.
pub(crate) struct Listener {
    connection: PgConnection,
    /// What this one sends, so as not to heed itself. It says nothing else, and nobody has to believe it.
    tag: String,
}

impl Listener {
    /// Connects and listens, and makes sure that what others send arrives: through a pooler in transaction mode it would
    /// not, and nothing would ever say so.
    pub(crate) fn connect(url: &SecretString) -> Result<Self, StoreError> {
        let mut listener = Self { connection: open(url)?, tag: Uuid::new_v4().to_string() };
        listener.confirm()?;
        listener.execute("LISTEN authflow_revocations")?;
        // As another node would, on a connection of its own.
        Self { connection: open(url)?, tag: listener.tag.clone() }.notify()?;
        let deadline = Instant::now() + ECHO;
        while listener.received()?.iter().all(|payload| *payload != listener.tag) {
            if Instant::now() > deadline {
                // Whoever gets this connection from the pooler next is to be spared what nobody reads.
                listener.execute("UNLISTEN *")?;
                let reason = "notifications do not arrive; is there a pooler in between?";
                return Err(StoreError::Unavailable(reason.into()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(listener)
    }

    /// Tells the other nodes. One statement, in no transaction: `NOTIFY` takes a lock of the whole server at its commit.
    pub(crate) fn notify(&mut self) -> Result<(), StoreError> {
        self.execute(&format!("NOTIFY authflow_revocations, '{}'", self.tag))
    }

    /// Whether another node has told something since the last call. Does not wait.
    pub(crate) fn heard(&mut self) -> Result<bool, StoreError> {
        Ok(self.received()?.iter().any(|payload| *payload != self.tag))
    }

    /// Fails where the server takes no writes: no session ends there, so nobody tells of any.
    pub(crate) fn confirm(&mut self) -> Result<(), StoreError> {
        if takes_writes(&mut self.connection).map_err(broken)? {
            return Ok(());
        }
        Err(StoreError::Unavailable("the server takes no writes".into()))
    }

    fn received(&mut self) -> Result<Vec<String>, StoreError> {
        let received = self.connection.notifications_iter().map(|one| one.map(|one| one.payload));
        received.collect::<Result<_, _>>().map_err(broken)
    }

    fn execute(&mut self, sql: &str) -> Result<(), StoreError> {
        self.connection.batch_execute(sql).map_err(broken)
    }
}

fn open(url: &SecretString) -> Result<PgConnection, StoreError> {
    PgConnection::establish(&with_timeouts(url.expose_secret()))
        .map_err(|error| StoreError::Unavailable(one_line(&error.to_string())))
}

/// Whatever goes wrong here, the remedy is another connection.
fn broken(error: diesel::result::Error) -> StoreError {
    StoreError::Unavailable(one_line(&error.to_string()))
}
