//! Files with text for people, read whole.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// How long a text may be, in bytes: so that a device, or a file that grows, takes no memory.
const LONGEST: u64 = 16 << 20;

/// Reads a file.
///
/// # Errors
/// It cannot be read, is longer than 16 MiB, or is not UTF-8.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::new(
            ErrorKind::FileTooLarge,
            "it is longer than 16 MiB",
        ));
    }
    String::from_utf8(text).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        io::Error::new(
            ErrorKind::InvalidData,
            format!("it is not UTF-8 at offset {place}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_text_has_a_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "text").unwrap();
        assert_eq!(read(file.path()).unwrap(), "text");
        fs::write(file.path(), b"te\xffxt").unwrap();
        assert_eq!(
            read(file.path()).unwrap_err().to_string(),
            "it is not UTF-8 at offset 2"
        );
        file.as_file().set_len(1 << 40).unwrap();
        assert_eq!(
            read(file.path()).unwrap_err().kind(),
            ErrorKind::FileTooLarge
        );
    }
}
