//! Comments are wrapped at 100 columns, which no stable formatter does. Tables and code in them are
//! not.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

const MOST: usize = 100;

/// Names each line of a comment that is longer.
pub(crate) fn check(root: &Path) -> Result<bool, Box<dyn Error>> {
    let mut list = Command::new("git");
    let list = list.args(["ls-files", "*.rs"]).current_dir(root).output()?;
    let mut is_wrapped = true;
    for file in String::from_utf8(list.stdout)?.lines() {
        for number in too_long(&fs::read_to_string(root.join(file))?) {
            eprintln!("{file}:{number}: a comment of more than {MOST} columns");
            is_wrapped = false;
        }
    }
    Ok(is_wrapped)
}

/// The numbers of the lines, from 1.
fn too_long(text: &str) -> Vec<usize> {
    let mut is_code = false;
    let is_too_long = |line: &str| {
        let Some(comment) = line.trim_start().strip_prefix("//") else {
            return false;
        };
        let comment = comment.trim_start_matches(['/', '!']).trim_start();
        is_code ^= comment.starts_with("```");
        !is_code && !comment.starts_with('|') && line.chars().count() > MOST
    };
    let long = text.lines().map(is_too_long).zip(1..);
    long.filter_map(|(is_long, number)| is_long.then_some(number))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_and_tables_and_code_are_not() {
        let long = "word ".repeat(21);
        let text = format!("// {long}\n//! | {long} |\n/// ```\n/// {long}\n/// ```\n/// {long}\n");
        assert_eq!(too_long(&text), [1, 6]);
        assert_eq!(too_long(&format!("let text = \"{long}\";\n// short\n")), []);
    }
}
