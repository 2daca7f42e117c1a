//! Rows shaped like a generation, in a table with nothing but its primary key: the least that a rotation could insert.

use actix_authflow::testing::internals::Pooled;
use chrono::Utc;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use uuid::Uuid;

pub(crate) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS bare_rows (session_id uuid, generation integer, \
     digest bytea, nonce bytea, issued_at timestamptz, expires_at timestamptz, PRIMARY KEY (session_id, generation))";

diesel::table! {
    bare_rows (session_id, generation) {
        session_id -> Uuid,
        generation -> Int4,
        digest -> Binary,
        nonce -> Binary,
        issued_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

/// Bare insertions, one after the other.
pub(crate) struct Insertions {
    connection: Pooled,
    session_id: Uuid,
    generation: i32,
}

impl Insertions {
    pub(crate) fn start(connection: Pooled) -> Self {
        connection.lend(|connection| connection.batch_execute(CREATE_TABLE));
        Self { connection, session_id: Uuid::now_v7(), generation: 0 }
    }

    /// Answers with the number of rows inserted.
    pub(crate) fn insert(&mut self) -> usize {
        self.generation += 1;
        let now = Utc::now();
        let row = (
            bare_rows::session_id.eq(self.session_id),
            bare_rows::generation.eq(self.generation),
            bare_rows::digest.eq([7; 32].as_slice()),
            bare_rows::nonce.eq([7; 16].as_slice()),
            bare_rows::issued_at.eq(now),
            bare_rows::expires_at.eq(now),
        );
        self.connection
            .lend(|connection| diesel::insert_into(bare_rows::table).values(row).execute(connection))
    }
}
