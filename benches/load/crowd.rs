//! Many clients at once, each of which waits for its answer before it asks again.

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use actix_web::rt::System;

use crate::client::Connection;

/// What a crowd has done.
pub(crate) struct Load<T> {
    /// The clients as they are now.
    pub(crate) clients: Vec<T>,
    pub(crate) elapsed: Duration,
    /// Of each answer.
    pub(crate) latencies: Vec<Duration>,
}

/// Lets every client of `clients` take so many steps on a connection of its own. They are spread over as many threads as
/// there are cores.
pub(crate) fn run<T: Send + 'static>(
    address: SocketAddr,
    clients: Vec<T>,
    calls: usize,
    step: impl AsyncFn(&mut Connection, &mut T) + Send + Sync + 'static,
) -> Load<T> {
    let threads = available_parallelism().map_or(1, usize::from).min(clients.len());
    let mut shares: Vec<Vec<T>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, client) in clients.into_iter().enumerate() {
        shares[number % threads].push(client);
    }
    let (start, step) = (Arc::new(Barrier::new(threads)), Arc::new(step));
    let running = shares.into_iter().map(|share| {
        let (start, step) = (Arc::clone(&start), Arc::clone(&step));
        thread::spawn(move || System::new().block_on(run_share(address, share, calls, &start, &step)))
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
    address: SocketAddr,
    clients: Vec<T>,
    calls: usize,
    start: &Barrier,
    step: &Arc<impl AsyncFn(&mut Connection, &mut T) + Send + Sync + 'static>,
) -> Load<T> {
    let mut connected = Vec::new();
    for client in clients {
        connected.push((Connection::open(address).await, client));
    }
    start.wait();
    let start = Instant::now();
    let tasks = connected.into_iter().map(|(mut connection, mut client)| {
        let step = Arc::clone(step);
        actix_web::rt::spawn(async move {
            let mut latencies = Vec::new();
            while latencies.len() < calls {
                let asked = Instant::now();
                step(&mut connection, &mut client).await;
                latencies.push(asked.elapsed());
            }
            (client, latencies)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut load = Load { clients: Vec::new(), elapsed: Duration::ZERO, latencies: Vec::new() };
    for task in tasks {
        let (client, latencies) = task.await.unwrap();
        load.clients.push(client);
        load.latencies.extend(latencies);
    }
    load.elapsed = start.elapsed();
    load
}

impl<T> Load<T> {
    /// Answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that so many of a hundred answers keep.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.latencies, percent)
    }
}

/// What so many of a hundred do not exceed.
pub(crate) fn percentile(latencies: &[Duration], percent: usize) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * percent / 100]
}
