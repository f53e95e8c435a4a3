//! What was measured.

use serde::Serialize;

use crate::machine::Machine;

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) command: String,
    pub(crate) machine: Machine,
    pub(crate) sections: Vec<Section>,
    pub(crate) goals: Vec<Goal>,
}

/// What belongs to one subject.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    /// As the command line has it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) comparisons: Vec<Comparison>,
    /// What a reader has to know.
    pub(crate) notes: Vec<String>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) plots: Vec<Plot>,
}

/// Contenders that took turns.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) case: String,
    /// Of the values.
    pub(crate) unit: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// One contender.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) value: Quartiles,
    /// To the first row's contender, round by round; nothing where there are no rounds.
    pub(crate) ratio: Option<Quartiles>,
    #[serde(skip)]
    pub(crate) samples: Vec<f64>,
}

/// The median, and how far the middle half of the rounds spreads.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Quartiles {
    pub(crate) lower: f64,
    pub(crate) median: f64,
    pub(crate) upper: f64,
}

/// What is to be reached.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) what: &'static str,
    pub(crate) measured: String,
    pub(crate) met: bool,
}

/// Curves to draw.
#[derive(Debug, Serialize)]
pub(crate) struct Plot {
    /// Of the file.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) curves: Vec<Curve>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(crate) struct Curve {
    pub(crate) what: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Section {
    pub(crate) fn new(name: &'static str, title: &'static str) -> Self {
        Self {
            name,
            title,
            comparisons: Vec::new(),
            notes: Vec::new(),
            goals: Vec::new(),
            plots: Vec::new(),
        }
    }
}

impl Comparison {
    /// The row of a contender.
    pub(crate) fn row(&self, what: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.what == what)
    }

    /// How many times as long one contender takes as another, in the median round.
    pub(crate) fn ratio(&self, one: &str, other: &str) -> Option<f64> {
        let (one, other) = (self.row(one)?, self.row(other)?);
        let ratios = one.samples.iter().zip(&other.samples).map(|(a, b)| a / b);
        Some(Quartiles::of(ratios).median)
    }
}

impl Quartiles {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
        Self {
            lower: at(1),
            median: at(2),
            upper: at(3),
        }
    }

    pub(crate) fn only(value: f64) -> Self {
        Self::of([value])
    }
}

impl Goal {
    /// Where a figure may not be above a limit. `None` when it was not measured.
    pub(crate) fn at_most(
        what: &'static str,
        measured: Option<f64>,
        limit: f64,
        unit: &str,
    ) -> Option<Self> {
        Self::new(what, measured, unit, |measured| measured <= limit)
    }

    /// Where a figure may not be below a limit. `None` when it was not measured.
    pub(crate) fn at_least(
        what: &'static str,
        measured: Option<f64>,
        limit: f64,
        unit: &str,
    ) -> Option<Self> {
        Self::new(what, measured, unit, |measured| measured >= limit)
    }

    fn new(
        what: &'static str,
        measured: Option<f64>,
        unit: &str,
        met: impl FnOnce(f64) -> bool,
    ) -> Option<Self> {
        let measured = measured?;
        Some(Self {
            what,
            measured: format!("{}{unit}", figure(measured)),
            met: met(measured),
        })
    }
}

/// Three digits.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        ..0.995 => format!("{value:.3}"),
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => thousands(value),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits.as_str()),
    };
    let groups: Vec<_> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    format!("{sign}{}", groups.join(" "))
}
