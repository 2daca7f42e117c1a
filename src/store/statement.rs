//! Hand-written SQL that Diesel prepares once per connection.
//!
//! `diesel::sql_query` is parsed and planned by Postgres on every call. A query node with a static query id is prepared
//! the first time and only executed after that: one round trip.

/// Defines a statement: its inputs (name, SQL type, Rust type), the SQL type of its rows, and its text.
///
/// The text follows upon `WITH input AS NOT MATERIALIZED (SELECT $1 AS first_name, ...)`, so that it can use each input
/// by its name, as often as it likes; Postgres folds such a one-row query into its uses. It therefore starts with the
/// next `, name AS (...)` or with the main query.
macro_rules! statement {
    (
        $(#[$doc:meta])*
        $name:ident { $($field:ident: $sql_type:ty = $rust_type:ty),* $(,)? } -> $row:ty,
        $text:expr
    ) => {
        $(#[$doc])*
        #[derive(diesel::query_builder::QueryId)]
        pub(super) struct $name {
            $(pub(super) $field: $rust_type),*
        }

        impl diesel::query_builder::Query for $name {
            type SqlType = $row;
        }

        impl diesel::RunQueryDsl<diesel::PgConnection> for $name {}

        impl diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::QueryResult<()> {
                out.push_sql("WITH input AS NOT MATERIALIZED (SELECT ");
                #[allow(unused_mut, reason = "a statement without inputs")]
                let mut before = "";
                $(
                    out.push_sql(before);
                    out.push_bind_param::<$sql_type, _>(&self.$field)?;
                    out.push_sql(concat!(" AS ", stringify!($field)));
                    before = ", ";
                )*
                let _ = before;
                out.push_sql(")");
                out.push_sql($text);
                Ok(())
            }
        }
    };
}

pub(super) use statement;
