//! The one crossing from async code to the blocking pool, and what limits it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

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

/// Admits so many jobs of a kind at once to the blocking pool. The others wait in async code, where they cost nothing, for a
/// bounded time and in a bounded number.
pub(crate) struct Gate {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    limits: Limits,
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

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { permits: Arc::new(Semaphore::new(limits.jobs)), waiting: AtomicUsize::new(0), limits }
    }

    /// Runs `job` on the blocking pool. The permit belongs to the job: a caller that hangs up or runs out of patience does
    /// not free it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let start = Instant::now();
        let permit = self.admit(start + self.limits.patience).await?;
        let running = spawn_blocking(move || {
            let result = job();
            drop(permit);
            result
        });
        match timeout_at(start + self.limits.deadline, running).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(NotDone::Died),
            Err(_) => Err(NotDone::TimedOut),
        }
    }

    async fn admit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, NotDone> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _place = Place::take(&self.waiting, self.limits.queue).ok_or(NotDone::Busy)?;
        match timeout_at(deadline, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(NotDone::Busy),
        }
    }
}

/// A place in the queue, given back when its holder goes: also when the client hangs up.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let place = Self(waiting);
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        (before < limit).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn limits(jobs: usize, queue: usize) -> Limits {
        Limits { jobs, queue, patience: Duration::from_millis(50), deadline: Duration::from_millis(100) }
    }

    #[actix_web::test]
    async fn a_job_that_is_given_up_keeps_its_permit() {
        let gate = Gate::new(limits(1, 8));
        let (release, released) = channel::<()>();
        assert_eq!(gate.run(move || released.recv()).await.err(), Some(NotDone::TimedOut));
        assert_eq!(gate.run(|| ()).await, Err(NotDone::Busy));
        release.send(()).unwrap();
        let free = async { while gate.run(|| ()).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(10), free).await.unwrap();
    }

    #[actix_web::test]
    async fn a_full_queue_is_refused_at_once() {
        let gate = Gate::new(Limits {
            patience: Duration::from_secs(60),
            deadline: Duration::from_secs(60),
            ..limits(0, 0)
        });
        assert_eq!(gate.run(|| ()).await, Err(NotDone::Busy));
    }

    #[actix_web::test]
    async fn whoever_stops_waiting_gives_the_place_back() {
        let gate = Gate::new(Limits {
            patience: Duration::from_secs(60),
            deadline: Duration::from_secs(60),
            ..limits(0, 1)
        });
        let hung_up = tokio::time::timeout(Duration::from_millis(10), gate.run(|| ())).await;
        assert!(hung_up.is_err());
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
    }

    #[actix_web::test]
    async fn a_panicking_job_is_an_error_and_frees_its_permit() {
        let gate = Gate::new(Limits { deadline: Duration::from_secs(60), ..limits(1, 1) });
        assert_eq!(gate.run(|| panic!("on purpose")).await, Err(NotDone::Died));
        assert_eq!(gate.run(|| 7).await, Ok(7));
    }
}
