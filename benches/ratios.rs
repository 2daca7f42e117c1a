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
use support::arguments::Arguments;
use support::bare_jwt::BareJwt;
use support::bare_rows::Insertions;
use support::database::Database;
use support::figures::{Figures, Ratio};

/// One side of a comparison: its name, and the time of so many runs.
type Side<'a> = (&'a str, &'a dyn Fn(u64) -> Duration);

fn main() {
    let mut figures = Figures::new("ratios", &Arguments::read());
    println!("| A | B | A / B, median | middle half |");
    println!("|---|---|---|---|");
    tokens(&mut figures);
    guard(&mut figures);
    rotation(&mut figures);
    passwords(&mut figures);
    figures.write();
}

fn tokens(figures: &mut Figures) {
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
    compare(figures, 5, 2_001, ("verify, EdDSA", &eddsa.0), ("bare decode, EdDSA", &eddsa.1));
    compare(figures, 5, 2_001, ("verify, ES256", &es256.0), ("bare decode, ES256", &es256.1));
    compare(figures, 50, 2_001, ("verify, HS256", &hs256.0), ("bare decode, HS256", &hs256.1));
    compare(figures, 5, 2_001, ("verify, EdDSA", &eddsa.0), ("verify, HS256", &hs256.0));
    compare(figures, 5, 2_001, ("verify, ES256", &es256.0), ("verify, EdDSA", &eddsa.0));
    let [(tokens, _, token), ..] = &sets;
    let verifier = tokens.verifier();
    let remembered = timed(move || verifier.verify(black_box(token)));
    compare(figures, 5, 2_001, ("verify a remembered token", &remembered), ("verify, EdDSA", &eddsa.0));
}

fn guard(figures: &mut Figures) {
    let tokens = Tokens::new(SigningAlgorithm::EdDsa);
    let token = tokens.sign();
    let app = Application::start(tokens.verifier());
    let [open, guarded] = ["/open/item", "/guarded/item"].map(|path| Call::new(path, Some(&token)));
    assert_eq!(app.status(&open), StatusCode::OK);
    assert_eq!(app.status(&guarded), StatusCode::OK);
    assert_eq!(app.status(&Call::new("/guarded/item", None)), StatusCode::UNAUTHORIZED);

    let verify = timed(|| tokens.verify_cold(black_box(&token)));
    let (open, guarded) = (|calls| app.time(&open, calls), |calls| app.time(&guarded, calls));
    compare(figures, 20, 1_001, ("guarded route", &guarded), ("open route", &open));
    compare(figures, 20, 1_001, ("guarded route", &guarded), ("verify, EdDSA", &verify));
}

fn rotation(figures: &mut Figures) {
    let database = Database::open();
    figures.measured_on(&database);
    rotation_in(&database, figures, "");
    database.stop_waiting_for_the_disk();
    rotation_in(&database, figures, ", no waiting for the disk");
}

fn rotation_in(database: &Database, figures: &mut Figures, how: &str) {
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
    compare(figures, 1, 2_001, (&name("refresh"), &refresh), ("its statement", &statement));
    compare(figures, 1, 2_001, (&name("its statement"), &statement), ("bare insertion", &insertion));
    // Says how far off the other two may be.
    compare(figures, 1, 2_001, (&name("bare insertion"), &insertion), ("the same", &other));
}

fn passwords(figures: &mut Figures) {
    let passwords = Passwords::new();
    let stored = passwords.hash("correct horse battery staple");
    assert!(passwords.verify("correct horse battery staple", Some(&stored)));
    assert!(!passwords.verify("wrong", Some(&stored)));
    assert!(!passwords.verify("wrong", None));

    let wrong = timed(|| passwords.verify(black_box("wrong"), Some(&stored)));
    let unknown = timed(|| passwords.verify(black_box("wrong"), None));
    compare(figures, 1, 301, ("unknown user", &unknown), ("wrong password", &wrong));
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

/// Prints a row of the table. A block is best so short that most end before another program gets the processor.
fn compare(figures: &mut Figures, block: u64, rounds: usize, (a_name, a): Side<'_>, (b_name, b): Side<'_>) {
    const UNIT: &str = "us/block";
    let (block, rounds) = figures.effort((block, rounds), (1, 1));
    // Kept afterwards, so that nothing comes between one pair and the next.
    let pairs: Vec<_> = (0..rounds).map(|_| (a(block), b(block))).collect();
    let subject = format!("{a_name} / {b_name}");
    for (round, (a, b)) in pairs.into_iter().enumerate() {
        figures.keep(&subject, a_name, round, UNIT, a.as_secs_f64() * 1e6);
        figures.keep(&subject, b_name, round, UNIT, b.as_secs_f64() * 1e6);
    }
    let Ratio { low, median, high } = figures.ratio(&subject, UNIT, [a_name, b_name]);
    println!("| {a_name} | {b_name} | {median:.2} | {low:.2} to {high:.2} |");
}
