//! How many times the cost of one thing another is, in a way that a busy machine disturbs little.
//!
//! The two take turns in short blocks: A B A B. Each pair of neighbouring blocks gives one ratio, for which the machine
//! was in much the same mood; the median of all is printed, and the range of the middle half of them.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing better to do")]
#![allow(clippy::print_stdout, reason = "the table is the result")]

mod support;

use std::cell::RefCell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use actix_authflow::SigningAlgorithm;
use actix_authflow::testing::internals::{Passwords, Refreshes, Tokens};
use actix_web::http::StatusCode;
use support::app::{Application, Call};
use support::bare_jwt::BareJwt;
use support::bare_rows::Insertions;
use support::database::Database;

/// `cargo bench` asks for a measurement; without its flag one short round shows that everything works.
struct Effort {
    measuring: bool,
}

/// One side of a comparison: its name, and the time of so many runs.
type Side<'a> = (&'a str, &'a dyn Fn(u64) -> Duration);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let effort = Effort { measuring: has("--bench") && !has("--test") };
    if effort.measuring {
        println!("| A | B | A / B, median | middle half |");
        println!("|---|---|---|---|");
    }
    tokens(&effort);
    guard(&effort);
    rotation(&effort);
    passwords(&effort);
}

fn tokens(effort: &Effort) {
    let sets = [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Hs256].map(|algorithm| {
        let tokens = Tokens::new(algorithm);
        let (bare, token) = (BareJwt::new(&tokens), tokens.sign());
        assert_eq!(*tokens.verifier().verify(&token).unwrap(), bare.decode(&token).unwrap());
        assert!(tokens.verify_cold(&token));
        (tokens, bare, token)
    });
    let [eddsa, es256, hs256] = sets.each_ref().map(|(tokens, bare, token)| {
        let verify = timed(move || tokens.verify_cold(black_box(token)));
        let decode = timed(move || bare.decode(black_box(token)));
        (verify, decode)
    });
    effort.compare(5, 2_001, ("verify, EdDSA", &eddsa.0), ("bare decode, EdDSA", &eddsa.1));
    effort.compare(5, 2_001, ("verify, ES256", &es256.0), ("bare decode, ES256", &es256.1));
    effort.compare(50, 2_001, ("verify, HS256", &hs256.0), ("bare decode, HS256", &hs256.1));
    effort.compare(5, 2_001, ("verify, EdDSA", &eddsa.0), ("verify, HS256", &hs256.0));
    effort.compare(5, 2_001, ("verify, ES256", &es256.0), ("verify, EdDSA", &eddsa.0));
    let [(tokens, _, token), ..] = &sets;
    let verifier = tokens.verifier();
    let remembered = timed(move || verifier.verify(black_box(token)));
    effort.compare(5, 2_001, ("verify a remembered token", &remembered), ("verify, EdDSA", &eddsa.0));
}

fn guard(effort: &Effort) {
    let tokens = Tokens::new(SigningAlgorithm::EdDsa);
    let token = tokens.sign();
    let app = Application::start(tokens.verifier());
    let [open, guarded] = ["/open/item", "/guarded/item"].map(|path| Call::new(path, Some(&token)));
    assert_eq!(app.status(&open), StatusCode::OK);
    assert_eq!(app.status(&guarded), StatusCode::OK);
    assert_eq!(app.status(&Call::new("/guarded/item", None)), StatusCode::UNAUTHORIZED);

    let verify = timed(|| tokens.verify_cold(black_box(&token)));
    let (open, guarded) = (|calls| app.time(&open, calls), |calls| app.time(&guarded, calls));
    effort.compare(20, 1_001, ("guarded route", &guarded), ("open route", &open));
    effort.compare(20, 1_001, ("guarded route", &guarded), ("verify, EdDSA", &verify));
}

fn rotation(effort: &Effort) {
    let database = Database::open();
    rotation_in(&database, effort, "");
    database.stop_waiting_for_the_disk();
    rotation_in(&database, effort, ", no waiting for the disk");
}

fn rotation_in(database: &Database, effort: &Effort, how: &str) {
    eprintln!("{}", database.settings());
    let mut refreshes = Refreshes::start(database.url());
    let mut statements = refreshes.statements();
    let (mut insertions, mut others) =
        (Insertions::start(refreshes.connection()), Insertions::start(refreshes.connection()));
    // All on one connection. From the sixth time on, Postgres uses one plan for all.
    for generation in 1..=10 {
        assert_eq!(refreshes.refresh(), generation);
        assert_eq!(statements.rotate(), generation);
        assert_eq!(insertions.insert() + others.insert(), 2);
    }

    let refresh = timed(|| refreshes.refresh());
    let statement = timed(|| statements.rotate());
    let (insertion, other) = (timed(|| insertions.insert()), timed(|| others.insert()));
    let name = |what: &str| format!("{what}{how}");
    effort.compare(1, 2_001, (&name("refresh"), &refresh), ("its statement", &statement));
    effort.compare(1, 2_001, (&name("its statement"), &statement), ("bare insertion", &insertion));
    // Says how far off the other two may be.
    effort.compare(1, 2_001, (&name("bare insertion"), &insertion), ("the same", &other));
}

fn passwords(effort: &Effort) {
    let passwords = Passwords::new();
    let stored = passwords.hash("correct horse battery staple");
    assert!(passwords.verify("correct horse battery staple", Some(&stored)));
    assert!(!passwords.verify("wrong", Some(&stored)));
    assert!(!passwords.verify("wrong", None));

    let wrong = timed(|| passwords.verify(black_box("wrong"), Some(&stored)));
    let unknown = timed(|| passwords.verify(black_box("wrong"), None));
    effort.compare(1, 301, ("unknown user", &unknown), ("wrong password", &wrong));
}

/// The time of so many runs of `work`.
fn timed<T>(work: impl FnMut() -> T) -> impl Fn(u64) -> Duration {
    let work = RefCell::new(work);
    move |runs| {
        let mut work = work.borrow_mut();
        let start = Instant::now();
        for _ in 0..runs {
            black_box(work());
        }
        start.elapsed()
    }
}

impl Effort {
    /// Prints a row of the table. A block is best so short that most end before another program gets the processor.
    fn compare(&self, block: u64, rounds: usize, (a_name, a): Side<'_>, (b_name, b): Side<'_>) {
        if !self.measuring {
            a(1);
            b(1);
            return println!("{a_name} / {b_name}: both run");
        }
        let ratio = |_| a(block).as_secs_f64() / b(block).as_secs_f64();
        let mut ratios: Vec<f64> = (0..rounds).map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let [low, median, high] = [1, 2, 3].map(|quarter| ratios[(rounds - 1) * quarter / 4]);
        println!("| {a_name} | {b_name} | {median:.2} | {low:.2} to {high:.2} |");
    }
}
