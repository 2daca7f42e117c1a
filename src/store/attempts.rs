//! `authflow.attempts`: the counts of attempts, kept by the rule of [`throttle`](crate::domain::throttle).

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};

use super::sessions::microseconds;
use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::throttle::{AfterSuccess, Counter, STEPS};

/// What became of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// The attempt is counted as a failure. Where in the list the counters stand that have no room for another one now.
    Admitted { used_up: Vec<usize> },
    /// The count at this place in the list has no room before so much time has passed, longer than any other. Nothing was
    /// counted.
    Shut(usize, TimeDelta),
    /// A count was used up in this very moment, after it was looked at.
    Overtaken,
}

/// As a row source: the commit of this statement does not wait for the disk, nor for a standby. A crash of the database forgets
/// the attempts of its last moment, at most three times `wal_writer_delay`. In return guesses do not make those wait who refresh:
/// a commit that is waited for waits for all that were written before it.
macro_rules! commit_in_the_background {
    () => {
        "set_config('synchronous_commit', 'off', true)"
    };
}

/// Adds an attempt to the count at `$place`, if that has room and if `$after` has a row: the count before it had room, too.
/// A row that is due to be forgotten begins anew.
macro_rules! count {
    ($name:literal, $place:literal, $after:literal) => {
        concat!(
            ", ", $name, " AS (
                INSERT INTO authflow.attempts AS a (key, kind, failures, open_at, forgotten_at)
                SELECT c.key, c.kind, 1, f.open_at, f.open_at + c.burst + c.memory
                FROM ", $after, " AS before, counter c,
                     LATERAL (SELECT now() - c.burst + c.steps[1] * interval '1 microsecond' AS open_at) f
                WHERE c.place = ", $place, "
                ON CONFLICT (key) DO UPDATE SET (failures, open_at, forgotten_at) = (
                    SELECT n.failures, f.open_at, f.open_at + c.burst + c.memory
                    FROM counter c,
                         LATERAL (SELECT CASE WHEN a.forgotten_at > now() THEN a.failures + 1 ELSE 1 END AS failures) n,
                         LATERAL (SELECT greatest(a.open_at, now() - c.burst)
                                      + c.steps[least(n.failures, 16)] * interval '1 microsecond' AS open_at) f
                    WHERE c.place = ", $place, "
                )
                WHERE a.open_at <= clock_timestamp()
                RETURNING ", $place, "::bigint AS place, a.open_at > clock_timestamp() AS used_up
            )"
        )
    };
}

const _: () = assert!(STEPS == 16, "the statements say so in figures");

statement! {
    /// Counts an attempt in up to four counts, or in none: a look without locks first, then one count after the other.
    /// Whoever is refused writes nothing, unless a count was used up between the look and the lock; then those before it
    /// have one attempt too many, never too few. What is open is asked of the clock, not of `now()`: others that began later
    /// may have been quicker.
    Reserve {
        keys: Array<Binary> = Vec<Vec<u8>>,
        kinds: Array<Text> = Vec<&'static str>,
        bursts: Array<BigInt> = Vec<i64>,
        memories: Array<BigInt> = Vec<i64>,
        steps: Array<BigInt> = Vec<i64>,
    } -> (Nullable<BigInt>, Nullable<BigInt>, Array<BigInt>, Array<BigInt>),
    concat!(
        ", counter AS MATERIALIZED (
            SELECT c.place, c.key, c.kind, c.burst * interval '1 microsecond' AS burst,
                   c.memory * interval '1 microsecond' AS memory,
                   input.steps[(c.place - 1) * 16 + 1 : c.place * 16] AS steps
            FROM input, ", commit_in_the_background!(), ", unnest(input.keys, input.kinds, input.bursts, input.memories)
                WITH ORDINALITY AS c (key, kind, burst, memory, place)
        ), door AS MATERIALIZED (
            SELECT c.place, a.open_at - clock_timestamp() AS shut_for
            FROM counter c JOIN authflow.attempts a ON a.key = c.key
            WHERE a.open_at > clock_timestamp()
            ORDER BY a.open_at DESC LIMIT 1
        )",
        count!("narrow", "1", "(SELECT WHERE NOT EXISTS (SELECT FROM door))"),
        count!("wider", "2", "narrow"),
        count!("wider_still", "3", "wider"),
        count!("widest", "4", "wider_still"),
        " SELECT (SELECT place FROM door), (SELECT (extract(epoch FROM shut_for) * 1000000)::bigint FROM door),
                 coalesce(array_agg(place), '{}'), coalesce(array_agg(place) FILTER (WHERE used_up), '{}')
          FROM (TABLE narrow UNION ALL TABLE wider UNION ALL TABLE wider_still UNION ALL TABLE widest) counted"
    )
}

statement! {
    /// Takes an attempt back, or forgets the whole count. Locks in the order in which they were counted.
    TakeBack {
        keys: Array<Binary> = Vec<Vec<u8>>,
        forget: Array<Bool> = Vec<bool>,
        steps: Array<BigInt> = Vec<i64>,
    } -> BigInt,
    concat!(
        ", locked AS MATERIALIZED (
            SELECT a.key, a.failures = 1 OR c.forget AS goes,
                   input.steps[(c.place - 1) * 16 + least(a.failures, 16)] * interval '1 microsecond' AS step
            FROM input
            CROSS JOIN ", commit_in_the_background!(), "
            CROSS JOIN LATERAL unnest(input.keys, input.forget) WITH ORDINALITY AS c (key, forget, place)
            JOIN authflow.attempts a ON a.key = c.key
            ORDER BY c.place
            FOR UPDATE OF a
        ), gone AS (
            DELETE FROM authflow.attempts a USING locked l WHERE a.key = l.key AND l.goes
            RETURNING 1
        ), lowered AS (
            UPDATE authflow.attempts a
            SET failures = a.failures - 1, open_at = a.open_at - l.step, forgotten_at = a.forgotten_at - l.step
            FROM locked l WHERE a.key = l.key AND NOT l.goes
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM lowered)"
    )
}

impl Session<'_> {
    /// Counts an attempt as a failure, before it is known whether it is one.
    pub(crate) fn reserve_attempt(&mut self, counters: &[Counter]) -> Result<Reserved, StoreError> {
        let statement = Reserve {
            keys: keys(counters),
            kinds: counters.iter().map(|counter| counter.kind.as_str()).collect(),
            bursts: counters.iter().map(|counter| microseconds(counter.budget.burst)).collect(),
            memories: counters.iter().map(|counter| microseconds(counter.budget.memory)).collect(),
            steps: steps(counters),
        };
        type Row = (Option<i64>, Option<i64>, Vec<i64>, Vec<i64>);
        let (place, shut_for, counted, used_up): Row = statement.get_result(self.connection)?;
        let shut = place.and_then(index).zip(shut_for);
        Ok(match shut {
            Some((place, wait)) => Reserved::Shut(place, TimeDelta::microseconds(wait)),
            None if counted.len() < counters.len() => Reserved::Overtaken,
            None => Reserved::Admitted { used_up: used_up.into_iter().filter_map(index).collect() },
        })
    }

    /// Takes an attempt back that came to nothing.
    pub(crate) fn give_back_attempt(&mut self, counters: &[Counter]) -> Result<(), StoreError> {
        self.take_back(counters, |_| false)
    }

    /// Does to each count what a success does to it.
    pub(crate) fn settle_attempt(&mut self, counters: &[Counter]) -> Result<(), StoreError> {
        let changes = |counter: &&Counter| counter.budget.after_success != AfterSuccess::Keep;
        let changed: Vec<Counter> = counters.iter().filter(changes).copied().collect();
        self.take_back(&changed, |counter| counter.budget.after_success == AfterSuccess::Forget)
    }

    fn take_back(
        &mut self,
        counters: &[Counter],
        forget: impl Fn(&Counter) -> bool,
    ) -> Result<(), StoreError> {
        if counters.is_empty() {
            return Ok(());
        }
        let forget = counters.iter().map(forget).collect();
        let statement = TakeBack { keys: keys(counters), forget, steps: steps(counters) };
        let _: i64 = statement.get_result(self.connection)?;
        Ok(())
    }
}

fn keys(counters: &[Counter]) -> Vec<Vec<u8>> {
    counters.iter().map(|counter| counter.key.0.to_vec()).collect()
}

/// The steps of all counters, one after the other.
fn steps(counters: &[Counter]) -> Vec<i64> {
    counters.iter().flat_map(|counter| counter.budget.steps()).map(|step| microseconds(*step)).collect()
}

/// Postgres counts places from one.
fn index(place: i64) -> Option<usize> {
    usize::try_from(place - 1).ok()
}
