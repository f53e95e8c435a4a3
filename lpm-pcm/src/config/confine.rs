//! The table `confine` of an LPM: what it may take and do in a process of its own.

use std::path::{Path, PathBuf};

use lpm_host::Confinement;
use serde::Deserialize;
use toml::Spanned;

use super::duration;
use super::error::Fault;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfineTable {
    memory: Option<Spanned<String>>,
    cpu_time: Option<Spanned<String>>,
    open_files: Option<u64>,
    #[serde(default = "yes")]
    new_processes: bool,
    #[serde(default = "yes")]
    network: bool,
    read: Option<Vec<PathBuf>>,
    write: Option<Vec<PathBuf>>,
    user: Option<Spanned<String>>,
}

fn yes() -> bool {
    true
}

impl ConfineTable {
    /// Relative paths are meant from this folder.
    pub(super) fn confinement(self, folder: &Path) -> Result<Confinement, Fault> {
        let mut confinement = Confinement::default();
        if let Some(memory) = &self.memory {
            let expected = "a size such as \"256 MiB\" or \"2 GiB\"";
            let bytes = bytes(memory.get_ref());
            let bytes = bytes.ok_or_else(|| wrong(memory, "memory", expected))?;
            confinement = confinement.memory(bytes);
        }
        if let Some(time) = &self.cpu_time {
            confinement = confinement.cpu_time(duration::parse(time, "cpu_time")?);
        }
        if let Some(count) = self.open_files {
            confinement = confinement.open_files(count);
        }
        if !self.new_processes {
            confinement = confinement.no_new_processes();
        }
        if !self.network {
            confinement = confinement.no_network();
        }
        if self.read.is_some() || self.write.is_some() {
            let from = |paths: Option<Vec<PathBuf>>| {
                let paths = paths.unwrap_or_default().into_iter();
                paths.map(|path| folder.join(path)).collect::<Vec<_>>()
            };
            confinement = confinement.files(from(self.read), from(self.write));
        }
        if let Some(user) = &self.user {
            let expected = "the numbers of a user and a group, such as \"65534:65534\"";
            let ids = user.get_ref().split_once(':').and_then(|(user, group)| {
                let number = |text: &str| text.trim().parse().ok();
                Some((number(user)?, number(group)?))
            });
            let (user, group) = ids.ok_or_else(|| wrong(user, "user", expected))?;
            confinement = confinement.user(user, group);
        }
        Ok(confinement)
    }
}

fn wrong(text: &Spanned<String>, key: &str, expected: &str) -> Fault {
    let message = format!("`{key}` is {:?}, expected {expected}", text.get_ref());
    Fault::of(text, message)
}

/// A number and a unit of powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = units.into_iter().find_map(|(unit, shift)| {
        let number = text.trim().strip_suffix(unit)?;
        Some((number.trim().parse::<u64>().ok()?, shift))
    })?;
    let bytes = number.checked_mul(1 << shift)?;
    (bytes > 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(bytes("256 MiB"), Some(256 << 20));
        assert_eq!(bytes("2GiB"), Some(2 << 30));
        for text in ["", "256", "0 MiB", "-1 MiB", "1 MB", "99999999999 GiB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
