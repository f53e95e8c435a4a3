//! Text from outside, made harmless.

use std::fmt;

/// Text from outside on one line, its control characters escaped: neither a message nor an LPM
/// can steer the terminal.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

/// Says something to the operator, on standard error. It may repeat what comes from outside.
pub(crate) fn tell(what: impl fmt::Display) {
    for line in what.to_string().lines() {
        anstream::eprintln!("pcm: {}", Plain(line));
    }
}

impl Plain<'_> {
    /// Whether there is certainly nothing to escape: true for all that is printable ASCII.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    }
}

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_plain() {
            return f.write_str(self.0);
        }
        for character in self.0.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}
