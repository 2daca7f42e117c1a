//! The figures of one part: raw ones kept in a file, and what follows from them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::arguments::Arguments;
use super::database::Database;
use super::origin;

/// Keeps what was measured until it is written.
pub(crate) struct Figures {
    part: &'static str,
    out: PathBuf,
    measuring: bool,
    /// Empty where there is none.
    server_version: String,
    rows: Vec<Row>,
}

/// One raw figure: what was measured, on which side, in which round.
struct Row {
    subject: String,
    side: String,
    round: usize,
    unit: &'static str,
    value: f64,
}

/// The middle of several ratios, and the range without their lowest and highest quarter.
#[derive(Clone, Copy)]
pub(crate) struct Ratio {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Figures {
    pub(crate) fn new(part: &'static str, arguments: &Arguments) -> Self {
        let Arguments { measuring, out, .. } = arguments;
        let (out, measuring) = (out.clone(), *measuring);
        Self { part, out, measuring, server_version: String::new(), rows: Vec::new() }
    }

    /// Keeps which Postgres it is that carries the load.
    pub(crate) fn measured_on(&mut self, database: &Database) {
        self.server_version = database.setting("server_version");
    }

    /// One of two efforts: that of a measurement, or one that shows within a second that everything works.
    pub(crate) fn effort<T>(&self, measuring: T, smoke: T) -> T {
        if self.measuring { measuring } else { smoke }
    }

    pub(crate) fn keep(&mut self, subject: &str, side: &str, round: usize, unit: &'static str, value: f64) {
        self.rows.push(Row { subject: subject.into(), side: side.into(), round, unit, value });
    }

    /// The figures of one side in the order of their rounds.
    pub(crate) fn values(&self, subject: &str, side: &str, unit: &str) -> Vec<f64> {
        let wanted = |row: &&Row| row.subject == subject && row.side == side && row.unit == unit;
        self.rows.iter().filter(wanted).map(|row| row.value).collect()
    }

    /// The same as points of a line.
    pub(crate) fn by_round(&self, subject: &str, side: &str, unit: &str) -> Vec<(f64, f64)> {
        let values = self.values(subject, side, unit).into_iter().enumerate();
        values.map(|(round, value)| (round as f64, value)).collect()
    }

    pub(crate) fn median(&self, subject: &str, side: &str, unit: &str) -> f64 {
        Ratio::of(self.values(subject, side, unit)).median
    }

    /// Round by round one side divided by the other: neighbours in time, for which the machine was in much the same
    /// mood.
    pub(crate) fn ratio(&self, subject: &str, unit: &str, [a, b]: [&str; 2]) -> Ratio {
        let (a, b) = (self.values(subject, a, unit), self.values(subject, b, unit));
        assert_eq!(a.len(), b.len());
        Ratio::of(a.iter().zip(&b).map(|(a, b)| a / b).collect())
    }

    /// Draws a chart beside the raw figures. Those of a smoke test mean nothing.
    pub(crate) fn draw(&self, name: &str, draw: impl FnOnce(&Path)) {
        if self.measuring {
            fs::create_dir_all(&self.out).unwrap();
            draw(&self.out.join(name));
        }
    }

    /// Writes the raw figures as `<part>.csv`, and where they come from beside them.
    pub(crate) fn write(&self) {
        if !self.measuring {
            return;
        }
        let mut text = "subject,side,round,unit,value\n".to_owned();
        for Row { subject, side, round, unit, value } in &self.rows {
            let [subject, side] = [subject, side].map(|name| field(name));
            writeln!(text, "{subject},{side},{round},{unit},{value:.6}").unwrap();
        }
        fs::create_dir_all(&self.out).unwrap();
        let file = self.out.join(self.part).with_extension("csv");
        fs::write(&file, text).unwrap();
        origin::note(&self.out, self.part, &self.server_version);
        println!("\nraw figures: {}", file.display());
    }
}

impl Ratio {
    fn of(values: Vec<f64>) -> Self {
        let [low, median, high] = percentiles(values, [25, 50, 75]);
        Self { low, median, high }
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.low, self.high)
    }
}

/// What so many of a hundred values do not exceed.
pub(crate) fn percentiles<const N: usize>(mut values: Vec<f64>, percents: [usize; N]) -> [f64; N] {
    values.sort_by(f64::total_cmp);
    percents.map(|percent| values[(values.len() - 1) * percent / 100])
}

/// A name as CSV has it.
fn field(name: &str) -> String {
    if name.contains(',') { format!("\"{name}\"") } else { name.to_owned() }
}
