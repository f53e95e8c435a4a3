//! LPMs that plain `rustc` builds, without what Cargo tells a crate; and LPMs that build on the
//! crate of another.
#![cfg(unix)]
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lpm_fixtures::{file_name, lpm_api};
use lpm_host::{LpmConfig, LpmDescription, Pcm};
use lpm_tests::{RecordedEvents, trusted};

/// An LPM that accepts everything, and exports itself where it is asked to.
const BASE: &str = r#"
    use lpm_api::{AdmitRequest, Answer, Decision, InitError, InitInfo, Lpm, Priority};

    pub struct Base;

    impl Lpm for Base {
        fn initialize(_: InitInfo<'_>) -> Result<Self, InitError> { Ok(Self) }
        fn admit(&self, request: AdmitRequest<'_>) -> Answer {
            request.decide_all(Decision::accept(Priority::MIN))
        }
    }

    #[cfg(feature = "export")]
    lpm_api::export_lpm!(Base);
"#;

/// One that has it decide.
const OUTER: &str = r#"
    #![forbid(unsafe_code)]
    use lpm_api::{AdmitRequest, Answer, InitError, InitInfo, Lpm};

    struct Outer(base::Base);

    impl Lpm for Outer {
        fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
            base::Base::initialize(init).map(Self)
        }
        fn admit(&self, request: AdmitRequest<'_>) -> Answer { self.0.admit(request) }
    }

    lpm_api::export_lpm!(Outer);
"#;

/// Builds a crate from its text, and returns what the compiler said and where the crate would be.
fn rustc(folder: &Path, name: &str, text: &str, arguments: &[&str]) -> (Output, PathBuf) {
    let source = folder.join(format!("{name}.rs"));
    fs::write(&source, text).expect("written");
    let lpm_api = lpm_api();
    let below = lpm_api.parent().expect("a folder");
    // A library that was uplifted has what it depends on beside it, in `deps`.
    let dependencies = [below.to_path_buf(), below.join("deps")];
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition=2024", "--crate-name", name, "--extern"]);
    rustc.arg(format!("lpm_api={}", lpm_api.display()));
    for folder in &dependencies {
        rustc
            .arg("-L")
            .arg(format!("dependency={}", folder.display()));
    }
    rustc.args(arguments).arg(&source).current_dir(folder);
    for (variable, _) in env::vars_os() {
        if variable.to_string_lossy().starts_with("CARGO") {
            rustc.env_remove(variable);
        }
    }
    let output = rustc.output().expect("the compiler can be run");
    let is_library = arguments.contains(&"--crate-type=cdylib");
    let file = match is_library {
        true => file_name(name),
        false => format!("lib{name}.rlib"),
    };
    (output, folder.join(file))
}

fn built((output, file): (Output, PathBuf)) -> PathBuf {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    file
}

/// Starts and stops a PCM with the library, and returns what the library says of itself.
fn describe(library: &Path) -> LpmDescription {
    let lpm = LpmConfig::new("built by rustc", trusted(library));
    let pcm = Pcm::builder().lpm(lpm).build().expect("builds");
    pcm.become_dsbm().expect("starts");
    pcm.demote().expect("stops");
    LpmDescription::of(&trusted(library), RecordedEvents::default()).expect("an LPM")
}

#[test]
fn a_library_that_cargo_did_not_build() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["--crate-type=cdylib", r#"--cfg=feature="export""#];
    let library = built(rustc(folder.path(), "base", BASE, &arguments));
    let LpmDescription {
        name,
        version,
        authors,
        ..
    } = describe(&library);
    assert_eq!((&*name, &*version), ("base", "0.0.0"));
    assert!(authors.is_empty(), "{authors:?}");
}

#[test]
fn an_lpm_that_builds_on_another() {
    let folder = tempfile::tempdir().expect("a folder");
    built(rustc(folder.path(), "base", BASE, &["--crate-type=rlib"]));
    let arguments = ["--crate-type=cdylib", "--extern", "base=libbase.rlib"];
    let library = built(rustc(folder.path(), "outer", OUTER, &arguments));
    assert_eq!(describe(&library).name, "outer");
}

/// What the linker says is all that the author reads.
#[test]
fn an_lpm_that_builds_on_another_which_exports_itself_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let exported = ["--crate-type=rlib", r#"--cfg=feature="export""#];
    built(rustc(folder.path(), "base", BASE, &exported));
    let arguments = ["--crate-type=cdylib", "--extern", "base=libbase.rlib"];
    let (output, _) = rustc(folder.path(), "outer", OUTER, &arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("EXPORT_LPM_IS_CALLED_TWICE_IN_THIS_LIBRARY"),
        "{said}"
    );
}

#[test]
fn a_crate_that_exports_twice_is_told_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("{BASE}\nmod again {{ lpm_api::export_lpm!(super::Base); }}");
    let arguments = ["--crate-type=cdylib", r#"--cfg=feature="export""#];
    let (output, _) = rustc(folder.path(), "twice", &text, &arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("EXPORT_LPM_IS_CALLED_TWICE_IN_THIS_LIBRARY"),
        "{said}"
    );
}
