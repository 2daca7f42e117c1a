//! What a user may rely on, in the plainest words: a chain as a list, and the rule as the table in the documents has it.
//!
//! Nothing is taken from the crate, and nothing happens at the same time.

/// Seconds.
pub(super) type Seconds = i64;

pub(super) const DAY: Seconds = 24 * 60 * 60;
pub(super) const WINDOW: Seconds = 300;
pub(super) const IDLE: Seconds = 14 * DAY;
pub(super) const ABSOLUTE: Seconds = 30 * DAY;
/// How long a generation is kept after it was replaced.
const KEPT: Seconds = WINDOW + 60;
/// How long an ended session is kept.
const REMEMBERED: Seconds = DAY + 300;

/// What a refresh is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// The token of this generation.
    Token(usize),
    /// This code, with 401.
    Refused(&'static str),
}

/// One session.
#[derive(Debug, Default)]
pub(super) struct Session {
    now: Seconds,
    generations: Vec<Generation>,
    /// Why it ended, and when.
    ended: Option<(&'static str, Seconds)>,
    purged: bool,
}

#[derive(Debug)]
struct Generation {
    issued_at: Seconds,
    /// Whether its row is there.
    kept: bool,
}

impl Session {
    pub(super) fn started() -> Session {
        let mut session = Session::default();
        session.add();
        session
    }

    pub(super) fn pass(&mut self, seconds: Seconds) {
        self.now += seconds;
    }

    pub(super) fn refresh(&mut self, presented: usize) -> Expected {
        if self.purged {
            return Expected::Refused("refresh_token_invalid");
        }
        match self.ended {
            Some(("idle" | "expired", _)) => return Expected::Refused("refresh_token_expired"),
            Some(_) => return Expected::Refused("session_revoked"),
            None if self.is_over() => return Expected::Refused("refresh_token_expired"),
            None => {}
        }
        let newest = self.newest();
        let rests = self.now - self.generations[newest].issued_at < WINDOW;
        if presented == newest && (newest == 0 || !rests) {
            self.add();
            Expected::Token(newest + 1)
        } else if presented == newest || (presented + 1 == newest && rests) {
            Expected::Token(newest)
        } else {
            self.mark("reuse");
            Expected::Refused("refresh_token_reused")
        }
    }

    /// By somebody, with its rows.
    pub(super) fn end(&mut self, reason: &'static str) {
        self.mark(reason);
        self.delete_rows();
    }

    /// By somebody who ends what has not ended: of other sessions not even the rows are touched.
    pub(super) fn end_if_live(&mut self, reason: &'static str) {
        if self.ended.is_none() {
            self.end(reason);
        }
    }

    pub(super) fn prune(&mut self) {
        if self.ended.is_none() && self.is_over() {
            let idle_first = self.idle_end() < ABSOLUTE;
            self.mark(if idle_first { "idle" } else { "expired" });
        }
        if let Some((_, at)) = self.ended {
            self.delete_rows();
            self.purged |= self.now - at > REMEMBERED;
            return;
        }
        let replaced =
            self.generations.iter().skip(1).filter(|next| self.now - next.issued_at >= KEPT).count();
        self.generations[..replaced].iter_mut().for_each(|generation| generation.kept = false);
    }

    pub(super) fn is_purged(&self) -> bool {
        self.purged
    }

    pub(super) fn reason(&self) -> Option<&'static str> {
        self.ended.map(|(reason, _)| reason)
    }

    /// The rows: generation, age, and what is left of the idle life, in hundreds of seconds.
    pub(super) fn rows(&self) -> Vec<String> {
        let kept = self.generations.iter().enumerate().filter(|(_, generation)| generation.kept);
        kept.map(|(place, Generation { issued_at, .. })| {
            let end = ABSOLUTE.min(issued_at + IDLE);
            format!("{place} {} {}", (self.now - issued_at) / 100, (end - self.now) / 100)
        })
        .collect()
    }

    fn newest(&self) -> usize {
        self.generations.len() - 1
    }

    fn idle_end(&self) -> Seconds {
        self.generations[self.newest()].issued_at + IDLE
    }

    fn is_over(&self) -> bool {
        self.now >= ABSOLUTE.min(self.idle_end())
    }

    fn add(&mut self) {
        self.generations.push(Generation { issued_at: self.now, kept: true });
    }

    fn mark(&mut self, reason: &'static str) {
        self.ended.get_or_insert((reason, self.now));
    }

    fn delete_rows(&mut self) {
        self.generations.iter_mut().for_each(|generation| generation.kept = false);
    }
}
