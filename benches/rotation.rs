//! A whole refresh with a window of 0, beside its statement alone, beside a bare durable insertion of a row of that
//! shape.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing better to do")]

mod support;

use actix_authflow::testing::internals::Refreshes;
use criterion::{Criterion, criterion_group, criterion_main};
use support::bare_rows::Insertions;
use support::database::Database;

fn rotation(c: &mut Criterion) {
    let database = Database::open();
    eprintln!("{}", database.settings());
    let mut refreshes = Refreshes::start(database.url());
    let mut statements = refreshes.statements();
    let mut insertions = Insertions::start(refreshes.connection());
    // All on one connection. From the sixth time on, Postgres uses one plan for all.
    for generation in 1..=10 {
        assert_eq!(refreshes.refresh(), generation);
        assert_eq!(statements.rotate(), generation);
        assert_eq!(insertions.insert(), 1);
    }

    let mut group = c.benchmark_group("rotation");
    group.bench_function("refresh", |b| b.iter(|| refreshes.refresh()));
    group.bench_function("statement", |b| b.iter(|| statements.rotate()));
    group.bench_function("bare insertion", |b| b.iter(|| insertions.insert()));
    group.finish();
}

criterion_group!(benches, rotation);
criterion_main!(benches);
