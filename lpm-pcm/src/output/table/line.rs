//! A line of the table.

use std::fmt::{Display, Write as _};

use anstyle::Style;

use crate::output::Plain;

/// Cells in columns, two spaces between them.
#[derive(Default)]
pub(super) struct Line {
    text: String,
}

const GAP: &str = "  ";
const SPACES: &str = "                                ";

impl Line {
    pub(super) fn clear(&mut self) {
        self.text.clear();
    }

    /// Adds text from outside, and fills it up to a width.
    pub(super) fn cell(&mut self, text: &str, width: usize) {
        let start = self.text.len();
        if Plain(text).is_plain() {
            self.text.push_str(text);
        } else {
            self.text(Plain(text));
        }
        self.fill(start, width);
        self.text.push_str(GAP);
    }

    /// Adds a cell with a style.
    pub(super) fn styled_cell(&mut self, text: impl Display, width: usize, style: Style) {
        let is_plain = style.is_plain();
        if !is_plain {
            self.text(style.render());
        }
        let start = self.text.len();
        self.text(text);
        self.fill(start, width);
        if !is_plain {
            self.text(style.render_reset());
        }
        self.text.push_str(GAP);
    }

    /// Adds text.
    pub(super) fn text(&mut self, text: impl Display) {
        // A String takes everything.
        let _ = write!(self.text, "{text}");
    }

    /// The whole line, without spaces at its end.
    pub(super) fn ended(&mut self) -> &[u8] {
        let length = self.text.trim_end().len();
        self.text.truncate(length);
        self.text.push('\n');
        self.text.as_bytes()
    }

    /// Fills what begins at `start` up to a width.
    fn fill(&mut self, start: usize, width: usize) {
        let cell = &self.text[start..];
        let have = if cell.is_ascii() {
            cell.len()
        } else {
            cell.chars().count()
        };
        let spaces = width.saturating_sub(have).min(SPACES.len());
        self.text.push_str(&SPACES[..spaces]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: &[&str]) -> String {
        let mut line = Line::default();
        for cell in cells {
            line.cell(cell, 4);
        }
        String::from_utf8(line.ended().to_vec()).unwrap()
    }

    #[test]
    fn cells_are_filled_up() {
        assert_eq!(line(&["a", "b"]), "a     b\n");
        assert_eq!(line(&["äöü", "b"]), "äöü   b\n");
        assert_eq!(line(&["longer", "b"]), "longer  b\n");
        assert_eq!(line(&["a", "", ""]), "a\n");
        assert_eq!(line(&["a\n", "b"]), "a\\n   b\n");
    }
}
