//! Refresh tokens: the check of the tag, which comes before any query, and the derivation of a successor.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing better to do")]

use std::hint::black_box;

use actix_authflow::testing::internals::RefreshTokens;
use criterion::{Criterion, criterion_group, criterion_main};

fn parse(c: &mut Criterion) {
    let tokens = RefreshTokens::new();
    let genuine = tokens.first().text();
    let (_, from_elsewhere) = RefreshTokens::with_previous_secret();
    let (during_change, previous) = RefreshTokens::with_previous_secret();
    let (forged, previous) = (from_elsewhere.text(), previous.text());
    assert_eq!(tokens.parse(genuine.as_bytes()).unwrap().text(), genuine);
    assert!(during_change.parse(previous.as_bytes()).is_some());
    assert!(tokens.parse(forged.as_bytes()).is_none());
    assert!(tokens.parse(b"rt_rubbish").is_none());

    let mut group = c.benchmark_group("refresh_tokens/parse");
    group.bench_function("genuine", |b| b.iter(|| tokens.parse(black_box(genuine.as_bytes()))));
    group.bench_function("genuine, by the previous secret", |b| {
        b.iter(|| during_change.parse(black_box(previous.as_bytes())));
    });
    group.bench_function("forged", |b| b.iter(|| tokens.parse(black_box(forged.as_bytes()))));
    group.bench_function("rubbish", |b| b.iter(|| tokens.parse(black_box(b"rt_rubbish"))));
    group.finish();
}

fn derive(c: &mut Criterion) {
    let tokens = RefreshTokens::new();
    let parent = tokens.first();
    let successor = tokens.successor(&parent);
    assert_eq!(tokens.parse(successor.text().as_bytes()).unwrap().generation(), 1);
    assert_ne!(successor.digest(), parent.digest());

    let mut group = c.benchmark_group("refresh_tokens/derive");
    group.bench_function("successor", |b| b.iter(|| tokens.successor(black_box(&parent))));
    group.bench_function("successor, its digest and its text", |b| {
        b.iter(|| {
            let successor = tokens.successor(black_box(&parent));
            (successor.digest(), successor.text())
        });
    });
    group.finish();
}

criterion_group!(benches, parse, derive);
criterion_main!(benches);
