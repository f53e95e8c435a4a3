//! `pcm inspect` and `pcm check` of the libraries that are compared with plain `dlopen`: each as an
//! LPM in C that does the same when it is asked. What they say is at the head of the library's
//! file, in lines `// inspect: …` and `// check: …`; without these lines they say nothing.
//! `// lpm: no`: it does nothing without its host, or not twice.
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#![forbid(unsafe_code)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;
use support::pcm;

/// Longer than any machine takes.
const SLOW: &str = "60 s";

/// The LPM around a library. It does what that does in its second life, too.
const LPM: &str = r#"
#define OWN_ADMIT
#include "base.h"
extern void act(void);
ULONG WINAPI LPM_AdmitRsvpMsg(RHANDLE request, RSVP_HOP *received, RSVP_MSG_OBJS *objects, int length, UCHAR *message,
                              ULONG *flags, POLICY_DECISION *decisions, void *reserved) {
    (void)request, (void)received, (void)length, (void)message, (void)flags, (void)reserved;
    static int acted;
    if (!acted++) act();
    for (int flow = 0; flow < objects->FlowDescCount; flow++) decisions[flow] = decision(LPV_MIN_PRIORITY, 0, 0);
    return LPM_RESULT_READY;
}
"#;

struct Scenario {
    name: String,
    file: PathBuf,
    source: String,
}

impl Scenario {
    /// The words after this key.
    fn words(&self, key: &str) -> BTreeSet<String> {
        let lines = self
            .source
            .lines()
            .map_while(|line| line.strip_prefix("// "));
        let mut values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        let words = values.next().unwrap_or_default().split_whitespace();
        words.map(str::to_owned).collect()
    }

    /// Whether there is an LPM like it: one library, which a C compiler makes and which does
    /// something when it is asked.
    fn is_one(&self) -> bool {
        let has = |text| self.source.contains(text);
        let is_c = self
            .file
            .extension()
            .is_some_and(|kind| kind == "c" || kind == "cpp");
        // The others are about a second library, the end of the process, or a program that is not
        // there.
        let other = [
            "def SECOND",
            "// second",
            "// closes",
            "// with",
            "// lpm: no",
            "-nostartfiles",
        ];
        is_c && (has("void act(void)") || has("void act()")) && !other.into_iter().any(has)
    }

    fn lpm(&self, folder: &Path) -> PathBuf {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/lpmapi");
        let around = folder.join(format!("{}-lpm.c", self.name));
        fs::write(&around, LPM).unwrap();
        let object = around.with_extension("o");
        let run = |command: &mut Command| {
            let output = command.output().unwrap();
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {complaint}", self.name);
        };
        let c = ["-c", "-fPIC", "-O1", "-w", "-D_GNU_SOURCE", "-I"];
        run(Command::new("cc")
            .args(c)
            .arg(&fixtures)
            .arg("-I")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("c/include"))
            .args(["-idirafter", "/usr/share/mingw-w64/include"])
            .arg(&around)
            .arg("-o")
            .arg(&object));
        let library = folder.join(format!("lib{}.so", self.name));
        let is_cpp = self.file.extension().is_some_and(|kind| kind == "cpp");
        let compiler = if is_cpp { "c++" } else { "cc" };
        let lines = self.source.lines();
        let link = lines.map_while(|line| line.strip_prefix("// "));
        let link = link.filter_map(|line| line.strip_prefix("link: ")).next();
        run(Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-w", "-o"])
            .arg(&library)
            .arg(&self.file)
            .arg(&object)
            .args(link.unwrap_or_default().split_whitespace()));
        library
    }
}

fn scenarios() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/compared/scenarios");
    let files = fs::read_dir(folder).unwrap();
    let scenario = |file: PathBuf| Scenario {
        name: file.file_stem().unwrap().to_string_lossy().into_owned(),
        source: fs::read_to_string(&file).unwrap(),
        file,
    };
    let mut all: Vec<_> = files.map(|file| scenario(file.unwrap().path())).collect();
    all.retain(Scenario::is_one);
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn names(list: &Value, key: &str) -> BTreeSet<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|entry| entry[key].as_str().unwrap().to_owned())
        .collect()
}

/// What both say that they should not, or do not and should.
fn wrong(scenario: &Scenario, folder: &Path) -> Option<String> {
    let library = scenario.lpm(folder);
    let library = library.to_str().unwrap();
    let inspected = pcm(&["inspect", library, "--no-load", "--format", "json"]);
    let hazards = names(&json(&inspected.stdout)["hazards"], "hazard");
    let only = [
        "--only",
        "lifecycle",
        "--format",
        "json",
        "--time-limit",
        SLOW,
    ];
    let checked = pcm(&[&["check", library][..], &only].concat());
    let found = names(&json(&checked.stdout)["findings"], "finding");
    let is_right = hazards == scenario.words("inspect") && found == scenario.words("check");
    (!is_right).then(|| {
        let text = &checked.stdout;
        format!(
            "{}: inspect {hazards:?}, check {found:?}: {text}",
            scenario.name
        )
    })
}

#[test]
fn each_library_is_warned_of_before_or_found_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let all = scenarios();
    assert!(all.len() > 50, "{}", all.len());
    let queue = Mutex::new(all.iter());
    let all_wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(scenario) = queue.lock().unwrap().next() else {
                        return;
                    };
                    let wrong = wrong(scenario, folder.path());
                    all_wrong.lock().unwrap().extend(wrong);
                }
            });
        }
    });
    let all_wrong = all_wrong.into_inner().unwrap();
    assert!(all_wrong.is_empty(), "{}", all_wrong.join("\n\n"));
}
