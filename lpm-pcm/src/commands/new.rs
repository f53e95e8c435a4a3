//! `pcm new`: a crate with an LPM to begin with.

mod name;

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::name::CrateName;

/// Make a crate with an LPM to begin with.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to make; its name is the crate's
    #[arg(value_name = "NAME")]
    pub path: PathBuf,

    /// A checkout of this project to take lpm-api and lpm-host from, instead of crates.io
    #[arg(long = "path", value_name = "CHECKOUT")]
    pub checkout: Option<PathBuf>,
}

/// What `pcm new --help` says.
pub(crate) const LONG_ABOUT: &str = "\
Make a crate with an LPM to begin with: it admits flows up to a rate, has unit tests, a CI file, a pcm.toml and \
a capture to try it on. It compiles, passes `pcm check`, and runs in `pcm replay`.

Nothing is written unless everything can be.";

pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0  the crate was made
  1  the name is none, there is something of that name, or the crate cannot be written
  2  wrong usage";

/// The files: where each goes, and its contents; `{{…}}` is filled in.
const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("new/template/Cargo.toml.in")),
    ("README.md", include_str!("new/template/README.md.in")),
    ("pcm.toml", include_str!("new/template/pcm.toml.in")),
    (
        ".github/workflows/ci.yml",
        include_str!("new/template/ci.yml.in"),
    ),
    (".gitignore", "/target\n"),
    ("src/lib.rs", include_str!("new/template/lib.rs")),
];
/// A capture of RSVP messages.
const CAPTURE: (&str, &[u8]) = ("office.pcap", include_bytes!("../../demo/office.pcap"));

/// Runs the command.
///
/// # Errors
/// The name is none, there is something of that name, or the crate cannot be written.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let name = CrateName::of(&args.path)?;
    let sources = Sources::of(args.checkout.as_deref())?;
    let path = &args.path;
    // Also what a link leads nowhere to.
    if fs::symlink_metadata(path).is_ok() {
        let path = path.display();
        return Err(format!("{path}: there is something of that name; choose another").into());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    write(path, parent, &name, &sources).map_err(|error| {
        format!(
            "{}: cannot be written: {error}; nothing was made",
            path.display()
        )
    })?;
    anstream::println!("{}", next_steps(path, &name));
    Ok(ExitCode::SUCCESS)
}

fn next_steps(path: &Path, name: &CrateName) -> String {
    let (path, library) = (path.display(), name.library());
    format!(
        "{path}: made, with an LPM that admits flows up to a rate. Next:\n\
         \n    cd {path}\
         \n    cargo test\
         \n    cargo build --release\
         \n    pcm check {library} --config 125000\
         \n    pcm replay office.pcap --config pcm.toml\n"
    )
}

/// Writes everything beside the place where it is to be, and moves it there in one step.
fn write(path: &Path, parent: &Path, name: &CrateName, sources: &Sources) -> io::Result<()> {
    let aside = tempfile::Builder::new()
        .prefix(".pcm-new-")
        .tempdir_in(parent)?;
    let root = aside.path().join(name.text());
    let files = FILES.map(|(file, text)| (file, filled_in(text, name, sources).into_bytes()));
    let capture = (CAPTURE.0, CAPTURE.1.to_vec());
    for (file, contents) in files.into_iter().chain([capture]) {
        let file = root.join(file);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, contents)?;
    }
    fs::rename(root, path)
}

fn filled_in(text: &str, name: &CrateName, sources: &Sources) -> String {
    text.replace("{{name}}", name.text())
        .replace("{{library}}", &name.library())
        .replace("{{note}}", &sources.note)
        .replace("{{lpm-api}}", &sources.lpm_api)
        .replace("{{lpm-host}}", &sources.lpm_host)
}

/// Where the crate takes its dependencies from, in the words of `Cargo.toml`.
struct Sources {
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
                    "{checkout}: no checkout of this project: it has no {package}"
                )
                .into());
            }
            // An absolute one, since the crate may be moved.
            let folder = std::path::absolute(folder)?;
            let text = folder.to_str();
            let text = text.ok_or_else(|| format!("{}: is not UTF-8", folder.display()))?;
            Ok(toml::Value::from(text))
        };
        Ok(Self {
            note: format!(
                "# From a checkout on this machine. For others, and for CI, put `version = {version:?}` in place of `path`.\n"
            ),
            lpm_api: format!("{{ path = {} }}", of("lpm-api")?),
            lpm_host: format!("{{ path = {}, features = [\"testing\"] }}", of("lpm-host")?),
        })
    }
}

impl CrateName {
    /// Where a release build puts the library, from the crate's folder.
    fn library(&self) -> String {
        let file = self.text().replace('-', "_");
        format!("target/release/{DLL_PREFIX}{file}{DLL_SUFFIX}")
    }
}
