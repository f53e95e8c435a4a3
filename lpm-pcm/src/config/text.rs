//! The text of an LPM's `config` table, with the line numbers of the file it stands in.

/// The part of `file` that is the table `[lpm.config]`, which starts on the line of `start`, as a
/// TOML document of its own in which every key stands on the same line as in `file`: what the LPM
/// says about its lines is then true of the file the operator edits.
///
/// `None` when the table is written in a way that cannot be cut out by lines (inline, or with
/// dotted keys); `table` decides whether the result is right.
pub(super) fn verbatim(file: &str, start: usize, table: &toml::Table) -> Option<String> {
    let line_start = file
        .get(..start)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let (before, rest) = file.split_at(line_start);
    let mut text = "\n".repeat(before.matches('\n').count());
    for line in rest.lines() {
        if let Some(name) = line.strip_prefix("[lpm.config.") {
            text.push('[');
            text.push_str(name);
        } else if let Some(name) = line.strip_prefix("[[lpm.config.") {
            text.push_str("[[");
            text.push_str(name);
        } else if line.starts_with("[lpm.config]") {
            // Its keys are those of the document.
        } else if line.starts_with('[') {
            break;
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    (text.parse::<toml::Table>().ok()? == *table).then_some(text)
}
