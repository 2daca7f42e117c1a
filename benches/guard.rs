//! The guard: guarded routes beside open ones, called in this process (EdDSA).

mod support;

use actix_authflow::SigningAlgorithm;
use actix_authflow::testing::internals::Tokens;
use actix_web::http::StatusCode;
use criterion::{Criterion, criterion_group, criterion_main};
use support::app::{Application, Call};

fn guard(c: &mut Criterion) {
    let tokens = Tokens::new(SigningAlgorithm::EdDsa);
    let token = tokens.sign();
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    let app = Application::start(tokens.verifier());
    let calls = [
        ("open route", Call::new("/open/item", Some(&token)), StatusCode::OK),
        ("guarded route", Call::new("/guarded/item", Some(&token)), StatusCode::OK),
        ("guarded route, handler takes the user", Call::new("/guarded/user", Some(&token)), StatusCode::OK),
        ("no guard, handler takes the user", Call::new("/open/user", Some(&token)), StatusCode::OK),
        ("refused: no token", Call::new("/guarded/item", None), StatusCode::UNAUTHORIZED),
        ("refused: forged token", Call::new("/guarded/item", Some(&forged)), StatusCode::UNAUTHORIZED),
    ];

    let mut group = c.benchmark_group("guard");
    for (name, call, expected) in &calls {
        assert_eq!(app.status(call), *expected, "{name}");
        group.bench_function(*name, |b| b.iter_custom(|calls| app.time(call, calls)));
    }
    group.finish();
}

criterion_group!(benches, guard);
criterion_main!(benches);
