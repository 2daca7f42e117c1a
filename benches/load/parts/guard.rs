//! A guarded route beside the same route in the open, and the guard's memory under a million tokens.

use std::sync::Arc;

use actix_authflow::SigningAlgorithm;
use actix_authflow::testing::internals::Tokens;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Request, StatusCode};

use crate::chart::Lines;
use crate::client::{Answer, Connection};
use crate::crowd::{self, Load, Task, Until};
use crate::process;
use crate::server::{MEBIBYTES, ServerProcess};
use crate::support::figures::Figures;

const CLIENTS: usize = 16;
const SIDES: [&str; 2] = ["guarded", "open"];
/// So many users are about at once where tokens repeat.
const USERS: usize = 1_000;

/// A client that calls one path again and again, with one token after the other.
struct Caller {
    path: &'static str,
    tokens: Arc<[HeaderValue]>,
    next: usize,
}

pub(crate) fn run(figures: &mut Figures) {
    println!(
        "| tokens | guarded / open, calls per second | processor time of the server per call, guarded / open |"
    );
    println!("|---|---|---|");
    for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Hs256] {
        let (tokens, server) = (Tokens::new(algorithm), ServerProcess::start("guard", &[algorithm.as_str()]));
        let repeating = headers(&tokens, USERS);
        refuses_without_token(&server);
        for path in ["/open/item", "/guarded/item"] {
            call(&server, path, &repeating, USERS);
        }
        compare(figures, &server, &format!("{} repeating", algorithm.as_str()), |_| repeating.clone());
        compare(figures, &server, &format!("{} each new", algorithm.as_str()), |calls| {
            headers(&tokens, calls)
        });
    }
    figures.draw("guard.svg", |file| ratios(figures).draw(file));
    memory(figures);
}

/// Blocks of calls, guarded and open by turns.
fn compare(
    figures: &mut Figures,
    server: &ServerProcess,
    subject: &str,
    tokens: impl Fn(usize) -> Arc<[HeaderValue]>,
) {
    let (rounds, calls) = figures.effort((25, 16_000), (1, 160));
    for round in 0..rounds {
        for (side, path) in SIDES.into_iter().zip(["/guarded/item", "/open/item"]) {
            let tokens = tokens(calls);
            let before = server.processor_time();
            let load = call(server, path, &tokens, calls);
            figures.keep(subject, side, round, "calls/s", load.rate());
            figures.keep(subject, side, round, "p99 ms", load.percentile(99));
            if let (Some(before), Some(after)) = (before, server.processor_time()) {
                let each = (after - before).as_secs_f64() * 1e6 / calls as f64;
                figures.keep(subject, side, round, "processor us/call", each);
            }
        }
    }
    let calls = figures.ratio(subject, "calls/s", SIDES);
    // Both sides have made as many calls.
    let [guarded, open] = SIDES.map(|side| figures.values(subject, side, "processor us/call"));
    let cost = if guarded.is_empty() {
        process::NO_PROCESSOR_TIME.to_owned()
    } else {
        format!("{:.2}", guarded.iter().sum::<f64>() / open.iter().sum::<f64>())
    };
    println!("| {subject} | {calls} | {cost} |");
}

/// So many calls by all clients together; each begins at another place of the list of tokens.
fn call(
    server: &ServerProcess,
    path: &'static str,
    tokens: &Arc<[HeaderValue]>,
    calls: usize,
) -> Load<Caller> {
    let share = calls / CLIENTS;
    let callers =
        (0..CLIENTS).map(|client| Caller { path, tokens: Arc::clone(tokens), next: client * share });
    crowd::run(
        Task::at(server.address, Until::Steps(share)),
        callers.collect(),
        async |connection, caller| {
            let token = &caller.tokens[caller.next % caller.tokens.len()];
            caller.next += 1;
            let answer = ask(connection, caller.path, Some(token)).await;
            assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"item"[..]));
        },
    )
}

fn refuses_without_token(server: &ServerProcess) {
    crowd::run(Task::at(server.address, Until::Steps(1)), vec![()], async |connection, ()| {
        assert_eq!(ask(connection, "/guarded/item", None).await.status, StatusCode::UNAUTHORIZED);
    });
}

async fn ask(connection: &mut Connection, path: &str, token: Option<&HeaderValue>) -> Answer {
    let mut request = Request::get(path).body(Full::default()).unwrap();
    if let Some(token) = token {
        request.headers_mut().insert(AUTHORIZATION, token.clone());
    }
    connection.call(request).await
}

fn headers(tokens: &Tokens, number: usize) -> Arc<[HeaderValue]> {
    (0..number).map(|_| HeaderValue::try_from(format!("Bearer {}", tokens.sign())).unwrap()).collect()
}

fn ratios(figures: &Figures) -> Lines<'static> {
    let series = ["EdDSA repeating", "HS256 repeating", "HS256 each new", "EdDSA each new"].map(|subject| {
        let [guarded, open] = SIDES.map(|side| figures.values(subject, side, "calls/s"));
        let ratios = guarded.iter().zip(open).enumerate();
        (subject.to_owned(), ratios.map(|(round, (guarded, open))| (round as f64, guarded / open)).collect())
    });
    Lines {
        title: "Guarded route / open route, calls per second over HTTP",
        x: "round",
        y: "ratio",
        series: series.into(),
    }
}

/// A million tokens, each presented once.
fn memory(figures: &mut Figures) {
    const SUBJECT: &str = "distinct tokens";
    let (steps, calls) = figures.effort((50, 20_000), (2, 160));
    let (tokens, server) = (Tokens::new(SigningAlgorithm::Hs256), ServerProcess::start("guard", &["HS256"]));
    for step in 0..=steps {
        server.keep_memory(figures, SUBJECT, "server", step);
        if step < steps {
            call(&server, "/guarded/item", &headers(&tokens, calls), calls);
        }
    }
    let mebibytes = figures.values(SUBJECT, "server", MEBIBYTES);
    let (Some(first), Some(last)) = (mebibytes.first(), mebibytes.last()) else {
        return println!("\n{}", process::NO_MEMORY);
    };
    let half = mebibytes[mebibytes.len() / 2];
    let million = (steps * calls) as f64 / 1e6;
    println!(
        "\n{million:.2} million distinct tokens: {first:.0} MiB before, {half:.0} after half of them, \
         {last:.0} in the end"
    );
    let points =
        mebibytes.iter().enumerate().map(|(step, mebibytes)| ((step * calls) as f64 / 1e3, *mebibytes));
    let lines = Lines {
        title: "Memory of the server while every call brings a new token",
        x: "thousand tokens",
        y: "resident MiB",
        series: vec![("server".into(), points.collect())],
    };
    figures.draw("guard-memory.svg", |file| lines.draw(file));
}
