//! Threads for work that takes a processor for long, at a low priority: whatever else wants the processor goes first.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that take jobs in the order in which they come. They end with this value, after what they have
/// taken on. Nobody waits for that: it may be a job that holds the value last.
pub(crate) struct OwnThreads {
    jobs: Sender<Job>,
}

impl OwnThreads {
    pub(crate) fn start(name: &str, count: usize) -> io::Result<Self> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..count {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().name(name.to_owned()).spawn(move || work(&waiting))?;
        }
        Ok(Self { jobs })
    }

    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        // Without threads nobody would take it, and whoever waits for it is told by its end.
        drop(self.jobs.send(Box::new(job)));
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    if let Err(error) = step_back() {
        tracing::debug!(%error, "hashing goes on at the usual priority");
    }
    loop {
        // Nothing happens under this lock but waiting.
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic has been reported by its hook, and whoever waits for the job notices. The thread is needed on.
        drop(catch_unwind(AssertUnwindSafe(job)));
    }
}

/// Gives this thread, and no other, a lower priority than that of the process. On Linux a thread has one of its own.
#[cfg(target_os = "linux")]
fn step_back() -> io::Result<()> {
    use rustix::process::{getpriority_process, setpriority_process};
    use rustix::thread::gettid;

    let this = Some(gettid());
    Ok(setpriority_process(this, getpriority_process(this)? + STEPS)?)
}

#[cfg(not(target_os = "linux"))]
fn step_back() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Steps of niceness. Ten are a tenth of what others get, where others want it. All 19 would be a seventieth, and one busy program
/// beside the server would keep everybody from logging in.
#[cfg(target_os = "linux")]
const STEPS: i32 = 10;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::RecvTimeoutError;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn threads(count: usize) -> OwnThreads {
        OwnThreads::start("test", count).unwrap()
    }

    #[test]
    fn one_thread_takes_jobs_in_their_order() {
        let (threads, (done, all)) = (threads(1), channel());
        for number in 0..100 {
            let done = done.clone();
            threads.run(move || done.send(number).unwrap());
        }
        drop(done);
        assert!(all.iter().eq(0..100));
    }

    #[test]
    fn as_many_jobs_run_at_once_as_there_are_threads() {
        let threads = threads(3);
        let together = Arc::new(std::sync::Barrier::new(3));
        let (done, all) = channel();
        for _ in 0..3 {
            let (together, done) = (Arc::clone(&together), done.clone());
            threads.run(move || {
                together.wait();
                done.send(()).unwrap();
            });
        }
        for _ in 0..3 {
            all.recv_timeout(LONG).unwrap();
        }
    }

    #[test]
    fn a_panic_costs_no_thread() {
        let (threads, (done, all)) = (threads(1), channel());
        threads.run(|| panic!("on purpose"));
        threads.run(move || done.send(7).unwrap());
        assert_eq!(all.recv_timeout(LONG), Ok(7));
    }

    #[test]
    fn threads_end_with_their_owner_after_what_they_have_taken_on() {
        thread_local! {
            static UNTIL_THE_END: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
        }
        let (threads, (done, all), (held, ended)) = (threads(1), channel(), channel());
        threads.run(move || UNTIL_THE_END.set(Some(held)));
        threads.run(move || done.send(7).unwrap());
        assert_eq!(ended.recv_timeout(Duration::from_millis(10)), Err(RecvTimeoutError::Timeout));
        drop(threads);
        assert_eq!(all.recv_timeout(LONG), Ok(7));
        assert_eq!(ended.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn the_last_owner_may_be_a_job() {
        let (done, all) = channel();
        let threads = Arc::new(threads(1));
        let (go, gone) = channel::<()>();
        let last = Arc::clone(&threads);
        threads.run(move || {
            gone.recv().unwrap();
            drop(last);
            done.send(7).unwrap();
        });
        drop(threads);
        go.send(()).unwrap();
        assert_eq!(all.recv_timeout(LONG), Ok(7));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn they_have_a_lower_priority_and_nobody_else_does() {
        use rustix::process::getpriority_process;
        use rustix::thread::gettid;

        let own = || getpriority_process(Some(gettid())).unwrap();
        let (before, threads, (done, all)) = (own(), threads(1), channel());
        threads.run(move || done.send(own()).unwrap());
        assert_eq!(all.recv_timeout(LONG), Ok((before + STEPS).min(19)));
        assert_eq!(own(), before);
    }
}
