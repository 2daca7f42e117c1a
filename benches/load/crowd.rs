//! Many clients at once, each of which waits for its answer before it asks again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use actix_web::rt::System;
use actix_web::rt::time::sleep_until;
use tokio::sync::Barrier;

use crate::client::{Connection, in_time};
use crate::support::figures::percentiles;

/// What a crowd is to do.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) address: SocketAddr,
    pub(crate) until: Until,
    /// How long it is from one step of a client to its next; without it the next follows at once.
    pub(crate) pace: Option<Duration>,
}

/// When a client has done enough.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Steps(usize),
    Elapsed(Duration),
}

/// What a crowd has done.
pub(crate) struct Load<T> {
    /// The clients as they are now.
    pub(crate) clients: Vec<T>,
    pub(crate) elapsed: Duration,
    /// How long each step took, from the moment that [`Schedule::next`] tells.
    pub(crate) latencies: Vec<Duration>,
}

/// When the steps of one client are due.
struct Schedule {
    first: Instant,
    pace: Option<Duration>,
}

/// Lets every client take step after step, on a connection of its own. They are spread over as many threads as there
/// are cores; where they keep a pace, their first steps are spread over it, so that none stands in another's way.
pub(crate) fn run<T: Send + 'static>(
    task: Task,
    clients: Vec<T>,
    step: impl AsyncFn(&mut Connection, &mut T) + Send + Sync + 'static,
) -> Load<T> {
    let threads = available_parallelism().map_or(1, usize::from).min(clients.len());
    let between = task.pace.unwrap_or_default() / u32::try_from(clients.len()).unwrap();
    let mut shares: Vec<Vec<(Duration, T)>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, client) in (0..).zip(clients) {
        shares[number as usize % threads].push((between * number, client));
    }
    let (start, step) = (Arc::new(Barrier::new(threads)), Arc::new(step));
    let running = shares.into_iter().map(|share| {
        let (start, step) = (Arc::clone(&start), Arc::clone(&step));
        thread::spawn(move || System::new().block_on(run_share(task, share, &start, &step)))
    });
    let running: Vec<_> = running.collect();
    let mut all = Load { clients: Vec::new(), elapsed: Duration::ZERO, latencies: Vec::new() };
    for thread in running {
        let share = thread.join().unwrap();
        all.clients.extend(share.clients);
        all.elapsed = all.elapsed.max(share.elapsed);
        all.latencies.extend(share.latencies);
    }
    all
}

async fn run_share<T: Send + 'static>(
    task: Task,
    clients: Vec<(Duration, T)>,
    start: &Barrier,
    step: &Arc<impl AsyncFn(&mut Connection, &mut T) + Send + Sync + 'static>,
) -> Load<T> {
    let mut connected = Vec::new();
    for (delay, client) in clients {
        connected.push((Connection::open(task.address).await, delay, client));
    }
    in_time("connections for all clients", start.wait()).await;
    let start = Instant::now();
    let running = connected.into_iter().map(|(mut connection, delay, mut client)| {
        let (step, schedule) = (Arc::clone(step), Schedule { first: start + delay, pace: task.pace });
        actix_web::rt::spawn(async move {
            let mut latencies = Vec::new();
            while task.until.wants_more(start, latencies.len()) {
                let begun = schedule.next(latencies.len()).await;
                step(&mut connection, &mut client).await;
                latencies.push(begun.elapsed());
            }
            (client, latencies)
        })
    });
    let running: Vec<_> = running.collect();
    let mut load = Load { clients: Vec::new(), elapsed: Duration::ZERO, latencies: Vec::new() };
    for client in running {
        let (client, latencies) = client.await.unwrap();
        load.clients.push(client);
        load.latencies.extend(latencies);
    }
    load.elapsed = start.elapsed();
    load
}

impl Task {
    /// As many clients as there are, as quickly as they are answered.
    pub(crate) fn at(address: SocketAddr, until: Until) -> Self {
        Self { address, until, pace: None }
    }
}

impl Schedule {
    /// Waits until the next step is due, and says from when it counts. Whoever still waited for an answer then counts from when
    /// it was due, so that a late answer counts for all that it delays. A client that was idle counts from the moment at
    /// which it sends: how late our own timers wake it says nothing of the server.
    async fn next(&self, done: usize) -> Instant {
        let Some(pace) = self.pace else { return Instant::now() };
        let due = self.first + pace * u32::try_from(done).unwrap();
        if Instant::now() >= due {
            return due;
        }
        sleep_until(due.into()).await;
        Instant::now()
    }
}

impl Until {
    fn wants_more(self, start: Instant, done: usize) -> bool {
        match self {
            Self::Steps(steps) => done < steps,
            Self::Elapsed(duration) => start.elapsed() < duration,
        }
    }
}

impl<T> Load<T> {
    /// Steps per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// What so many of a hundred steps do not exceed, in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let milliseconds = self.latencies.iter().map(|latency| latency.as_secs_f64() * 1e3);
        let [latency] = percentiles(milliseconds.collect(), [percent]);
        latency
    }
}
