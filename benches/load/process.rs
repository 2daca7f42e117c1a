//! What Linux says of a process. Elsewhere these figures are left out.

use std::fs;
use std::time::Duration;

/// What stands where such a figure would.
pub(crate) const NO_MEMORY: &str = "left out: the memory of the server, which Linux alone tells";
pub(crate) const NO_PROCESSOR_TIME: &str = "left out: processor time, which Linux alone tells";

/// How many ticks of processor time there are in a second, for programs: a constant of Linux.
const TICKS: u64 = 100;

/// The memory that a process has in use, in bytes.
pub(crate) fn resident_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// The processor time that a process has used, its threads and its part of the kernel included.
pub(crate) fn processor_time(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let used = ticks()? + ticks()?;
    Some(Duration::from_millis(used * 1_000 / TICKS))
}

/// Whether Linux shares processors out to sessions of processes, and only within each to its threads. Where it does, a
/// thread of low priority gives way to its own session alone.
pub(crate) fn session_groups() -> &'static str {
    match fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled").as_deref().map(str::trim) {
        Ok("1") => "on",
        Ok("0") => "off",
        _ => "unknown",
    }
}
