//! Passwords at the default cost. What a login costs must not tell whether there is an account.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing better to do")]

use std::hint::black_box;

use actix_authflow::testing::internals::Passwords;
use criterion::{Criterion, criterion_group, criterion_main};

const RIGHT: &str = "correct horse battery staple";
const WRONG: &str = "incorrect horse battery staple";

fn passwords(c: &mut Criterion) {
    let passwords = Passwords::new();
    let stored = passwords.hash(RIGHT);
    assert!(passwords.verify(RIGHT, Some(&stored)));
    assert!(!passwords.verify(WRONG, Some(&stored)));
    assert!(!passwords.verify(RIGHT, None));

    let mut group = c.benchmark_group("passwords");
    group.sample_size(20);
    group.bench_function("hash", |b| b.iter(|| passwords.hash(black_box(RIGHT))));
    group.bench_function("verify: right", |b| b.iter(|| passwords.verify(black_box(RIGHT), Some(&stored))));
    group.bench_function("verify: wrong", |b| b.iter(|| passwords.verify(black_box(WRONG), Some(&stored))));
    group.bench_function("verify: unknown user", |b| b.iter(|| passwords.verify(black_box(WRONG), None)));
    group.finish();
}

criterion_group!(benches, passwords);
criterion_main!(benches);
