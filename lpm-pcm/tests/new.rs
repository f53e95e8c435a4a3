//! What `pcm new` makes compiles, is tested, passes `pcm check` and runs in `pcm replay`.
#![cfg(unix)]
#![forbid(unsafe_code)]

mod support;

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use support::{pcm, pcm_in};

fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap().to_path_buf()
}

#[test]
fn a_new_crate_does_all_that_is_promised() {
    let steps = Steps::of("rate-limit", &[]);
    let [test, build, check, replay] = &steps.lines[..] else {
        panic!("{:?}", steps.lines)
    };
    steps.take(2, test, build, check, replay);
    assert!(steps.project.join(".git").is_dir());
}

/// An LPM that asks a server.
#[test]
fn a_new_crate_that_defers_does_so_too() {
    let steps = Steps::of("ask-server", &["--deferred"]);
    let [test, build, serve, check, replay] = &steps.lines[..] else {
        panic!("{:?}", steps.lines)
    };
    let server = serve.strip_suffix(" &").unwrap();
    let _server = Server::start(&steps.project, server);
    steps.take(3, test, build, check, replay);
}

/// An LPM in C, which takes a C compiler and `lpmapi.h`.
#[cfg(target_os = "linux")]
#[test]
fn a_new_lpm_in_c_does_so_too() {
    let folder = tempfile::tempdir().unwrap();
    let run = pcm_in(folder.path(), &["new", "rate-in-c", "--c"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let project = folder.path().join("rate-in-c");
    let lines = next_lines(&run.stdout, "rate-in-c", &project);
    let [build, check, replay] = &lines[..] else {
        panic!("{lines:?}")
    };
    shell(&project, build);
    let checked = shell(
        &project,
        &format!("{check} --deny-warnings --time-limit '60 s'"),
    );
    assert!(checked.contains("nothing found"), "{checked}");
    let replayed = shell(&project, replay);
    for word in ["accept", "reject", support::GONE] {
        assert!(replayed.contains(word), "{word}: {replayed}");
    }
    let inspected = shell(&project, &check.replace("check", "inspect"));
    assert!(inspected.contains("version 1 (lpmapi.h)"), "{inspected}");
    let refused = shell(
        &project,
        &format!("RATE_LIMIT=fast {}", check.replace("check", "inspect")),
    );
    assert!(refused.contains("not started"), "{refused}");
    for file in [
        "README.md",
        "pcm.toml",
        ".github/workflows/ci.yml",
        ".gitignore",
    ] {
        let text = fs::read_to_string(project.join(file)).unwrap();
        assert!(!text.contains("{{"), "{file}: {text}");
    }
}

/// The lines after `cd`, which are those of the README.
fn next_lines(printed: &str, name: &str, project: &Path) -> Vec<String> {
    let next = printed.split("Next:").nth(1).expect("what comes next");
    let mut steps = next.lines().map(str::trim).filter(|line| !line.is_empty());
    assert_eq!(steps.next(), Some(format!("cd {name}").as_str()));
    let lines: Vec<String> = steps.map(str::to_owned).collect();
    let readme = fs::read_to_string(project.join("README.md")).unwrap();
    let readme = readme.split("```").nth(1).unwrap();
    assert!(readme.ends_with(&(lines.join("\n") + "\n")), "{readme}");
    lines
}

/// What `pcm new` says comes next.
struct Steps {
    _folder: tempfile::TempDir,
    project: PathBuf,
    lines: Vec<String>,
}

impl Steps {
    fn of(name: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workspace = workspace();
        let mut command = vec!["new", name, "--path", workspace.to_str().unwrap()];
        command.extend(arguments);
        let run = pcm_in(folder.path(), &command);
        assert_eq!(run.status, 0, "{}", run.stderr);
        let project = folder.path().join(name);
        // The versions that are here already, and a place to keep what is built.
        fs::copy(workspace.join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
        let built = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tutorial");
        fs::create_dir_all(&built).unwrap();
        std::os::unix::fs::symlink(&built, project.join("target")).unwrap();

        let lines = next_lines(&run.stdout, name, &project);
        shell(&project, "cargo fmt --check");
        Self {
            _folder: folder,
            project,
            lines,
        }
    }

    fn take(&self, count: u32, test: &str, build: &str, check: &str, replay: &str) {
        let tests = shell(&self.project, test);
        assert!(tests.contains(&format!("{count} passed")), "{tests}");
        shell(&self.project, build);
        let checked = shell(
            &self.project,
            &format!("{check} --deny-warnings --time-limit '60 s'"),
        );
        assert!(checked.contains("nothing found"), "{checked}");
        let replayed = shell(&self.project, replay);
        for word in ["accept", "reject", support::GONE] {
            assert!(replayed.contains(word), "{word}: {replayed}");
        }
    }
}

/// The example of the crate that defers. Dropping it ends it.
struct Server(Child);

impl Server {
    fn start(project: &Path, command: &str) -> Self {
        shell(project, "cargo build --example server");
        let mut words = command.split_whitespace();
        let server = Command::new(words.next().unwrap())
            .args(words)
            .current_dir(project)
            .spawn()
            .unwrap();
        let server = Self(server);
        while TcpStream::connect("127.0.0.1:7171").is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is the server itself: `cargo run` gives its place to what it runs.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn without_a_checkout_the_crates_are_those_of_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let run = pcm_in(folder.path(), &["new", "Policy_2"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(
        run.stdout.contains("`pcm new --path CHECKOUT`"),
        "{}",
        run.stdout
    );
    let project = folder.path().join("Policy_2");
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let version = env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap().0;
    assert_eq!(manifest["package"]["name"].as_str(), Some("Policy_2"));
    assert_eq!(manifest["dependencies"]["lpm-api"].as_str(), Some(version));
    let host = &manifest["dev-dependencies"]["lpm-host"];
    assert_eq!(host["version"].as_str(), Some(version));
    assert_eq!(host["features"][0].as_str(), Some("testing"));
    let mut files: Vec<_> = fs::read_dir(&project)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        // It is there where git is.
        .filter(|name| name != ".git")
        .collect();
    files.sort();
    let all = [
        ".github",
        ".gitignore",
        "Cargo.toml",
        "README.md",
        "office.pcap",
        "pcm.toml",
        "src",
    ];
    assert_eq!(files, all);
    for file in ["README.md", "pcm.toml", ".github/workflows/ci.yml"] {
        let text = fs::read_to_string(project.join(file)).unwrap();
        assert!(
            text.contains("Policy_2") && !text.contains("{{"),
            "{file}: {text}"
        );
    }
}

#[test]
fn what_cannot_be_made_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let names = || -> Vec<_> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    fs::write(folder.path().join("there"), "mine").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let before = names();
    for (arguments, complaint) in [
        (&["new", "there"][..], "exists already"),
        (&["new", "folder"], "exists already"),
        (&["new", "2fast"], "cannot be the name of a crate"),
        (&["new", "self"], "is a keyword of Rust"),
        (&["new", "lpm-api"], "the name of a crate"),
        (&["new", "absent/lpm"], "nothing was made"),
        (&["new", "there/lpm"], "nothing was made"),
        (
            &["new", "lpm", "--path", "."],
            "not a checkout of this project",
        ),
    ] {
        let run = pcm_in(folder.path(), arguments);
        assert_eq!(run.status, 1, "{arguments:?}");
        assert!(
            run.stderr.contains(complaint),
            "{arguments:?}: {}",
            run.stderr
        );
        assert_eq!(names(), before, "{arguments:?}");
    }
    assert_eq!(
        fs::read_to_string(folder.path().join("there")).unwrap(),
        "mine"
    );
    assert_eq!(pcm(&["new"]).status, 2);
}

/// A folder in which nothing may be made; root may do so in any, so here it is one that no process
/// may write to.
#[cfg(target_os = "linux")]
#[test]
fn without_permission_nothing_is_made() {
    let run = pcm(&["new", "/proc/lpm"]);
    assert_eq!(run.status, 1);
    assert!(
        run.stderr.contains("/proc/lpm: cannot be written"),
        "{}",
        run.stderr
    );
}

/// Runs a command as whoever made the project would, with `pcm` in the path.
fn shell(project: &Path, command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_pcm")).parent().unwrap();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(program.to_path_buf()).chain(std::env::split_paths(&others));
    let run = Command::new("sh")
        .args(["-c", command])
        .current_dir(project)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("CARGO_NET_OFFLINE", "true")
        // Nobody debugs it, and it builds in less time.
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&run.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{command}\n{stdout}\n{stderr}");
    stdout
}
