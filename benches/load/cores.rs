//! Which processors a thread keeps to, and with it what it starts. Known on Linux; elsewhere everybody has all of them.

use std::thread;

/// Some of the processors of this machine, by their numbers.
#[derive(Clone)]
pub(crate) struct Cores(Vec<usize>);

impl Cores {
    /// Those that this thread may use.
    pub(crate) fn all() -> Self {
        Self(affinity::get())
    }

    /// Two halves, if there are two at least and threads can be told to keep to them.
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        let (one, other) = self.0.split_at(self.0.len() / 2);
        (affinity::KNOWN && !one.is_empty()).then(|| [one, other].map(|half| Self(half.to_vec())))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Does something on a thread that keeps to these. So does everything that it starts, threads and processes.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let kept = || {
            affinity::set(&self.0);
            work()
        };
        thread::scope(|threads| threads.spawn(kept).join().unwrap())
    }
}

#[cfg(target_os = "linux")]
mod affinity {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    pub(super) const KNOWN: bool = true;

    pub(super) fn get() -> Vec<usize> {
        let own = sched_getaffinity(None).unwrap();
        (0..CpuSet::MAX_CPU).filter(|core| own.is_set(*core)).collect()
    }

    pub(super) fn set(cores: &[usize]) {
        let mut own = CpuSet::new();
        cores.iter().for_each(|core| own.set(*core));
        sched_setaffinity(None, &own).unwrap();
    }
}

#[cfg(not(target_os = "linux"))]
mod affinity {
    use std::thread::available_parallelism;

    pub(super) const KNOWN: bool = false;

    pub(super) fn get() -> Vec<usize> {
        (0..available_parallelism().map_or(1, usize::from)).collect()
    }

    pub(super) fn set(_: &[usize]) {}
}
