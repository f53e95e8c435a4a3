//! `pcm new`: a crate with an LPM to begin with.

mod name;

use std::borrow::Cow;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use self::name::CrateName;
use crate::output::plain::Plain;

/// Make a crate with a first LPM, or one in C.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to make; its name is the crate's
    #[arg(value_name = "NAME")]
    pub path: PathBuf,

    /// A checkout of this project to take lpm-api and lpm-host from, instead of crates.io
    #[arg(long = "path", value_name = "CHECKOUT")]
    pub checkout: Option<PathBuf>,

    /// An LPM that asks a server and answers later, instead of one that decides at once
    #[arg(long)]
    pub deferred: bool,

    /// An LPM in C, against `lpmapi.h`, instead of a crate
    #[arg(long = "c", conflicts_with_all = ["deferred", "checkout"])]
    pub in_c: bool,
}

/// What `pcm new --help` says.
pub(crate) const LONG_ABOUT: &str = "\
Make a crate with a first LPM: it admits flows up to a rate (with --deferred: whom a server knows), \
has unit tests, a CI file, a pcm.toml and a capture to try it on. It compiles, passes `pcm check`, and runs in \
`pcm replay`. It is a git repository, unless it is inside one or git is not installed. With --c it is not a crate but a file in C \
for `lpmapi.h`, with a header for its type names.

Nothing is written unless everything can be.";

pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0  the crate was made
  1  a crate cannot have this name, the folder exists already, or the crate cannot be written
  2  wrong usage";

/// The files that every crate has: where each goes, and its contents; `{{…}}` is filled in in both.
const CRATE: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("new/template/Cargo.toml.in")),
    ("README.md", include_str!("new/template/README.md.in")),
    ("pcm.toml", include_str!("new/template/pcm.toml.in")),
    (
        ".github/workflows/ci.yml",
        include_str!("new/template/ci.yml.in"),
    ),
    (".gitignore", "/target\n"),
];

/// An LPM to begin with.
struct Kind {
    common: &'static [(&'static str, &'static str)],
    files: &'static [(&'static str, &'static str)],
    /// Its configuration, and what that is.
    config: &'static str,
    config_is: &'static str,
    /// What it does.
    what: &'static str,
    /// What has to run before the LPM is tried: a line for the shell, the same in words, and for
    /// CI.
    before: &'static str,
    and_before: &'static str,
    ci_before: &'static str,
    /// What tests and builds it, in lines for the shell.
    build: &'static [&'static str],
    /// Where that puts the library, from the project's folder.
    folder: &'static str,
}

const CARGO: &[&str] = &["cargo test", "cargo build --release"];

const DECIDING: Kind = Kind {
    common: CRATE,
    files: &[("src/lib.rs", include_str!("new/template/lib.rs"))],
    config: "125000",
    config_is: "The most that a flow may ask for, in bytes/s.",
    what: "This one admits flows up to a rate.",
    before: "",
    and_before: "",
    ci_before: "",
    build: CARGO,
    folder: "target/release/",
};

const DEFERRING: Kind = Kind {
    common: CRATE,
    files: &[
        ("src/lib.rs", include_str!("new/template/deferred/lib.rs")),
        (
            "examples/server.rs",
            include_str!("new/template/deferred/server.rs"),
        ),
    ],
    config: "127.0.0.1:7171",
    config_is: "The address of the server that is asked.",
    what: "This one asks a server about each user.",
    before: "cargo run --example server &\n",
    and_before: "; starts a server to ask",
    ci_before: "      - run: cargo run --example server &\n",
    build: CARGO,
    folder: "target/release/",
};

const IN_C: Kind = Kind {
    common: &[
        ("README.md", include_str!("new/template/c/README.md.in")),
        ("pcm.toml", include_str!("new/template/c/pcm.toml.in")),
        (
            ".github/workflows/ci.yml",
            include_str!("new/template/c/ci.yml.in"),
        ),
        (".gitignore", "/{{library}}\n"),
    ],
    files: &[
        ("{{name}}.c", include_str!("new/template/c/lpm.c")),
        (
            "include/windows.h",
            include_str!("../../c/include/windows.h"),
        ),
        (
            "include/winsock2.h",
            include_str!("../../c/include/winsock2.h"),
        ),
    ],
    config: "",
    config_is: "",
    what: "This one admits flows up to a rate.",
    before: "",
    and_before: "",
    ci_before: "",
    build: &[COMPILER],
    folder: "",
};

/// On Windows, its own headers are there.
const COMPILER: &str = match cfg!(windows) {
    true => "gcc -Wall -Wextra -shared -o {{library}} {{name}}.c",
    false => {
        "cc -Wall -Wextra -shared -fPIC -I include -idirafter /usr/share/mingw-w64/include -o {{library}} {{name}}.c"
    }
};

/// A capture of RSVP messages.
const CAPTURE: (&str, &[u8]) = ("office.pcap", include_bytes!("../../demo/office.pcap"));

/// Runs the command.
///
/// # Errors
/// The name is none, exists already, or the crate cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let name = CrateName::of(&args.path)?;
    let mut sources = Sources::of(args.checkout.as_deref())?;
    if args.in_c {
        sources.hint = "";
    }
    let path = &args.path;
    // Also what a link leads nowhere to.
    if fs::symlink_metadata(path).is_ok() {
        let path = path.display();
        return Err(format!("{path}: exists already; choose another name").into());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let kind = match args {
        Args { in_c: true, .. } => &IN_C,
        Args { deferred: true, .. } => &DEFERRING,
        _ => &DECIDING,
    };
    write(path, parent, &name, &sources, kind).map_err(|error| {
        format!(
            "{}: cannot be written: {error}; nothing was made",
            path.display()
        )
    })?;
    make_repository(path);
    anstream::println!("{}", next_steps(path, &name, &sources, kind));
    Ok(ExitCode::SUCCESS)
}

fn next_steps(path: &Path, name: &CrateName, sources: &Sources, kind: &Kind) -> String {
    let path = path.display().to_string();
    let path = Plain(&path);
    let before = kind.before.trim_end();
    let check = match kind.config {
        "" => "pcm check {{library}}".to_owned(),
        config => format!("pcm check {{{{library}}}} --config {config}"),
    };
    let steps = kind.build.iter().copied().chain([
        before,
        &check,
        "pcm replay office.pcap --config pcm.toml",
    ]);
    let steps: String = steps
        .filter(|step| !step.is_empty())
        .map(|step| format!("    {}\n", filled_in(step, name, sources, kind)))
        .collect();
    format!(
        "{path}: made, with a first LPM. {}{} Next:\n\n    cd {path}\n{steps}",
        kind.what, sources.hint
    )
}

/// As `cargo new` does: a repository, unless the crate lies in one. Without git there is none.
fn make_repository(path: &Path) {
    let git = |arguments: &[&str]| {
        let run = Command::new("git")
            .arg("-C")
            .arg(path)
            .args(arguments)
            .output();
        run.is_ok_and(|run| run.status.success())
    };
    if !git(&["rev-parse", "--git-dir"]) {
        git(&["init", "--quiet"]);
    }
}

/// Writes everything beside the place where it is to be, and moves it there in one step.
fn write(
    path: &Path,
    parent: &Path,
    name: &CrateName,
    sources: &Sources,
    kind: &Kind,
) -> io::Result<()> {
    let aside = tempfile::Builder::new()
        .prefix(".pcm-new-")
        .tempdir_in(parent)?;
    let root = aside.path().join(name.text());
    let files = kind.common.iter().chain(kind.files);
    let filled_in = |text: &&str| filled_in(text, name, sources, kind);
    let files = files.map(|(file, text)| (filled_in(file), filled_in(text).into_bytes()));
    let capture = (CAPTURE.0.to_owned(), CAPTURE.1.to_vec());
    for (file, contents) in files.chain([capture]) {
        let file = root.join(file);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, contents)?;
    }
    fs::rename(root, path)
}

fn filled_in(text: &str, name: &CrateName, sources: &Sources, kind: &Kind) -> String {
    text.replace("{{what}}", kind.what)
        .replace("{{config}}", kind.config)
        .replace("{{config-is}}", kind.config_is)
        .replace("{{before}}", kind.before)
        .replace("{{and-before}}", kind.and_before)
        .replace("{{ci-before}}", kind.ci_before)
        .replace("{{build}}", &kind.build.join("\n"))
        .replace("{{name}}", name.text())
        .replace("{{library}}", &name.library(kind))
        .replace("{{note}}", &sources.note)
        .replace("{{lpm-api}}", &sources.lpm_api)
        .replace("{{lpm-host}}", &sources.lpm_host)
}

/// To be taken away once they are.
const NOT_PUBLISHED: &str = " It takes lpm-api and lpm-host from crates.io, where they are not yet: until they are, \
                             `pcm new --path CHECKOUT` takes them from a checkout of the project.";

/// Where the crate takes its dependencies from, in the words of `Cargo.toml`.
struct Sources {
    /// What to know before anything is built.
    hint: &'static str,
    note: String,
    lpm_api: String,
    lpm_host: String,
}

impl Sources {
    fn of(checkout: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let version = concat!(
            env!("CARGO_PKG_VERSION_MAJOR"),
            ".",
            env!("CARGO_PKG_VERSION_MINOR")
        );
        let Some(checkout) = checkout else {
            return Ok(Self {
                hint: NOT_PUBLISHED,
                note: String::new(),
                lpm_api: format!("{version:?}"),
                lpm_host: format!("{{ version = {version:?}, features = [\"testing\"] }}"),
            });
        };
        let of = |package: &str| -> Result<toml::Value, Box<dyn Error>> {
            let folder = checkout.join(package);
            if !folder.join("Cargo.toml").is_file() {
                let checkout = checkout.display();
                return Err(format!(
                    "{checkout}: not a checkout of this project: there is no {package} in it"
                )
                .into());
            }
            // An absolute one, since the crate may be moved.
            let folder = std::path::absolute(folder)?;
            let text = folder.to_str();
            let text = text.ok_or_else(|| format!("{}: is not UTF-8", folder.display()))?;
            Ok(toml::Value::from(&*usual(text)))
        };
        Ok(Self {
            hint: "",
            note: format!(
                "# From a checkout on this machine. For others, and for CI, put `version = {version:?}` in place of `path`.\n"
            ),
            lpm_api: format!("{{ path = {} }}", of("lpm-api")?),
            lpm_host: format!("{{ path = {}, features = [\"testing\"] }}", of("lpm-host")?),
        })
    }
}

/// A path of Windows in the form that people and tools write, without `\\?\`.
fn usual(path: &str) -> Cow<'_, str> {
    match path.strip_prefix(r"\\?\") {
        Some(rest) if rest.get(1..2) == Some(":") => rest.into(),
        Some(rest) => match rest.strip_prefix(r"UNC\") {
            Some(share) => format!(r"\\{share}").into(),
            None => path.into(),
        },
        None => path.into(),
    }
}

impl CrateName {
    /// Where the library is built, from the project's folder.
    fn library(&self, kind: &Kind) -> String {
        let file = self.text().replace('-', "_");
        format!("{}{DLL_PREFIX}{file}{DLL_SUFFIX}", kind.folder)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_written_as_people_write_them() {
        for (path, usual) in [
            (r"\\?\C:\src\lpm", r"C:\src\lpm"),
            (r"\\?\UNC\server\share\lpm", r"\\server\share\lpm"),
            (r"\\?\Volume{0}\lpm", r"\\?\Volume{0}\lpm"),
            (r"C:\src\lpm", r"C:\src\lpm"),
            ("/src/lpm", "/src/lpm"),
        ] {
            assert_eq!(super::usual(path), usual);
        }
    }
}
