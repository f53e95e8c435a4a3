//! Who may write a library's file: whoever may, runs code in this process.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::error::TrustError;

/// How many symbolic links a path may lead through, as for the kernel.
const MOST_LINKS: usize = 40;

/// Checks the open file, and everything on the way to it: folders, symbolic links, and what they
/// lead through.
pub(super) fn check(library: &Path, file: &File) -> Result<(), TrustError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| TrustError::Unreadable {
            library: library.to_owned(),
            path,
            source,
        }
    };
    let writable = |path: &Path, writers: String| TrustError::Writable {
        library: library.to_owned(),
        path: path.to_owned(),
        writers,
    };
    let we = Trusted::new();
    let metadata = file.metadata().map_err(unreadable(library))?;
    if let Some(writers) = we.others_that_write(&metadata) {
        return Err(writable(library, writers));
    }
    let absolute = std::path::absolute(library).map_err(unreadable(library))?;
    for step in steps(&absolute).map_err(unreadable(library))? {
        let metadata = fs::symlink_metadata(&step).map_err(unreadable(&step))?;
        if let Some(writers) = we.others_that_write(&metadata) {
            return Err(writable(&step, writers));
        }
    }
    Ok(())
}

/// Each folder and symbolic link that the kernel comes by on its way to what `path` names, and that
/// itself.
fn steps(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut steps = Vec::new();
    let mut here = PathBuf::new();
    let mut links = 0;
    let mut left: Vec<PathBuf> = parts(path);
    while let Some(part) = left.pop() {
        if part == Path::new("..") {
            here.pop();
            continue;
        }
        here.push(part);
        steps.push(here.clone());
        if fs::symlink_metadata(&here)?.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::other("too many symbolic links"));
            }
            let target = fs::read_link(&here)?;
            here.pop();
            left.extend(parts(&target));
        }
    }
    Ok(steps)
}

/// The parts of a path, the first one last.
fn parts(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts
        .rev()
        .map(|part| PathBuf::from(part.as_os_str()))
        .collect()
}

/// Whose files run as this process anyway.
struct Trusted {
    user: u32,
    group: u32,
    /// Whoever may replace this program has no need of a library.
    program: Option<u32>,
}

impl Trusted {
    fn new() -> Self {
        let program = std::env::current_exe().and_then(fs::metadata);
        Self {
            // SAFETY: these take nothing, touch no memory, and do not fail.
            user: unsafe { libc::geteuid() },
            // SAFETY: as above.
            group: unsafe { libc::getegid() },
            program: program.ok().map(|program| program.uid()),
        }
    }

    /// Who else may write this, if anybody.
    fn others_that_write(&self, what: &Metadata) -> Option<String> {
        const GROUP: u32 = 0o020;
        const EVERYBODY: u32 = 0o002;
        const STICKY: u32 = 0o1000;
        let owner = what.uid();
        if owner != 0 && owner != self.user && Some(owner) != self.program {
            return Some(format!("user {owner}, who owns it"));
        }
        let mode = what.mode();
        // What lies in such a folder is replaced by its owner only; a link's own mode means
        // nothing.
        if what.is_symlink() || what.is_dir() && mode & STICKY != 0 {
            return None;
        }
        // Many systems give each user a group of the same number, and files that it may write.
        let group = what.gid();
        let own_group = group == 0 || group == owner || group == self.group && group == self.user;
        if mode & EVERYBODY != 0 {
            Some("everybody".to_owned())
        } else if mode & GROUP != 0 && !own_group {
            Some(format!("group {group}"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_path_is_followed_as_the_kernel_does() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/lib.so"), "").unwrap();
        symlink("b/lib.so", root.join("a/current.so")).unwrap();
        symlink(root.join("a"), root.join("lpm")).unwrap();
        let all = steps(&root.join("lpm/b/../current.so")).unwrap();
        let below: Vec<_> = all
            .iter()
            .filter_map(|step| step.strip_prefix(&root).ok())
            .collect();
        let expected = [
            "",
            "lpm",
            "",
            "a",
            "a/b",
            "a/current.so",
            "a/b",
            "a/b/lib.so",
        ];
        assert_eq!(below, expected.map(Path::new));
        symlink("round", root.join("round")).unwrap();
        assert!(steps(&root.join("round")).is_err());
    }

    #[test]
    fn whoever_may_write_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lib.so");
        fs::write(&file, "").unwrap();
        let ours = Trusted::new();
        let found = |mode| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            ours.others_that_write(&fs::metadata(&file).unwrap())
        };
        assert_eq!(found(0o644), None);
        assert_eq!(found(0o646).as_deref(), Some("everybody"));
        assert_eq!(found(0o600), None);
        let owner = fs::metadata(&file).unwrap().uid();
        let stranger = Trusted {
            user: owner + 1,
            group: owner + 1,
            program: None,
        };
        // Root may write everything anyway.
        let expected = (owner != 0).then(|| format!("user {owner}, who owns it"));
        assert_eq!(
            stranger.others_that_write(&fs::metadata(&file).unwrap()),
            expected
        );
    }
}
