//! `pcm policy` as its users see it.

mod support;

use std::path::{Path, PathBuf};

use support::{Run, pcm};
use tempfile::TempDir;

const POLICY: &str = r#"time_zone = "Europe/Zurich"
[[subnet]]
name = "lab"
prefixes = ["10.1.0.0/16"]
[default]
priority = 100
max_flows = 2
[[group]]
name = "engineering"
priority = 300
max_flow_rate = "2 Mbit/s"
[[group.when]]
days = "mon-fri"
hours = "08:00-18:00"
max_flow_rate = "4 Mbit/s"
[[user]]
id = "ada"
group = "engineering"
[[user.when]]
subnet = "lab"
max_flows = 1
[[application]]
dn = "APP=Phone"
reject = "no_resources"
"#;

struct File {
    _folder: TempDir,
    path: PathBuf,
}

impl File {
    fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("office.toml");
        std::fs::write(&path, text).unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    fn pcm(&self, command: &str, arguments: &[&str]) -> Run {
        let path = self.path.to_str().unwrap();
        pcm(&[&["policy", command, path], arguments].concat())
    }

    #[track_caller]
    fn explain(&self, arguments: &[&str]) -> String {
        let run = self.pcm("explain", arguments);
        assert_eq!((run.status, run.stderr.as_str()), (0, ""));
        run.stdout
    }
}

#[test]
fn check_says_what_is_in_the_file() {
    let run = File::with(POLICY).pcm("check", &[]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    let (_, summary) = run.stdout.split_once("office.toml: ").unwrap();
    assert_eq!(
        summary,
        "in order: 1 user, 1 application, 1 group, 1 subnet\n  \
         not listed: priority 100, max_flows 2\n  unauthenticated: reject: no privileges\n"
    );
}

#[test]
fn check_takes_the_policy_that_comes_with_the_sample() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lpm-sample/demo-policy.toml");
    let run = pcm(&["policy", "check", demo.to_str().unwrap()]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
}

#[test]
fn a_fault_has_its_line_and_fails() {
    let run = File::with("[default]\npriority = 0\n").pcm("check", &[]);
    assert_eq!((run.status, run.stdout.as_str()), (1, ""));
    assert!(
        run.stderr
            .contains("office.toml:2: priority in [default]: 0 is out of range")
    );
    let run = pcm(&["policy", "check", "/no/such/file.toml"]);
    assert_eq!(run.status, 1);
    assert!(
        run.stderr
            .starts_with("pcm: cannot read the policy file /no/such/file.toml: ")
    );
}

#[test]
fn explain_names_the_section_of_each_value() {
    let file = File::with(POLICY);
    let text = file.explain(&[
        "--user",
        "Ada",
        "--rate",
        "3 Mbit/s",
        "--subnet",
        "lab",
        "--time",
        "2026-07-01T14:30",
    ]);
    assert_eq!(
        text,
        "user ada, on subnet lab, wed 14:30 Europe/Zurich\n  \
         priority           300        [[group]] \"engineering\", line 8\n  \
         max_flows          1          [[user]] on subnet lab, line 19, error value 7\n  \
         max_flow_duration  unlimited  not set\n  \
         max_flow_rate      4 Mbit/s   [[group]] \"engineering\" mon,tue,wed,thu,fri 08:00-18:00, line 12, error value 18\n  \
         max_peak_rate      unlimited  not set\n  \
         max_sum_flow_rate  unlimited  not set\n  \
         max_sum_peak_rate  unlimited  not set\n\
         admitted with priority 300\n"
    );
}

#[test]
fn explain_decides_as_the_lpm_does() {
    let file = File::with(POLICY);
    let night = "2026-07-01T23:00";
    for (arguments, decision) in [
        (
            &["--user", "ada", "--rate", "3 Mbit/s", "--time", night][..],
            "rejected: flow rate limit, global group (code 2, value 18)",
        ),
        (
            &["--user", "ada", "--interface", "10.1.0.9", "--flows", "1"],
            "rejected: flow count limit, subnet user (code 2, value 7)",
        ),
        (
            &["--user", "ada", "--flows", "1"],
            "admitted with priority 300",
        ),
        (
            &["--user", "CN=Somebody,O=Else", "--flows", "2"],
            "rejected: flow count limit, global default (code 2, value 1)",
        ),
        (
            &["--application", "app=phone, VER=2"],
            "rejected: no resources (code 2, value 52)",
        ),
        (&[], "rejected: no privileges (code 2, value 50)"),
    ] {
        let text = file.explain(arguments);
        assert_eq!(text.lines().last(), Some(decision), "{arguments:?}\n{text}");
    }
}

#[test]
fn what_is_no_request_is_wrong_usage() {
    let file = File::with(POLICY);
    for arguments in [
        ["--rate", "fast"],
        ["--time", "noon"],
        ["--interface", "eth0"],
        ["--lasted", "long"],
        ["--peak-rate", "most"],
    ] {
        let run = file.pcm("explain", &arguments);
        assert_eq!(run.status, 2, "{arguments:?}: {}", run.stderr);
    }
    let run = file.pcm("explain", &["--subnet", "hall"]);
    assert_eq!(run.status, 1);
    assert!(
        run.stderr
            .contains("there is no subnet \"hall\"; defined: lab"),
        "{}",
        run.stderr
    );
    let run = file.pcm("explain", &["--user", "CN=a,b"]);
    assert_eq!(run.status, 1);
    assert!(
        run.stderr.contains("not a distinguished name"),
        "{}",
        run.stderr
    );
}
