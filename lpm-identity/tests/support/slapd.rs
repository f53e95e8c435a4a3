//! A real OpenLDAP server for a test: on loopback, on a free port, with the shipped schema and
//! example, gone when it is dropped.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub struct Slapd {
    pub port: u16,
    scheme: &'static str,
    server: Child,
    _folder: TempDir,
}

/// The programs, or a word to the reader of the test's output.
pub fn installed() -> bool {
    let there = program("slapd").is_some() && program("slapadd").is_some();
    if !there {
        println!("SKIPPED: slapd is not installed (Debian: apt-get install slapd)");
    }
    there
}

fn program(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/usr/lib/openldap", "/usr/libexec"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
}

fn shipped(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    workspace.join("lpm-identity/directory").join(name)
}

impl Slapd {
    /// A server in clear text with the example's entries, and more.
    pub fn start(more_entries: &str) -> Self {
        Self::start_with("ldap", more_entries, "")
    }

    /// A server whose `ldaps` or StartTLS has this certificate and key, in PEM.
    pub fn start_tls(scheme: &'static str, certificate: &Path, key: &Path) -> Self {
        let tls = format!(
            "TLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
            certificate.display(),
            key.display()
        );
        Self::start_with(scheme, "", &tls)
    }

    fn start_with(scheme: &'static str, more_entries: &str, options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("slapd.conf");
        let database = folder.path().join("database");
        fs::create_dir(&database).unwrap();
        let text = format!(
            "include /etc/ldap/schema/core.schema\n\
             include /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\n\
             include {}\n\
             modulepath /usr/lib/ldap\n\
             moduleload back_mdb\n\
             {options}\
             database mdb\n\
             suffix o=office\n\
             rootdn cn=admin,o=office\n\
             rootpw secret\n\
             directory {}\n",
            shipped("acs-policy.schema").display(),
            database.display()
        );
        fs::write(&config, text).unwrap();
        let entries = folder.path().join("entries.ldif");
        let example = fs::read_to_string(shipped("example.ldif")).unwrap();
        fs::write(&entries, format!("{example}\n{more_entries}")).unwrap();
        let added = Command::new(program("slapadd").unwrap())
            .arg("-f")
            .arg(&config)
            .arg("-l")
            .arg(&entries)
            .output()
            .unwrap();
        assert!(
            added.status.success(),
            "{}",
            String::from_utf8_lossy(&added.stderr)
        );

        // Another process may take the free port first.
        for _ in 0..20 {
            let port = free_port();
            let server = run(&config, scheme, port);
            if let Some(server) = up(server, port) {
                return Self {
                    port,
                    scheme,
                    server,
                    _folder: folder,
                };
            }
        }
        panic!("slapd does not start: {}", config.display());
    }

    pub fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.port)
    }

    /// Stops answering, without closing anything; `false` goes on.
    pub fn pause(&self, pause: bool) {
        let signal = if pause { "-STOP" } else { "-CONT" };
        let id = self.server.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        while pause && !self.stands_still() {
            thread::yield_now();
        }
    }

    /// Whether none of its threads goes on: they are stopped one after the other.
    fn stands_still(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.server.id()));
        let mut threads = threads.unwrap().map(|thread| thread.unwrap().path());
        threads.all(|thread| {
            let stat = fs::read_to_string(thread.join("stat")).unwrap_or_default();
            // The state comes after the name, which is in brackets.
            stat.rsplit_once(')')
                .is_some_and(|(_, rest)| rest.starts_with(" T"))
        })
    }

    /// How many connections to the server are open, as the server's side of the sockets has it.
    pub fn connections(&self) -> usize {
        established(self.port)
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Connections to a local port that neither side has closed, from the kernel's table of sockets.
pub fn established(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let suffix = format!(":{port:04X}");
    let mut count = 0;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        count += text
            .lines()
            .skip(1)
            .filter(|line| {
                let mut fields = line.split_whitespace().skip(1);
                let local = fields.next().unwrap_or_default();
                let state = fields.nth(1).unwrap_or_default();
                local.ends_with(&suffix) && state == ESTABLISHED
            })
            .count();
    }
    count
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn run(config: &Path, scheme: &str, port: u16) -> Child {
    Command::new(program("slapd").unwrap())
        .arg("-f")
        .arg(config)
        .args(["-h", &format!("{scheme}://127.0.0.1:{port}"), "-d", "0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The server when it takes connections; `None` if it ended instead.
fn up(mut server: Child, port: u16) -> Option<Child> {
    let start = Instant::now();
    loop {
        if server.try_wait().unwrap().is_some() {
            return None;
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Some(server);
        }
        assert!(start.elapsed() < Duration::from_secs(60), "slapd hangs");
        thread::sleep(Duration::from_millis(10));
    }
}
