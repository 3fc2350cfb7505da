//! The figures as a Markdown table.

use std::{fmt, time::Duration};

use crate::load::Outcome;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// What the load saw.
    pub outcome: Outcome,
    /// The proxy's processor time during it; `None` where there is no proxy.
    pub cpu: Option<Duration>,
}

/// What all rounds gave for one case, one list for each subject.
#[derive(Debug)]
pub struct Row {
    case: String,
    subjects: Vec<(&'static str, Vec<Measured>)>,
}

/// The whole table; the first subject of each row is what the others are compared with.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds one measurement to its row.
    pub fn add(&mut self, case: &str, subject: &'static str, measured: Measured) {
        let at = self.0.iter().position(|row| row.case == case).unwrap_or_else(|| {
            self.0.push(Row { case: case.to_owned(), subjects: Vec::new() });
            self.0.len() - 1
        });
        let row = &mut self.0[at];
        match row.subjects.iter_mut().find(|(name, _)| *name == subject) {
            Some((_, list)) => list.push(measured),
            None => row.subjects.push((subject, vec![measured])),
        }
    }
}

/// The medians of a list of measurements.
struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Microseconds for a request.
    cpu: Option<f64>,
}

impl Figures {
    #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
    fn of(list: &[Measured]) -> Self {
        let rate = |m: &Measured| m.outcome.requests as f64 / m.outcome.seconds;
        let cpu = |m: &Measured| m.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / m.outcome.requests.max(1) as f64);
        Self {
            rate: median(list.iter().map(rate)).unwrap_or_default(),
            p50: median(list.iter().map(|m| m.outcome.p50)).unwrap_or_default(),
            p99: median(list.iter().map(|m| m.outcome.p99)).unwrap_or_default(),
            cpu: median(list.iter().filter_map(cpu)),
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| case | way | requests/s | of direct | p50 µs | p99 µs | p50 added | p99 added | proxy CPU µs/request | of tunnel |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        for row in &self.0 {
            let figures: Vec<_> = row.subjects.iter().map(|(name, list)| (*name, Figures::of(list))).collect();
            let Some((base_name, base)) = figures.first() else { continue };
            let tunnel = figures.iter().find(|(name, _)| *name == "tunnel").and_then(|(_, figures)| figures.cpu);
            for (name, figures) in &figures {
                write!(f, "| {} | {name} | {:.0} ", row.case, figures.rate)?;
                if name == base_name {
                    writeln!(f, "| 1 | {:.0} | {:.0} | | | | |", figures.p50, figures.p99)?;
                    continue;
                }
                let (p50, p99) = (figures.p50 - base.p50, figures.p99 - base.p99);
                write!(f, "| {:.2} | {:.0} | {:.0} ", figures.rate / base.rate, figures.p50, figures.p99)?;
                write!(f, "| {p50:+.0} | {p99:+.0} ")?;
                match (figures.cpu, tunnel) {
                    (Some(cpu), Some(least)) if least > 0.0 => writeln!(f, "| {cpu:.1} | {:.1} |", cpu / least)?,
                    (Some(cpu), _) => writeln!(f, "| {cpu:.1} | |")?,
                    (None, _) => writeln!(f, "| | |")?,
                }
            }
        }
        Ok(())
    }
}
