//! One table of a policy file, and access to its keys with errors that say where.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{PolicyError, PolicyProblem, excerpt};

/// The text of a policy and its name.
pub(crate) struct File<'a> {
    source: &'a str,
    /// Where the lines end: every section is asked for its line.
    line_ends: Vec<usize>,
}

impl<'a> File<'a> {
    pub(crate) fn new(source: &'a str, text: &str) -> Self {
        let line_ends = text.match_indices('\n').map(|(at, _)| at).collect();
        File { source, line_ends }
    }

    /// The name of the policy.
    pub(super) fn source(&self) -> &str {
        self.source
    }

    pub(crate) fn syntax_error(&self, error: &toml::de::Error) -> PolicyError {
        let at = error.span().map_or(0, |span| span.start);
        self.error(
            at,
            String::new(),
            PolicyProblem::Syntax(error.message().to_owned()),
        )
    }

    /// The line of a byte of the text, from 1.
    fn line(&self, at: usize) -> usize {
        1 + self.line_ends.partition_point(|end| *end < at)
    }

    /// An error at a byte of the text.
    fn error(&self, at: usize, place: String, problem: PolicyProblem) -> PolicyError {
        PolicyError {
            source_name: self.source.to_owned(),
            line: self.line(at),
            place,
            problem,
        }
    }
}

/// A table whose keys are all known ones.
pub(crate) struct Table<'a> {
    file: &'a File<'a>,
    /// As written in the file: `[default]`, `[[user]]`; empty for the whole file.
    heading: String,
    table: &'a DeTable<'a>,
    at: usize,
}

impl<'a> Table<'a> {
    /// # Errors
    /// The first key that is not among the `accepted`.
    pub(crate) fn new(
        file: &'a File<'a>,
        heading: &str,
        entries: &'a DeTable<'a>,
        at: usize,
        accepted: &[&[&'static str]],
    ) -> Result<Self, PolicyError> {
        let table = Table {
            file,
            heading: heading.to_owned(),
            table: entries,
            at,
        };
        let unknown = entries.keys().filter(|key| {
            !accepted
                .iter()
                .any(|keys| keys.contains(&key.get_ref().as_ref()))
        });
        match unknown.min_by_key(|key| key.span().start) {
            None => Ok(table),
            Some(key) => {
                Err(table
                    .place(key.get_ref(), key.span().start)
                    .fail(PolicyProblem::UnknownKey {
                        accepted: accepted.concat(),
                    }))
            }
        }
    }

    /// The line of the heading, from 1.
    pub(crate) fn line(&self) -> u32 {
        u32::try_from(self.file.line(self.at)).unwrap_or(u32::MAX)
    }

    /// An error about the section as a whole.
    pub(crate) fn fail(&self, problem: PolicyProblem) -> PolicyError {
        let place = if self.heading.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.heading)
        };
        self.file.error(self.at, place, problem)
    }

    /// The table under `key`.
    pub(crate) fn table(
        &self,
        key: &'static str,
        accepted: &[&[&'static str]],
    ) -> Result<Option<Self>, PolicyError> {
        let Some((value, place)) = self.value(key) else {
            return Ok(None);
        };
        let expected = "a table";
        let table = value
            .get_ref()
            .as_table()
            .ok_or_else(|| place.wrong_type(expected, value))?;
        Table::new(
            self.file,
            &format!("[{key}]"),
            table,
            value.span().start,
            accepted,
        )
        .map(Some)
    }

    /// The tables of the array under `key`, none if it is missing.
    pub(crate) fn tables(
        &self,
        key: &'static str,
        accepted: &[&[&'static str]],
    ) -> Result<Vec<Self>, PolicyError> {
        let Some((value, place)) = self.value(key) else {
            return Ok(Vec::new());
        };
        let expected = "an array of tables, written in double brackets";
        let array = value
            .get_ref()
            .as_array()
            .ok_or_else(|| place.wrong_type(expected, value))?;
        let parent = self.heading.trim_matches(['[', ']']);
        let dot = if parent.is_empty() { "" } else { "." };
        let heading = format!("[[{parent}{dot}{key}]]");
        array
            .iter()
            .map(|item| {
                let table = item
                    .get_ref()
                    .as_table()
                    .ok_or_else(|| place.wrong_type(expected, item))?;
                Table::new(self.file, &heading, table, item.span().start, accepted)
            })
            .collect()
    }

    /// The text under `key`, and where it stands.
    pub(crate) fn text(
        &self,
        key: &'static str,
    ) -> Result<Option<(&'a str, Place<'a>)>, PolicyError> {
        let Some((value, place)) = self.value(key) else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::String(text) => Ok(Some((text.as_ref(), place))),
            _ => Err(place.wrong_type("a text in quotes", value)),
        }
    }

    /// The texts of the array under `key`, or the one text that stands in its place.
    pub(crate) fn texts(
        &self,
        key: &'static str,
    ) -> Result<Option<Vec<(&'a str, Place<'a>)>>, PolicyError> {
        let Some((value, place)) = self.value(key) else {
            return Ok(None);
        };
        let expected = "a text in quotes, or an array of them";
        let text = |item: &'a Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::String(text) => Ok((text.as_ref(), self.place(key, item.span().start))),
            _ => Err(place.wrong_type(expected, item)),
        };
        match value.get_ref() {
            DeValue::Array(items) => items.iter().map(text).collect::<Result<_, _>>().map(Some),
            _ => Ok(Some(vec![text(value)?])),
        }
    }

    pub(crate) fn value(&self, key: &'static str) -> Option<(&'a Spanned<DeValue<'a>>, Place<'a>)> {
        let value = self.table.get(key)?;
        Some((value, self.place(key, value.span().start)))
    }

    pub(crate) fn place(&self, key: &str, at: usize) -> Place<'a> {
        let of = if self.heading.is_empty() {
            String::new()
        } else {
            format!(" in {}", self.heading)
        };
        Place {
            file: self.file,
            at,
            text: format!("{}{of}: ", excerpt(key)),
        }
    }
}

/// A key of a section, to complain about.
pub(crate) struct Place<'a> {
    file: &'a File<'a>,
    at: usize,
    text: String,
}

impl Place<'_> {
    pub(crate) fn fail(&self, problem: PolicyProblem) -> PolicyError {
        self.file.error(self.at, self.text.clone(), problem)
    }

    pub(crate) fn out_of_range(self, found: String, expected: &'static str) -> PolicyError {
        self.fail(PolicyProblem::OutOfRange { found, expected })
    }

    pub(crate) fn wrong_type(
        &self,
        expected: &'static str,
        found: &Spanned<DeValue<'_>>,
    ) -> PolicyError {
        let problem = PolicyProblem::WrongType {
            expected,
            found: found.get_ref().type_str(),
        };
        self.file
            .error(found.span().start, self.text.clone(), problem)
    }
}
