//! Access tokens: signing, verifying beside a bare decode of the same token, and refusing.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing better to do")]

mod support;

use std::hint::black_box;

use actix_authflow::testing::internals::Tokens;
use actix_authflow::{SigningAlgorithm, TokenRefused};
use criterion::{Criterion, criterion_group, criterion_main};
use support::bare_jwt::BareJwt;

const ALGORITHMS: [SigningAlgorithm; 3] =
    [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Hs256];

fn sign_and_verify(c: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let tokens = Tokens::new(algorithm);
        let (verifier, bare, token) = (tokens.verifier(), BareJwt::new(&tokens), tokens.sign());
        assert_eq!(*verifier.verify(&token).unwrap(), bare.decode(&token).unwrap());
        assert!(tokens.verify_cold(&token));
        assert!(token.len() < 1024);

        let mut group = c.benchmark_group(format!("tokens/{}", algorithm.as_str()));
        group.bench_function("sign", |b| b.iter(|| tokens.sign()));
        group.bench_function("verify", |b| b.iter(|| tokens.verify_cold(black_box(&token))));
        group.bench_function("verify again", |b| b.iter(|| verifier.verify(black_box(&token))));
        group.bench_function("bare decode", |b| b.iter(|| bare.decode(black_box(&token))));
        group.finish();
    }
}

/// What anybody can send must not cost more than a genuine token.
fn refuse(c: &mut Criterion) {
    let tokens = Tokens::new(SigningAlgorithm::EdDsa);
    let (verifier, token) = (tokens.verifier(), tokens.sign());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let rubbish = [
        ("too long", "a".repeat(9_000)),
        ("no token", "rubbish".to_owned()),
        ("unknown key", Tokens::new(SigningAlgorithm::Es256).sign()),
        ("wrong signature", format!("{signed}.{first}{}", &signature[1..])),
    ];

    let mut group = c.benchmark_group("tokens/refuse");
    for (name, token) in &rubbish {
        assert_eq!(verifier.verify(token), Err(TokenRefused::Invalid), "{name}");
        group.bench_function(*name, |b| b.iter(|| verifier.verify(black_box(token))));
    }
    group.finish();
}

criterion_group!(benches, sign_and_verify, refuse);
criterion_main!(benches);
