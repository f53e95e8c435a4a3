//! Prometheus's text format, version 0.0.4: metrics with labels, each kind under a line that says
//! what it is.

use std::fmt::{Display, Write};

use lpm_host::status::Latencies;

use crate::output::plain::Plain;

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Text in the making.
#[derive(Default)]
pub struct Exposition(String);

/// The labels of a sample, each with its value.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Exposition {
    /// Begins a metric that only grows.
    pub fn counter(&mut self, name: &str, help: &str) {
        self.family(name, "counter", help);
    }

    /// Begins a metric that comes and goes.
    pub fn gauge(&mut self, name: &str, help: &str) {
        self.family(name, "gauge", help);
    }

    /// Begins a metric that says how times are distributed.
    pub fn histogram(&mut self, name: &str, help: &str) {
        self.family(name, "histogram", help);
    }

    /// Begins a metric, described in one line.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Adds a value of the metric that was begun.
    pub fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            self.line(format_args!("{before}{label}=\"{}\"", escaped(value)));
        }
        let after = if labels.is_empty() { " " } else { "} " };
        self.line(format_args!("{after}{value}\n"));
    }

    /// Adds a distribution to the metric that was begun: in seconds, each bucket with those before
    /// it.
    pub fn times(&mut self, name: &str, labels: Labels<'_>, times: &Latencies) {
        let mut so_far = 0;
        let bounds = Latencies::BOUNDS
            .iter()
            .map(|bound| bound.as_secs_f64().to_string());
        let bounds = bounds.chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&times.buckets) {
            so_far += count;
            let labels = [labels, &[("le", &*bound)]].concat();
            self.sample(&format!("{name}_bucket"), &labels, so_far);
        }
        self.sample(&format!("{name}_sum"), labels, times.sum.as_secs_f64());
        self.sample(&format!("{name}_count"), labels, so_far);
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // A text takes everything.
        let _ = self.0.write_fmt(text);
    }
}

/// A label's value: what would steer a terminal is shown as an escape, and that is part of the
/// value.
fn escaped(value: &str) -> String {
    let lines = value.split('\n').map(|line| {
        let plain = Plain(line).to_string();
        plain.replace('\\', "\\\\").replace('"', "\\\"")
    });
    lines.collect::<Vec<_>>().join("\\n")
}
