//! The past of sessions, so that nobody has to wait for a window to pass.

use std::sync::{Arc, Mutex};

use actix_web::rt::task::spawn_blocking;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};

/// Where time passes for sessions: in whichever server takes writes.
#[derive(Clone)]
pub(crate) struct Past {
    url: String,
    connection: Arc<Mutex<Option<PgConnection>>>,
}

impl Past {
    pub(crate) fn of(url: &str) -> Past {
        Past { url: url.to_owned(), connection: Arc::default() }
    }

    /// Lets the window of a session's newest token pass, if there is a server to be had.
    pub(crate) async fn move_by_a_window(&self, session: String) {
        let past = self.clone();
        spawn_blocking(move || {
            let mut kept = past.connection.lock().unwrap();
            let connection = kept.take().map_or_else(|| PgConnection::establish(&past.url), Ok);
            *kept = connection.ok().and_then(|mut connection| {
                let sql = format!(
                    "UPDATE authflow.refresh_tokens SET issued_at = issued_at - interval '31 seconds'
                     WHERE session_id = '{session}'"
                );
                connection.batch_execute(&sql).is_ok().then_some(connection)
            });
        })
        .await
        .unwrap();
    }
}
