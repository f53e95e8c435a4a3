//! Certificates for the servers of the tests.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::PathBuf;
use std::process::Command;

/// A certificate for `localhost`, its key, and another authority that did not sign it.
pub struct Certificates {
    pub folder: tempfile::TempDir,
}

impl Certificates {
    /// Nothing where `openssl` is missing.
    pub fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        for (name, subject) in [("server", "/CN=localhost"), ("other", "/CN=other")] {
            let made = Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ])
                .args(["-nodes", "-days", "2", "-subj", subject])
                .args(["-addext", "subjectAltName=DNS:localhost"])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .args([
                    "-keyout",
                    &format!("{name}.key"),
                    "-out",
                    &format!("{name}.pem"),
                ])
                .current_dir(folder.path())
                .output();
            match made {
                Ok(made) => assert!(
                    made.status.success(),
                    "{}",
                    String::from_utf8_lossy(&made.stderr)
                ),
                Err(_) => {
                    println!("SKIPPED: openssl is not installed");
                    return None;
                }
            }
        }
        Some(Self { folder })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
