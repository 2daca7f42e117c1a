//! Jobs that are cheaper done together: a thread that does at once whatever has come while it was busy.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::gate::NotDone;
use crate::meters;

/// A thread with a queue before it. Where there is little to do, each job is a batch of its own and waits for nothing; the
/// more there is, the more of it goes together. One thread, because two would share the jobs between them: as many statements
/// and commits again, for no more work.
///
/// It ends with this value, after what it has taken on.
pub(crate) struct Batches<T, R> {
    /// What the jobs are, where they are counted.
    name: &'static str,
    limits: Limits,
    queue: SyncSender<Job<T, R>>,
    level: Arc<Level>,
}

/// What is allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Jobs of one batch.
    pub(crate) together: usize,
    /// Jobs that wait for theirs.
    pub(crate) queue: usize,
    /// For how long a batch may be under way. If it takes longer those who wait for the next one go another way: then their jobs
    /// are never begun here.
    pub(crate) patience: Duration,
    /// How long waiting and running may take together before the caller is answered.
    pub(crate) deadline: Duration,
}

struct Job<T, R> {
    input: T,
    since: Instant,
    /// Set by the thread that begins it, or by the caller who goes another way, whoever is first.
    taken: Arc<AtomicBool>,
    answer: oneshot::Sender<R>,
}

#[derive(Default)]
struct Level {
    waiting: AtomicUsize,
    /// When the batch under way began.
    running: Mutex<Option<Instant>>,
}

impl Level {
    fn running(&self) -> MutexGuard<'_, Option<Instant>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static, R: Send + 'static> Batches<T, R> {
    /// Starts the thread. `work` gets the inputs of a batch, and when the first of them came; it answers in their order.
    pub(crate) fn start(
        name: &'static str,
        limits: Limits,
        work: impl Fn(&[T], Instant) -> Vec<R> + Send + 'static,
    ) -> io::Result<Self> {
        meters::queue_begins(name, [NotDone::TimedOut, NotDone::Died].map(NotDone::as_str));
        let (queue, jobs) = sync_channel(limits.queue);
        let level = Arc::new(Level::default());
        let seen = Arc::clone(&level);
        let run = move || {
            // A panic has been reported by its hook, and whoever waits notices. The thread is needed on.
            loop {
                let turn =
                    catch_unwind(AssertUnwindSafe(|| turn(name, limits.together, &jobs, &level, &work)));
                *level.running() = None;
                if matches!(turn, Ok(false)) {
                    return;
                }
            }
        };
        thread::Builder::new().name(format!("authflow-{name}")).spawn(run)?;
        Ok(Self { name, limits, queue, level: seen })
    }

    /// How it stands at this moment.
    pub(crate) fn level(&self) -> meters::Queue {
        let running = usize::from(self.level.running().is_some());
        let waiting = self.level.waiting.load(Ordering::Relaxed);
        meters::Queue { name: self.name, running, waiting, permits: 1 }
    }

    /// Has a job done with the next batch. `Busy` says that it was not begun, and never will be; that is no failure yet.
    pub(crate) async fn run(&self, input: T) -> Result<R, NotDone> {
        if self.hangs() {
            return Err(NotDone::Busy);
        }
        let (since, taken) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let (answer, mut answered) = oneshot::channel();
        self.level.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(Job { input, since, taken: Arc::clone(&taken), answer }).is_err() {
            self.level.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(NotDone::Busy);
        }
        let result = loop {
            match timeout(self.limits.patience / 2, &mut answered).await {
                Ok(result) => break Ok(result),
                Err(_) if self.hangs() && !taken.swap(true, Ordering::Relaxed) => {
                    return Err(NotDone::Busy);
                }
                Err(elapsed) if since.elapsed() >= self.limits.deadline => break Err(elapsed),
                Err(_) => {}
            }
        };
        match result {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(self.not_done(NotDone::Died)),
            Err(_) => Err(self.not_done(NotDone::TimedOut)),
        }
    }

    /// Whether the batch under way takes too long.
    fn hangs(&self) -> bool {
        self.level.running().is_some_and(|began| began.elapsed() >= self.limits.patience)
    }

    fn not_done(&self, reason: NotDone) -> NotDone {
        meters::not_done(self.name, reason.as_str());
        reason
    }
}

/// Does one batch. False when there will be no more.
fn turn<T, R>(
    name: &'static str,
    together: usize,
    jobs: &Receiver<Job<T, R>>,
    level: &Level,
    work: &impl Fn(&[T], Instant) -> Vec<R>,
) -> bool {
    let Some(batch) = next(name, jobs, together, level) else { return false };
    finish(batch, level, work);
    true
}

/// Waits for a job, and takes with it what else is there and still wanted. `None` when there will be no more.
fn next<T, R>(
    name: &'static str,
    jobs: &Receiver<Job<T, R>>,
    together: usize,
    level: &Level,
) -> Option<Vec<Job<T, R>>> {
    let first = jobs.recv().ok()?;
    let come = std::iter::once(first).chain(jobs.try_iter()).take(together);
    let begin = |job: Job<T, R>| {
        level.waiting.fetch_sub(1, Ordering::Relaxed);
        let wanted = !job.answer.is_closed() && !job.taken.swap(true, Ordering::Relaxed);
        wanted.then(|| meters::waited(name, job.since.elapsed()))?;
        Some(job)
    };
    Some(come.filter_map(begin).collect())
}

fn finish<T, R>(batch: Vec<Job<T, R>>, level: &Level, work: &impl Fn(&[T], Instant) -> Vec<R>) {
    let Some(since) = batch.first().map(|job| job.since) else { return };
    let (inputs, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.input, job.answer)).unzip();
    *level.running() = Some(Instant::now());
    let results = work(&inputs, since);
    // Before anybody hears of it, so that whoever comes then does not take it for one that is under way.
    *level.running() = None;
    for (answer, result) in answers.into_iter().zip(results) {
        // Where nobody waits any more, the result is dropped here.
        drop(answer.send(result));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

    use futures_util::future::{join, join_all};

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);
    const PATIENT: Limits = Limits { together: 8, queue: 64, patience: LONG, deadline: LONG };

    /// What was done together.
    type Noted = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Doubles numbers. Each batch is noted down, and waits for a word before it goes on.
    fn held(limits: Limits) -> (Batches<u32, u32>, Sender<()>, Noted) {
        let ((go, gone), batches) = (channel(), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&batches);
        let work = move |numbers: &[u32], _| {
            noted.lock().unwrap().push(numbers.to_vec());
            gone.recv().unwrap();
            numbers.iter().map(|number| number * 2).collect()
        };
        (Batches::start("test", limits, work).unwrap(), go, batches)
    }

    /// Waits until as many jobs wait, with a batch under way.
    async fn waiting(batches: &Batches<u32, u32>, jobs: usize) {
        let come = async {
            while batches.level().waiting != jobs || batches.level().running == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, come).await.unwrap();
    }

    #[actix_web::test]
    async fn what_comes_meanwhile_goes_together_and_each_gets_its_own_answer() {
        let (batches, go, noted) = held(PATIENT);
        let first = batches.run(0);
        let others = async {
            waiting(&batches, 0).await;
            let others = join_all((1..=12).map(|number| batches.run(number)));
            let release = async {
                waiting(&batches, 12).await;
                (0..3).for_each(|_| go.send(()).unwrap());
            };
            join(others, release).await.0
        };
        let (first, others) = join(first, others).await;
        assert_eq!(first, Ok(0));
        assert!(others.into_iter().eq((1..=12).map(|number| Ok(number * 2))));
        let sizes: Vec<_> = noted.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 8, 4]);
    }

    #[actix_web::test]
    async fn whoever_waits_behind_a_batch_that_hangs_is_told_so_and_never_begun() {
        let (batches, go, noted) = held(Limits { patience: SHORT, ..PATIENT });
        let begun = batches.run(1);
        let late = async {
            waiting(&batches, 0).await;
            let late = batches.run(2).await;
            go.send(()).unwrap();
            late
        };
        // The one that was begun is waited for, however long it takes.
        assert_eq!(join(begun, late).await, (Ok(2), Err(NotDone::Busy)));
        go.send(()).unwrap();
        assert_eq!(batches.run(3).await, Ok(6));
        assert_eq!(*noted.lock().unwrap(), [[1], [3]]);
    }

    #[actix_web::test]
    async fn a_job_whose_caller_has_gone_is_left_out() {
        let (batches, go, noted) = held(PATIENT);
        let gone = async {
            waiting(&batches, 0).await;
            let hung_up = tokio::time::timeout(Duration::from_millis(10), batches.run(2)).await;
            assert!(hung_up.is_err());
            (0..2).for_each(|_| go.send(()).unwrap());
        };
        assert_eq!(join(batches.run(1), gone).await.0, Ok(2));
        assert_eq!(batches.run(3).await, Ok(6));
        assert_eq!(*noted.lock().unwrap(), [[1], [3]]);
    }

    #[actix_web::test]
    async fn a_batch_that_takes_too_long_is_not_waited_for() {
        let (batches, go, _) = held(Limits { patience: SHORT, deadline: SHORT, ..PATIENT });
        assert_eq!(batches.run(1).await, Err(NotDone::TimedOut));
        go.send(()).unwrap();
    }

    #[actix_web::test]
    async fn a_full_queue_is_refused_at_once() {
        let (batches, go, _) = held(Limits { queue: 1, ..PATIENT });
        let second = async {
            waiting(&batches, 0).await;
            let third = async {
                waiting(&batches, 1).await;
                assert_eq!(batches.run(3).await, Err(NotDone::Busy));
                (0..2).for_each(|_| go.send(()).unwrap());
            };
            join(batches.run(2), third).await.0
        };
        assert_eq!(join(batches.run(1), second).await, (Ok(2), Ok(4)));
    }

    #[actix_web::test]
    async fn a_panic_costs_its_batch_and_no_more() {
        let batches = Batches::start("test", PATIENT, |numbers: &[u32], _| {
            assert_ne!(numbers, [1], "on purpose");
            numbers.to_vec()
        });
        let batches = batches.unwrap();
        assert_eq!(batches.run(1).await, Err(NotDone::Died));
        assert_eq!(batches.run(2).await, Ok(2));
    }
}
