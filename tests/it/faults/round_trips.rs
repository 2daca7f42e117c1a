//! How often each operation waits for the database, as docs/PERFORMANCE.md says it.

use std::fs;

use reqwest::Method;

use super::cost::{new_password, wired};
use crate::support::wire::{Event, Proxy};
use crate::support::{Browser, TestApp};

/// The operations with their round trips, in the order of the table.
type Counts = Vec<(String, usize)>;

/// Counts what passes over the wire, operation by operation.
struct Counter<'a> {
    wire: &'a Proxy,
    counts: Counts,
}

impl Counter<'_> {
    /// Whatever happened before this is not counted.
    fn start(&self) {
        self.wire.forget();
    }

    fn note(&mut self, operation: &str) {
        let trips = self.wire.log().into_iter().filter(|event| *event == Event::RoundTrip).count();
        self.counts.push((operation.to_owned(), trips));
        self.start();
    }
}

#[actix_web::test]
async fn every_operation_takes_as_many_round_trips_as_the_documentation_says() {
    let (wire, node, app) = wired().await;
    // The first time each statement is prepared as well.
    all_operations(&wire, &node, &app, "alice@example.com").await;

    let counts = all_operations(&wire, &node, &app, "bob@example.com").await;

    assert_eq!(counts, documented());
}

async fn all_operations(wire: &Proxy, node: &TestApp, app: &TestApp, email: &str) -> Counts {
    let mut counter = Counter { wire, counts: Vec::new() };
    let mut browser = Browser::new(node);
    counter.start();
    browser.register(email).await.expect(201);
    counter.note("register");
    let mut stranger = Browser::new(node);
    stranger.login(email).await.expect(200);
    counter.note("log in on a device that is not known");
    stranger.without_refresh_token().login(email).await.expect(200);
    counter.note("log in on a device that is");
    browser.login(email).await.expect(200);
    counter.note("log in with a session, which ends");
    browser.login_with(email, "a horse of another colour").await.refused(401, "invalid_credentials");
    counter.note("log in with a wrong password");
    refreshes(&mut counter, &mut browser, app).await;
    browser.call_api().await.expect(200);
    counter.note("a guarded call");
    browser.me().await.expect(200);
    counter.note("`GET /me`");
    let list = browser.bearer(browser.request(Method::GET, "/auth/sessions"));
    browser.send(list).await.expect(200);
    counter.note("`GET /sessions`");
    let other = format!("/auth/sessions/{}", stranger.session());
    let end = browser.bearer(browser.request(Method::DELETE, &other));
    browser.send(end).await.expect(204);
    counter.note("`DELETE /sessions/{id}`");
    new_password(&mut browser).await.expect(200);
    counter.note("change the password");
    browser.logout().await.expect(204);
    counter.note("log out");
    counter.counts
}

async fn refreshes(counter: &mut Counter<'_>, browser: &mut Browser, app: &TestApp) {
    let mut slow_tab = browser.clone();
    browser.refresh().await.expect(200);
    counter.note("refresh: rotation");
    slow_tab.refresh().await.expect(200);
    counter.note("refresh: the same successor again");
    browser.refresh().await.expect(200);
    counter.note("refresh: itself again");
    assert_eq!(app.db_generations(&browser.session()), [0, 1]);
}

/// The table of the documentation.
fn documented() -> Counts {
    let document = fs::read_to_string("docs/PERFORMANCE.md").unwrap();
    let (_, section) = document.split_once("## Round trips\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows =
        section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    rows.filter_map(|(operation, trips)| Some((operation.to_owned(), trips.parse().ok()?))).collect()
}
