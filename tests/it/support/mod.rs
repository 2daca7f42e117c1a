//! What the tests stand on: an application on a port of its own, clients that behave like browsers and phones, a look into
//! the database, and a wire that can be cut.

mod answer;
mod app;
mod browser;
mod db;
mod demands;
pub(crate) mod installed;
pub(crate) mod jwt;
pub(crate) mod pooler;
mod raw;
pub(crate) mod wire;

use std::time::{Duration, Instant};

pub(crate) use answer::{Answer, SetCookie};
pub(crate) use app::{PEM, SECRET, TestApp, secret};
pub(crate) use browser::{Browser, PASSWORD};
pub(crate) use raw::raw;

/// How long a test waits for what should take a moment. Long, because the machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long passwords wait for their turn outside tests.
pub(crate) const USUAL_PATIENCE: Duration = Duration::from_secs(2);

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {} s: {what}", PATIENCE.as_secs());
        actix_web::rt::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs the futures at the same time and answers with their results in order.
pub(crate) async fn together<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: 'static> + 'static,
{
    let tasks: Vec<_> = futures.into_iter().map(actix_web::rt::spawn).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}
