//! What is put on record besides events, such as a decision: it comes as it is to be written.

/// A record, ready to be written.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its kind in snake_case, such as `decision`.
    pub name: &'static str,
    /// In a line for people.
    pub text: String,
    /// As one JSON object.
    pub json: String,
}

impl Told {
    /// How many bytes its texts take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len() + self.json.len()
    }
}
