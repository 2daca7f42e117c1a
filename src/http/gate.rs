//! The crossing from async code to threads that may block, and what limits it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use super::threads::OwnThreads;
use crate::meters;

/// Why a job was not waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// No permit became free in time, or too many were waiting already.
    Busy,
    /// The job took too long. It runs on, with its permit.
    TimedOut,
    /// The job panicked, or the runtime is shutting down.
    Died,
}

impl NotDone {
    pub(super) const ALL: [Self; 3] = [Self::Busy, Self::TimedOut, Self::Died];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::TimedOut => "timed_out",
            Self::Died => "died",
        }
    }
}

/// Admits so many jobs of a kind at once. The others wait in async code, where they cost nothing, for a bounded time and in a
/// bounded number.
pub(crate) struct Gate {
    /// What the jobs are, where they are counted.
    name: &'static str,
    places: Arc<Semaphore>,
    permits: Arc<Semaphore>,
    limits: Limits,
    threads: Threads,
}

/// What a gate allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Jobs at once.
    pub(crate) jobs: usize,
    /// Jobs that wait for their turn.
    pub(crate) queue: usize,
    /// How long one waits for its turn.
    pub(crate) patience: Duration,
    /// How long waiting and running may take together before the caller is answered.
    pub(crate) deadline: Duration,
}

/// Where jobs run.
pub(crate) enum Threads {
    /// On the blocking pool of the runtime.
    Blocking,
    /// On threads that nothing else uses.
    Own(OwnThreads),
}

/// A place in the queue of a gate, kept until its holder's turn comes, and given back when the holder goes: also when the
/// client hangs up.
pub(crate) struct Place {
    _taken: OwnedSemaphorePermit,
}

impl Gate {
    pub(crate) fn new(name: &'static str, limits: Limits, threads: Threads) -> Self {
        meters::queue_begins(name, NotDone::ALL.map(NotDone::as_str));
        let [places, permits] = [limits.queue, limits.jobs].map(|count| Arc::new(Semaphore::new(count)));
        Self { name, places, permits, limits, threads }
    }

    /// How it stands at this moment.
    pub(crate) fn level(&self) -> meters::Queue {
        let Limits { jobs, queue, .. } = self.limits;
        meters::Queue {
            name: self.name,
            running: jobs.saturating_sub(self.permits.available_permits()),
            waiting: queue.saturating_sub(self.places.available_permits()),
            permits: jobs,
        }
    }

    /// Takes a place in the queue, for a job that is yet to be prepared.
    pub(crate) fn enter(&self) -> Result<Place, NotDone> {
        let taken = Arc::clone(&self.places).try_acquire_owned();
        taken.map(|taken| Place { _taken: taken }).map_err(|_| self.not_done(NotDone::Busy))
    }

    /// Runs `job` when its turn comes, for one who has been waiting since `start`, here or elsewhere.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        start: Instant,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        self.run_from(self.enter()?, start, job).await
    }

    /// Runs `job` when the turn of this place comes. The permit belongs to the job: a caller that hangs up or runs out of
    /// patience does not free it.
    pub(crate) async fn run_from<T: Send + 'static>(
        &self,
        place: Place,
        start: Instant,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let entered = Instant::now();
        let turn = timeout_at(start + self.limits.patience, Arc::clone(&self.permits).acquire_owned());
        let Ok(Ok(permit)) = turn.await else { return Err(self.not_done(NotDone::Busy)) };
        drop(place);
        meters::waited(self.name, entered.elapsed());
        let (answer, answered) = oneshot::channel();
        let span = Span::current();
        self.threads.run(move || {
            // What is logged there is about the request of the caller.
            let _entered = span.enter();
            let result = job();
            drop(permit);
            // Where nobody waits any more, the result is dropped here.
            drop(answer.send(result));
        });
        match timeout_at(start + self.limits.deadline, answered).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(self.not_done(NotDone::Died)),
            Err(_) => Err(self.not_done(NotDone::TimedOut)),
        }
    }

    fn not_done(&self, reason: NotDone) -> NotDone {
        meters::not_done(self.name, reason.as_str());
        reason
    }
}

impl Threads {
    fn run(&self, job: impl FnOnce() + Send + 'static) {
        match self {
            Self::Blocking => drop(spawn_blocking(job)),
            Self::Own(threads) => {
                // What the job leaves behind may want the runtime, as on the blocking pool.
                let runtime = Handle::current();
                threads.run(move || {
                    let _entered = runtime.enter();
                    job();
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn limits(jobs: usize, queue: usize) -> Limits {
        Limits { jobs, queue, patience: Duration::from_millis(50), deadline: Duration::from_millis(100) }
    }

    fn patient(jobs: usize, queue: usize) -> Limits {
        Limits { patience: LONG, deadline: LONG, ..limits(jobs, queue) }
    }

    /// One gate for each kind of threads.
    fn gates(limits: Limits) -> [Gate; 2] {
        let own = OwnThreads::start("test", limits.jobs).unwrap();
        [Threads::Blocking, Threads::Own(own)].map(|threads| Gate::new("test", limits, threads))
    }

    #[actix_web::test]
    async fn a_job_that_is_given_up_keeps_its_permit() {
        for gate in gates(limits(1, 8)) {
            let (release, released) = channel::<()>();
            assert_eq!(
                gate.run(Instant::now(), move || released.recv()).await.err(),
                Some(NotDone::TimedOut)
            );
            assert_eq!(gate.run(Instant::now(), || ()).await, Err(NotDone::Busy));
            release.send(()).unwrap();
            let free = async { while gate.run(Instant::now(), || ()).await.is_err() {} };
            tokio::time::timeout(Duration::from_secs(10), free).await.unwrap();
        }
    }

    #[actix_web::test]
    async fn a_full_queue_is_refused_at_once() {
        for gate in gates(patient(0, 0)) {
            assert_eq!(gate.run(Instant::now(), || ()).await, Err(NotDone::Busy));
        }
    }

    #[actix_web::test]
    async fn a_place_is_taken_from_the_entry_to_the_turn() {
        for gate in gates(patient(1, 1)) {
            let place = gate.enter().unwrap();
            assert_eq!(gate.run(Instant::now(), || ()).await, Err(NotDone::Busy));
            let (release, released) = channel::<()>();
            let places = Arc::clone(&gate.places);
            let started = gate.run_from(place, Instant::now(), move || released.recv());
            let entered = async {
                while places.available_permits() == 0 {
                    tokio::task::yield_now().await;
                }
                drop(gate.enter().unwrap());
                release.send(()).unwrap();
            };
            let both = tokio::time::timeout(LONG, futures_util::future::join(started, entered));
            assert_eq!(both.await.unwrap().0, Ok(Ok(())));
        }
    }

    #[actix_web::test]
    async fn whoever_stops_waiting_gives_the_place_back() {
        for gate in gates(patient(0, 1)) {
            let hung_up =
                tokio::time::timeout(Duration::from_millis(10), gate.run(Instant::now(), || ())).await;
            assert!(hung_up.is_err());
            assert_eq!(gate.places.available_permits(), 1);
        }
    }

    #[actix_web::test]
    async fn a_panicking_job_is_an_error_and_frees_its_permit() {
        for gate in gates(Limits { deadline: LONG, ..patient(1, 1) }) {
            assert_eq!(gate.run(Instant::now(), || panic!("on purpose")).await, Err::<(), _>(NotDone::Died));
            assert_eq!(gate.run(Instant::now(), || 7).await, Ok(7));
        }
    }

    #[actix_web::test]
    async fn what_a_job_leaves_behind_finds_the_runtime() {
        for gate in gates(patient(1, 1)) {
            assert!(gate.run(Instant::now(), || Handle::try_current().is_ok()).await.unwrap());
        }
    }
}
