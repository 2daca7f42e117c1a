//! When a token that names an unknown key leads to a fetch. Anybody can make up such tokens.

use std::time::{Duration, Instant};

/// The least time between two fetches that tokens have caused.
const INTERVAL: Duration = Duration::from_secs(30);
/// How long a key that was not in the issuer's set is not asked for again.
const ABSENT_FOR: Duration = Duration::from_secs(5 * 60);

/// The memory that holds unknown keys in check. It has no more entries than there are intervals in the longer time.
#[derive(Default)]
pub(super) struct Demand {
    /// The keys that were asked for, and when.
    asked: Vec<(String, Instant)>,
    last: Option<Instant>,
}

impl Demand {
    /// Whether a token that names this unknown key leads to a fetch.
    pub(super) fn ask(&mut self, kid: &str, now: Instant) -> bool {
        let within = |since: Instant, span| now.saturating_duration_since(since) < span;
        if self.last.is_some_and(|last| within(last, INTERVAL)) {
            return false;
        }
        self.asked.retain(|(_, since)| within(*since, ABSENT_FOR));
        if self.asked.iter().any(|(asked, _)| asked == kid) {
            return false;
        }
        self.asked.push((kid.to_owned(), now));
        self.last = Some(now);
        true
    }

    /// The fetch failed: nothing is known to be absent.
    pub(super) fn forget(&mut self) {
        self.asked.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64, start: Instant) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn any_number_of_unknown_keys_leads_to_one_fetch_in_thirty_seconds() {
        let (mut demand, start) = (Demand::default(), Instant::now());
        let asked = |demand: &mut Demand, at: u64| {
            (0..1000).filter(|n| demand.ask(&format!("{at}-{n}"), after(at, start))).count()
        };
        for (at, fetches) in [(0, 1), (1, 0), (29, 0), (30, 1), (59, 0), (60, 1), (3600, 1)] {
            assert_eq!(asked(&mut demand, at), fetches, "{at}");
        }
    }

    #[test]
    fn a_key_that_was_not_there_is_not_asked_for_again_soon() {
        let (mut demand, start) = (Demand::default(), Instant::now());
        for (at, fetch) in [(0, true), (31, false), (299, false), (300, true), (331, false)] {
            assert_eq!(demand.ask("gone", after(at, start)), fetch, "{at}");
        }
        assert!(demand.ask("another", after(332, start)));
    }

    #[test]
    fn after_a_failure_it_is_asked_for_again_but_not_sooner() {
        let (mut demand, start) = (Demand::default(), Instant::now());
        assert!(demand.ask("new", start));
        demand.forget();
        assert!(!demand.ask("new", after(29, start)));
        assert!(demand.ask("new", after(30, start)));
    }

    #[test]
    fn the_memory_is_bounded() {
        let (mut demand, start) = (Demand::default(), Instant::now());
        for at in 0..10_000 {
            demand.ask(&at.to_string(), after(at, start));
        }
        assert!(demand.asked.len() <= 10);
    }
}
