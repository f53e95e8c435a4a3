//! Events to a real syslog daemon, rsyslogd, that the test starts.
#![cfg(unix)]
#![forbid(unsafe_code)]

mod support;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::{Run, configured, eventually, office};
use tempfile::TempDir;

/// Where Debian, Fedora and Arch have it, a folder that is in no user's PATH.
const DAEMON: &str = "/usr/sbin/rsyslogd";

/// A daemon of the test's own, which writes what it gets to a file.
struct Rsyslogd {
    folder: TempDir,
    inputs: String,
    child: Option<Child>,
}

impl Rsyslogd {
    /// `None`, with a word on it, where there is none.
    fn found(inputs: impl FnOnce(&Path) -> String) -> Option<Self> {
        if !Path::new(DAEMON).exists() {
            eprintln!("not checked: {DAEMON} is not here");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let inputs = inputs(folder.path());
        Some(Self {
            folder,
            inputs,
            child: None,
        })
    }

    fn start(&mut self) {
        let path = |name| self.folder.path().join(name);
        let config = format!(
            "global(workDirectory={:?})\n{}\n\
             template(name=\"parts\" type=\"string\" string=\"%pri%|%timereported:::date-rfc3339%|\
             %hostname%|%app-name%|%procid%|%msgid%|%structured-data%|%msg%\\n\")\n\
             action(type=\"omfile\" file={:?} template=\"parts\")\n",
            self.folder.path(),
            self.inputs,
            path("out"),
        );
        fs::write(path("rsyslog.conf"), config).unwrap();
        let child = Command::new(DAEMON)
            .arg("-n")
            .arg("-f")
            .arg(path("rsyslog.conf"))
            .arg("-i")
            .arg(path("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(path("stderr")).unwrap())
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// Sends until something arrives: then it listens.
    fn wait_for(&self, send: impl Fn(&[u8]) -> std::io::Result<()>) {
        eventually("the daemon", || {
            let _ = send(b"<14>1 - - probe - - - probe");
            self.lines()
                .iter()
                .any(|line| line.contains("probe"))
                .then_some(())
        });
    }

    fn lines(&self) -> Vec<String> {
        let out = fs::read_to_string(self.folder.path().join("out")).unwrap_or_default();
        out.lines().map(str::to_owned).collect()
    }

    /// The lines by `pcm` once the last event of a run is there.
    fn events(&self) -> Vec<String> {
        eventually("shut_down", || {
            let lines: Vec<_> = self
                .lines()
                .into_iter()
                .filter(|line| line.contains("|pcm|"))
                .collect();
            lines
                .iter()
                .any(|line| line.contains("|shut_down|"))
                .then_some(lines)
        })
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Decides the demo capture, and checks what the daemon got.
fn replay_and_check(address: &str, daemon: &Rsyslogd) {
    let run = support::replay(&configured(&events(address)));
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(!run.stderr.contains("events to"), "{}", run.stderr);
    check(&daemon.events(), &run);
}

fn events(address: &str) -> String {
    format!("[[events]]\nto = 'syslog'\nfacility = 'local3'\naddress = '{address}'\n")
}

/// What the run brings, facility local3 (19): parts as the daemon saw them.
fn check(lines: &[String], run: &Run) {
    let mut names: Vec<_> = lines
        .iter()
        .map(|line| line.split('|').nth(5).unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, run.events());
    let failed = lines
        .iter()
        .find(|line| line.contains("|lpm_load_failed|"))
        .unwrap();
    let parts: Vec<_> = failed.splitn(8, '|').collect();
    assert_eq!(parts[0], (19 * 8 + 3).to_string(), "{failed}");
    assert!(parts[1].contains('T'), "{failed}");
    assert_ne!(parts[2], "-", "{failed}");
    assert_eq!(parts[3], "pcm");
    assert!(parts[4].parse::<u32>().is_ok(), "{failed}");
    assert!(
        parts[6].starts_with("[lpm@32473 id=\"11\" event=\"lpm_load_failed\" lpm=\"absent\" "),
        "{failed}"
    );
    assert!(parts[7].contains("not-there.so"), "{failed}");
    let demoted = lines
        .iter()
        .find(|line| line.contains("|demoted|"))
        .unwrap();
    assert!(
        demoted.starts_with(&format!("{}|", 19 * 8 + 6)),
        "{demoted}"
    );
}

fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

#[test]
fn over_a_unix_socket() {
    let socket = |folder: &Path| -> PathBuf { folder.join("log") };
    let Some(mut daemon) = Rsyslogd::found(|folder| {
        format!(
            "module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
             input(type=\"imuxsock\" Socket={:?} UseSpecialParser=\"off\" ParseHostname=\"on\")",
            socket(folder)
        )
    }) else {
        return;
    };
    daemon.start();
    let socket = socket(daemon.folder.path());
    daemon.wait_for(|bytes| UnixDatagram::unbound()?.send_to(bytes, &socket).map(drop));
    replay_and_check(&format!("unix:{}", socket.display()), &daemon);
}

#[test]
fn over_udp() {
    let port = free_port();
    let Some(mut daemon) = Rsyslogd::found(|_| {
        format!(
            "module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")"
        )
    }) else {
        return;
    };
    daemon.start();
    daemon.wait_for(|bytes| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.send_to(bytes, (Ipv4Addr::LOCALHOST, port)).map(drop)
    });
    replay_and_check(&format!("udp:127.0.0.1:{port}"), &daemon);
}

fn tcp(port: u16) -> Option<Rsyslogd> {
    Rsyslogd::found(|_| {
        format!(
            "module(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")"
        )
    })
}

#[test]
fn over_tcp() {
    let port = free_port();
    let Some(mut daemon) = tcp(port) else { return };
    daemon.start();
    daemon.wait_for(|bytes| {
        let framed = [b"27 ", bytes].concat();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))?.write_all(&framed)
    });
    replay_and_check(&format!("tcp:127.0.0.1:{port}"), &daemon);
}

#[test]
fn events_wait_for_a_daemon_that_is_down() {
    let port = free_port();
    let Some(mut daemon) = tcp(port) else { return };
    let folder = configured(&events(&format!("tcp:127.0.0.1:{port}")));
    let config = folder.path().join("pcm.toml");
    let mut child = support::spawn(&[
        "replay",
        "--format",
        "json",
        "--config",
        config.to_str().unwrap(),
        "-",
    ]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&fs::read(office()).unwrap()).unwrap();
    // Decisions are made meanwhile.
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut out = String::new();
    while !out.contains("\"type\":\"decision\"") {
        assert_ne!(
            std::io::BufRead::read_line(&mut stdout, &mut out).unwrap(),
            0
        );
    }
    daemon.start();
    eventually("became_dsbm", || {
        daemon
            .lines()
            .iter()
            .any(|line| line.contains("|became_dsbm|"))
            .then_some(())
    });
    drop(stdin);
    std::io::Read::read_to_string(&mut stdout, &mut out).unwrap();
    let run = Run {
        stdout: out,
        ..support::finish(child)
    };
    assert_eq!(run.status, 0, "{}", run.stderr);
    let told: Vec<_> = run
        .stderr
        .lines()
        .filter(|line| line.contains("events to"))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("start the syslog daemon"), "{told:?}");
    assert!(told[1].ends_with(": works again"), "{told:?}");
    check(&daemon.events(), &run);
}
