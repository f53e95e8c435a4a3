//! Which library it is that the loader does not find: Windows says only that there is one.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::os::Handle;
use crate::pe::Image;

/// How many libraries are looked into.
const MOST: usize = 256;

/// Which library is missing that the one at `original` needs, or one that it needs needs in turn,
/// in words. `needed` are those that it names itself. `None` where all are found.
pub(super) fn missing(original: &Path, needed: &[String]) -> Option<String> {
    let folder = original.parent().unwrap_or(Path::new(""));
    let program = env::current_exe().ok();
    let program = program.as_deref().and_then(Path::parent);
    let folders = [Some(folder), program];
    // Each with the way to it. Those of the system are whole.
    let mut open: Vec<(String, Vec<String>)> = vec![(String::new(), needed.to_vec())];
    let mut seen: Vec<String> = Vec::new();
    while let Some((way, needed)) = open.pop() {
        for name in needed {
            let lower = name.to_ascii_lowercase();
            if seen.contains(&lower) || seen.len() == MOST {
                continue;
            }
            seen.push(lower);
            let mut places = folders.iter().flatten().map(|folder| folder.join(&name));
            let beside = places.find(|place| place.is_file());
            if beside.is_none() && !is_found(&name) {
                let folder = folder.display();
                return Some(format!(
                    "it needs {way}{name}, which is not found; put it into {folder}, beside the program, or into a folder \
                     of the system"
                ));
            }
            if let Some(needed) = beside.and_then(needed_by) {
                open.push((format!("{way}{name}, which needs "), needed));
            }
        }
    }
    None
}

/// Whether the loader finds a library of this name. Names of API sets stand for libraries of the
/// system, not for files.
fn is_found(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with("api-") || lower.starts_with("ext-") || Handle::is_found(Path::new(name))
}

/// The libraries that the one in a file needs.
fn needed_by(file: PathBuf) -> Option<Vec<String>> {
    let image = Image::read(&File::open(file).ok()?).ok()?;
    Some(image.facts.needed)
}
