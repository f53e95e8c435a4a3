//! Throughput over time, in a terminal and as a drawing.

use std::time::Duration;

use super::ends::STEP;

/// What is drawn.
pub(super) struct Plot {
    /// Whose flows they are.
    pub(super) names: [&'static str; 2],
    /// Mbit/s in each step.
    pub(super) series: [Vec<f64>; 2],
    /// What happened, and when.
    pub(super) parts: Vec<Part>,
}

/// A part of the time.
pub(super) struct Part {
    from: Duration,
    text: String,
}

impl Part {
    pub(super) fn new(from: Duration, text: impl Into<String>) -> Self {
        Self {
            from,
            text: text.into(),
        }
    }
}

/// The highest rate that is drawn, in Mbit/s.
const TOP: usize = 12;

impl Plot {
    /// For a terminal: a row per Mbit/s, a column per step.
    pub(super) fn text(&self) -> String {
        let [one, other] = &self.series;
        let mut text = String::from("Mbit/s\n");
        for row in (0..=TOP).rev() {
            text.push_str(&format!("{row:>4} |"));
            for (one, other) in one.iter().zip(other) {
                text.push(match (height(*one) == row, height(*other) == row) {
                    (true, true) => '*',
                    (true, false) => initial(self.names[0]),
                    (false, true) => initial(self.names[1]),
                    (false, false) => ' ',
                });
            }
            text.push('\n');
        }
        text.push_str(&format!("     +{}\n", "-".repeat(one.len())));
        for (part, mean) in self.parts.iter().zip(self.means()) {
            let [one, other] = mean;
            text.push_str(&format!(
                "{:>5.1} s  {} {one:.1} Mbit/s, {} {other:.1} Mbit/s: {}\n",
                part.from.as_secs_f64(),
                self.names[0],
                self.names[1],
                part.text
            ));
        }
        text
    }

    /// The mean rates in each part, without its first second, in which queues fill and empty.
    fn means(&self) -> Vec<[f64; 2]> {
        let ends = self.parts.iter().skip(1).map(|part| step(part.from));
        let ends = ends.chain([self.series[0].len()]);
        let parts = self.parts.iter().zip(ends);
        let means = parts.map(|(part, end)| {
            let settled = step(part.from + Duration::from_secs(1)).min(end.saturating_sub(1));
            [0, 1].map(|which| mean(self.series[which].get(settled..end).unwrap_or_default()))
        });
        means.collect()
    }

    /// As SVG.
    pub(super) fn svg(&self) -> String {
        const WIDTH: f64 = 720.0;
        const HEIGHT: f64 = 240.0;
        const LEFT: f64 = 60.0;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (steps, top) = (self.series[0].len().max(1) as f64, TOP as f64);
        let x = |step: f64| LEFT + step / steps * WIDTH;
        let y = |rate: f64| 20.0 + HEIGHT - rate.min(top) / top * HEIGHT;
        let mut svg = String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 320\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"800\" height=\"320\" fill=\"white\"/>\n",
        );
        for rate in [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0] {
            let (y, end) = (y(rate), LEFT + WIDTH);
            svg.push_str(&format!(
                "<path d=\"M{LEFT} {y:.1}H{end}\" stroke=\"#ddd\"/><text x=\"52\" y=\"{:.1}\" \
                 text-anchor=\"end\">{rate}</text>\n",
                y + 4.0
            ));
        }
        svg.push_str("<text x=\"8\" y=\"14\">Mbit/s</text>\n");
        for (place, part) in self.parts.iter().enumerate() {
            let x = x(part.from.as_secs_f64() / STEP.as_secs_f64());
            // One under the other, so that long ones do not meet.
            let y = 278 + 14 * place;
            svg.push_str(&format!(
                "<path d=\"M{x:.1} 20V260\" stroke=\"#888\" stroke-dasharray=\"4\"/><text x=\"{x:.1}\" \
                 y=\"{y}\">{:.1} s: {}</text>\n",
                part.from.as_secs_f64(),
                escaped(&part.text)
            ));
        }
        for ((name, series), colour) in self
            .names
            .iter()
            .zip(&self.series)
            .zip(["#1666b0", "#c0392b"])
        {
            let mut line = String::new();
            for (step, rate) in (0_u32..).zip(series) {
                let command = if step == 0 { 'M' } else { 'L' };
                let (x, y) = (x(f64::from(step) + 0.5), y(*rate));
                line.push_str(&format!("{command}{x:.1} {y:.1}"));
            }
            let y = y(series.last().copied().unwrap_or_default());
            svg.push_str(&format!(
                "<path d=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{}\" \
                 y=\"{:.1}\" text-anchor=\"end\" fill=\"{colour}\">{}</text>\n",
                LEFT + WIDTH,
                y - 6.0,
                escaped(name)
            ));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// The row of a rate.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded, and a small number"
)]
fn height(rate: f64) -> usize {
    (rate.round() as usize).min(TOP)
}

/// The letter for a name: `B` for `CN=Bob`.
fn initial(name: &str) -> char {
    name.chars().nth(3).unwrap_or('?')
}

/// The step that a time is in.
fn step(time: Duration) -> usize {
    usize::try_from(time.as_millis() / STEP.as_millis()).unwrap_or(usize::MAX)
}

fn mean(rates: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let count = rates.len().max(1) as f64;
    rates.iter().sum::<f64>() / count
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        Plot {
            names: ["CN=Bob", "CN=Eve"],
            series: [vec![8.0; 8], [vec![2.2; 4], vec![8.2; 4]].concat()],
            parts: vec![
                Part::new(Duration::ZERO, "first"),
                Part::new(Duration::from_secs(1), "a < b"),
            ],
        }
    }

    #[test]
    fn rates_are_at_their_height() {
        let text = plot().text();
        let row = |wanted: &str| text.lines().find(|line| line.starts_with(wanted)).unwrap();
        assert_eq!(row("   8 |"), "   8 |BBBB****");
        assert_eq!(row("   2 |"), "   2 |EEEE    ");
        assert_eq!(row("  12 |"), "  12 |        ");
        assert!(
            text.contains("  0.0 s  CN=Bob 8.0 Mbit/s, CN=Eve 2.2 Mbit/s: first\n"),
            "{text}"
        );
        assert!(
            text.contains("  1.0 s  CN=Bob 8.0 Mbit/s, CN=Eve 8.2 Mbit/s: a < b\n"),
            "{text}"
        );
    }

    #[test]
    fn the_drawing_has_both_lines_and_no_open_end() {
        let svg = plot().svg();
        assert_eq!(svg.matches("stroke-width=\"2\"").count(), 2);
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
        // An empty one is one, too.
        let empty = Plot {
            series: [Vec::new(), Vec::new()],
            ..plot()
        };
        assert!(!empty.svg().contains("NaN") && !empty.text().contains("NaN"));
    }
}
