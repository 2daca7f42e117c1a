//! Whether prepared statements survive the way to Postgres, on which there may be a pooler.
//!
//! A pooler that gives a connection of the server to another client after each transaction has to keep book of prepared
//! statements. One that does not (PgBouncer before 1.21) lets a client run what another has prepared under the same
//! name, or nothing at all.

use diesel::prelude::*;
use diesel::sql_types::Integer;

use super::statement::statement;
use super::{Store, StoreError, StoreOptions, is_unavailable};

/// So many turns of two connections. The first is enough where nobody else uses the pooler; otherwise chance has a say in
/// which connection of the server a turn is on.
const TURNS: u32 = 8;

statement! { One {} -> Integer, " SELECT 1 FROM input" }
statement! { Two {} -> Integer, " SELECT 2 FROM input" }

impl Store {
    /// What goes wrong with prepared statements between here and Postgres; `None` if nothing does, or if none are used.
    ///
    /// Two connections prepare different statements, which Diesel calls by the same name, and run them in turn.
    pub(crate) fn loses_statements(options: &StoreOptions) -> Result<Option<String>, StoreError> {
        if !options.prepared_statements {
            return Ok(None);
        }
        let (mut one, mut two) = (Self::connect(options)?, Self::connect(options)?);
        for _ in 0..TURNS {
            let answers = One {}
                .get_result::<i32>(&mut one)
                .and_then(|first| Ok((first, Two {}.get_result::<i32>(&mut two)?)));
            match answers {
                Ok((1, 2)) => {}
                Ok(_) => return Ok(Some("a statement of another connection was run".into())),
                Err(error) if is_unavailable(&error) => {
                    return Err(StoreError::Unavailable(error.to_string()));
                }
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
        Ok(None)
    }
}
