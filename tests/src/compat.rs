//! Building the LPM and the program of `tests/compat`: with any compiler, in any profile, against
//! this version of our crates or a released one.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// The crates of ours that the LPM and the program are built against.
const CRATES: [&str; 5] = ["libunload", "lpm-rsvp", "lpm-abi", "lpm-api", "lpm-host"];
/// The version of `lpm-abi` in every release so far.
const ABI: &str = "1.0.0";

/// A Rust compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// Its version with the commit, as it gives it.
    pub version: String,
    /// Its path.
    pub rustc: PathBuf,
}

impl Compiler {
    /// The one that comes first in the path.
    ///
    /// # Panics
    ///
    /// When there is none, although this was compiled.
    #[must_use]
    pub fn current() -> Self {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let sysroot = Command::new(rustc).args(["--print", "sysroot"]).output();
        let sysroot = text(&sysroot.expect("a compiler"));
        Self::at(Path::new(sysroot.trim()).join("bin/rustc")).expect("the compiler of the sysroot")
    }

    /// All that are at hand and not too old, the current one first: the toolchains of rustup, those
    /// of the system's packages, and those in the list of paths `LPM_COMPAT_RUSTC`.
    ///
    /// # Panics
    ///
    /// When one in that list does not run.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let toolchains = Command::new("rustup").args(["toolchain", "list"]).output();
        let toolchains = toolchains.map_or_else(|_| String::new(), |output| text(&output));
        let of_rustup = toolchains.lines().filter_map(|line| {
            let name = line.split_whitespace().next()?;
            let which = ["which", "rustc", "--toolchain", name];
            let which = Command::new("rustup").args(which).output().ok()?;
            Some(PathBuf::from(text(&which).trim()))
        });
        let of_system = PathBuf::from("/usr/bin/rustc");
        let found = of_rustup.chain([of_system]).filter_map(Self::at);
        let listed = std::env::var_os("LPM_COMPAT_RUSTC").unwrap_or_default();
        let listed: Vec<PathBuf> = std::env::split_paths(&listed)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        let named = listed.into_iter().map(|path| {
            let compiler = Self::at(path.clone());
            compiler.unwrap_or_else(|| panic!("LPM_COMPAT_RUSTC: {} does not run", path.display()))
        });

        let mut compilers = vec![Self::current()];
        for compiler in found.chain(named) {
            let is_known = |known: &Self| known.version == compiler.version;
            if compiler.is_too_old() {
                println!("left out, since it is too old: {}", compiler.version);
            } else if !compilers.iter().any(is_known) {
                compilers.push(compiler);
            }
        }
        compilers
    }

    /// Older than what our crates take.
    fn is_too_old(&self) -> bool {
        let numbers = |version: &str| -> Vec<u32> {
            let numbers = version.split(['.', '-']);
            numbers.map_while(|number| number.parse().ok()).collect()
        };
        let version = self.version.split_whitespace().nth(1).unwrap_or_default();
        numbers(version) < numbers(env!("CARGO_PKG_RUST_VERSION"))
    }

    fn at(rustc: PathBuf) -> Option<Self> {
        let output = Command::new(&rustc).arg("--version").output().ok()?;
        let version = text(&output).trim().to_owned();
        output.status.success().then_some(Self { version, rustc })
    }
}

/// How a build is optimized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Not, and with checks.
    Debug,
    /// Fully.
    Release,
}

/// What came out of a build.
#[derive(Clone, Debug)]
pub struct Built {
    /// How it was built, for messages.
    pub how: String,
    folder: PathBuf,
}

impl Built {
    /// The LPM's library.
    #[must_use]
    pub fn lpm(&self) -> PathBuf {
        let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        self.folder.join(format!("{prefix}compat_lpm{suffix}"))
    }

    /// The program with a PCM in it.
    #[must_use]
    pub fn host(&self) -> PathBuf {
        let suffix = std::env::consts::EXE_SUFFIX;
        self.folder.join(format!("compat-host{suffix}"))
    }

    /// Has the program load these LPMs, one after the other, and returns what it says when
    /// something is not as it has to be.
    ///
    /// # Errors
    ///
    /// What it says.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn load<'a>(&self, lpms: impl IntoIterator<Item = &'a Self>) -> Result<(), String> {
        let libraries = lpms.into_iter().map(Self::lpm);
        let output = Command::new(self.host()).args(libraries).output();
        let output = output.expect("the program runs");
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

/// A change in a crate of ours: its name, a file, and some text of it for another.
pub type Change<'a> = [&'a str; 4];

/// The LPM and the program of `tests/compat`, to be built against some version of our crates.
pub struct Workspace {
    folder: PathBuf,
    members: Vec<&'static str>,
}

impl Workspace {
    /// Against the crates of this version, as they are now.
    #[must_use]
    pub fn today(scratch: &Path) -> Self {
        let crates = CRATES.map(|name| (name, repository().join(name)));
        Self::new(&scratch.join("today"), &crates, &["lpm", "host"])
    }

    /// Against the crates of a release, kept in `tests/compat/released`.
    #[must_use]
    pub fn released(scratch: &Path, version: &str) -> Self {
        let crates = CRATES.map(|name| (name, unpacked(scratch, name, version)));
        Self::new(&scratch.join(version), &crates, &["lpm", "host"])
    }

    /// Against the crates of a release in which something was changed.
    ///
    /// # Panics
    ///
    /// When the text is not there.
    #[must_use]
    pub fn changed(
        scratch: &Path,
        version: &str,
        changes: &[Change<'_>],
        members: &[&'static str],
    ) -> Self {
        let folder = scratch.join(format!("{version}-with-{}", hash(changes)));
        let mut crates = CRATES.map(|name| (name, unpacked(scratch, name, version)));
        for (name, original) in &mut crates {
            let changes = changes.iter().filter(|change| change[0] == *name);
            let mut files: BTreeMap<&str, String> = BTreeMap::new();
            for [_, file, text, other] in changes {
                let read = || fs::read_to_string(original.join(file)).expect("the file");
                let changed = files.entry(file).or_insert_with(read);
                assert!(changed.contains(text), "{name}: {file} has no {text}");
                *changed = changed.replacen(text, other, 1);
            }
            if files.is_empty() {
                continue;
            }
            let copied = folder.join(*name);
            copy(original, &copied, &files);
            *original = copied;
        }
        Self::new(&folder, &crates, members)
    }

    fn new(folder: &Path, crates: &[(&str, PathBuf)], members: &[&'static str]) -> Self {
        for member in members {
            copy(
                &repository().join("tests/compat").join(member),
                &folder.join(member),
                &BTreeMap::new(),
            );
        }
        let mut manifest = format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n");
        // What the tests are about does not depend on it, and it takes most of the time.
        manifest += "\n[profile.dev]\ndebug = false\n\n[patch.crates-io]\n";
        for (name, path) in crates {
            manifest += &format!("{name} = {{ path = {path:?} }}\n");
        }
        write(&folder.join("Cargo.toml"), &manifest);
        // The same versions of other crates.
        let lock = fs::read_to_string(repository().join("Cargo.lock")).expect("the lock file");
        if !folder.join("Cargo.lock").exists() {
            write(&folder.join("Cargo.lock"), &lock);
        }
        Self {
            folder: folder.to_path_buf(),
            members: members.to_vec(),
        }
    }

    /// Builds both.
    ///
    /// # Panics
    ///
    /// When that fails.
    #[must_use]
    pub fn build(&self, compiler: &Compiler, profile: Profile, with_lto: bool) -> Built {
        /// Builds share the folder of what they depend on.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one_at_a_time = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

        let scratch = self.folder.parent().expect("a folder in it");
        let target = scratch.join(format!("target-{}", hash(&[&compiler.version])));
        let (flag, folder) = match profile {
            Profile::Debug => (None, "debug"),
            Profile::Release => (Some("--release"), "release"),
        };
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .arg("build")
            .arg("--quiet")
            .args(flag)
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &target)
            .env("RUSTC", &compiler.rustc);
        // How these tests themselves are built is another matter.
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
            cargo.env_remove(variable);
        }
        if with_lto {
            cargo.env(
                format!("CARGO_PROFILE_{}_LTO", ["DEV", "RELEASE"][profile as usize]),
                "fat",
            );
        }
        let lto = if with_lto { " with LTO" } else { "" };
        let of = self.folder.file_name().expect("a name").to_string_lossy();
        let how = format!("{of}, {}, {folder}{lto}", compiler.version);
        let output = cargo.output().expect("cargo runs");
        assert!(
            output.status.success(),
            "{how}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );

        let built = Built {
            folder: scratch.join("built").join(hash(&[&how])),
            how,
        };
        fs::create_dir_all(&built.folder).expect("a folder");
        for (member, file) in [("lpm", built.lpm()), ("host", built.host())] {
            if self.members.contains(&member) {
                let name = file.file_name().expect("a name");
                fs::copy(target.join(folder).join(name), &file).expect("a copy");
            }
        }
        built
    }
}

fn repository() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the tests are in a folder of the repository")
}

/// The files of a released crate, in a folder that is named after what is in them.
fn unpacked(scratch: &Path, name: &str, version: &str) -> PathBuf {
    let version = if name == "lpm-abi" { ABI } else { version };
    let archive = format!("tests/compat/released/{name}-{version}.crate");
    let archive = repository().join(archive);
    let bytes = fs::read(&archive).unwrap_or_else(|e| panic!("{}: {e}", archive.display()));
    let folder = scratch.join(format!("unpacked-{}", hash(&[&bytes])));
    let unpacked = folder.join(format!("{name}-{version}"));
    if !unpacked.join("Cargo.toml").exists() {
        fs::create_dir_all(&folder).expect("a folder");
        let mut tar = Command::new("tar");
        tar.arg("xzf").arg(&archive).arg("-C").arg(&folder);
        assert!(tar.status().expect("`tar` is there").success());
    }
    unpacked
}

/// Copies a folder of text files, those that are named here with other contents.
fn copy(from: &Path, to: &Path, changed: &BTreeMap<&str, String>) {
    copy_in(from, Path::new(""), to, changed);
}

fn copy_in(root: &Path, inside: &Path, to: &Path, changed: &BTreeMap<&str, String>) {
    let from = root.join(inside);
    for entry in fs::read_dir(&from).unwrap_or_else(|e| panic!("{}: {e}", from.display())) {
        let entry = entry.expect("an entry");
        let inside = inside.join(entry.file_name());
        let other = inside.to_str().and_then(|file| changed.get(file));
        match (entry.path().is_dir(), other) {
            (true, _) => copy_in(root, &inside, to, changed),
            (false, Some(other)) => write(&to.join(&inside), other),
            (false, None) => {
                let text = fs::read_to_string(entry.path()).expect("a text");
                write(&to.join(&inside), &text);
            }
        }
    }
}

/// Writes a file unless it is like that already, so that nothing is built anew.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("written");
}

fn hash<T: Hash>(parts: &[T]) -> String {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
