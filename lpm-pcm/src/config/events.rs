//! The `[[events]]` tables: where events go besides the output.

use std::fmt;
use std::path::{Path, PathBuf};

use lpm_host::event::Severity;
use serde::Deserialize;
use syslog_fmt::Facility;
use toml::Spanned;

use super::error::{Fault, check_path};

/// One `[[events]]` table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EventsEntry {
    /// `to` and the keys that go with it.
    pub target: EventTarget,
    /// `min_severity`: what is less severe is left out.
    pub min_severity: Severity,
    /// `required`: whether nothing is granted while events cannot be written there.
    pub required: bool,
}

/// Where events go.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventTarget {
    /// Lines on standard error.
    Stderr {
        /// `format`.
        format: Format,
    },
    /// Lines appended to a file.
    File {
        /// `path`: absolute, or relative to the working directory.
        path: PathBuf,
        /// `format`.
        format: Format,
    },
    /// The systemd journal; on Linux only.
    Journald,
    /// A syslog daemon.
    Syslog {
        /// `facility`.
        facility: Facility,
        /// `address`; `None` for the daemon of this host.
        address: Option<SyslogAddress>,
    },
    /// The Windows Event Log; on Windows only.
    Windows,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people
    Text,
    /// One JSON object a line, for programs
    Json,
}

/// Where a syslog daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// `unix:PATH`: a datagram socket.
    Unix(PathBuf),
    /// `udp:HOST:PORT`.
    Udp(String),
    /// `tcp:HOST:PORT`.
    Tcp(String),
}

/// The place in words, such as `file /var/log/pcm.log`.
impl fmt::Display for EventTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr { .. } => f.write_str("standard error"),
            Self::File { path, .. } => write!(f, "file {}", path.display()),
            Self::Journald => f.write_str("journald"),
            Self::Syslog { address: None, .. } => f.write_str("syslog"),
            Self::Syslog {
                address: Some(address),
                ..
            } => write!(f, "syslog at {address}"),
            Self::Windows => f.write_str("the Windows Event Log"),
        }
    }
}

impl fmt::Display for SyslogAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Udp(host) => write!(f, "udp:{host}"),
            Self::Tcp(host) => write!(f, "tcp:{host}"),
        }
    }
}

/// The table as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsTable {
    to: Spanned<To>,
    format: Option<Spanned<Format>>,
    path: Option<Spanned<PathBuf>>,
    facility: Option<Spanned<String>>,
    address: Option<Spanned<String>>,
    min_severity: Option<Level>,
    #[serde(default)]
    required: bool,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum To {
    Stderr,
    File,
    Journald,
    Syslog,
    Windows,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Info,
    Warning,
    Error,
}

impl EventsTable {
    /// `folder` is where relative paths are meant from.
    pub(super) fn entry(self, folder: &Path) -> Result<EventsEntry, Fault> {
        let start = self.to.span().start;
        let to = *self.to.get_ref();
        let lines = matches!(to, To::Stderr | To::File);
        applies(&self.format, "format", lines, to)?;
        applies(&self.path, "path", to == To::File, to)?;
        applies(&self.facility, "facility", to == To::Syslog, to)?;
        applies(&self.address, "address", to == To::Syslog, to)?;
        let format = self.format.map_or(Format::Text, Spanned::into_inner);
        let target = match to {
            To::Stderr => EventTarget::Stderr { format },
            To::File => EventTarget::File {
                path: file(self.path, start, folder)?,
                format,
            },
            To::Journald if cfg!(target_os = "linux") => EventTarget::Journald,
            To::Journald => return Err(Fault::new(start, "journald is there on Linux only")),
            To::Syslog => EventTarget::Syslog {
                facility: self.facility.map_or(Ok(Facility::Daemon), facility)?,
                address: syslog_address(self.address, start)?,
            },
            To::Windows if cfg!(windows) => EventTarget::Windows,
            To::Windows => {
                let message = "the Windows Event Log is there on Windows only";
                return Err(Fault::new(start, message));
            }
        };
        let min_severity = match self.min_severity {
            None | Some(Level::Info) => Severity::Info,
            Some(Level::Warning) => Severity::Warning,
            Some(Level::Error) => Severity::Error,
        };
        Ok(EventsEntry {
            target,
            min_severity,
            required: self.required,
        })
    }
}

impl To {
    fn name(self) -> &'static str {
        match self {
            Self::Stderr => "stderr",
            Self::File => "file",
            Self::Journald => "journald",
            Self::Syslog => "syslog",
            Self::Windows => "windows",
        }
    }
}

/// Refuses a key that means nothing there.
fn applies<T>(value: &Option<Spanned<T>>, key: &str, applies: bool, to: To) -> Result<(), Fault> {
    match value {
        Some(value) if !applies => {
            let message = format!("`{key}` has no effect with `to = \"{}\"`", to.name());
            Err(Fault::of(value, message))
        }
        _ => Ok(()),
    }
}

fn file(path: Option<Spanned<PathBuf>>, start: usize, folder: &Path) -> Result<PathBuf, Fault> {
    let missing = || Fault::new(start, "`path` is missing: the file to append to");
    let path = path.ok_or_else(missing)?;
    check_path(&path, "path")?;
    Ok(folder.join(path.into_inner()))
}

fn facility(name: Spanned<String>) -> Result<Facility, Fault> {
    Ok(match name.get_ref().as_str() {
        "user" => Facility::User,
        "daemon" => Facility::Daemon,
        "auth" => Facility::Auth,
        "authpriv" => Facility::Authpriv,
        "local0" => Facility::Local0,
        "local1" => Facility::Local1,
        "local2" => Facility::Local2,
        "local3" => Facility::Local3,
        "local4" => Facility::Local4,
        "local5" => Facility::Local5,
        "local6" => Facility::Local6,
        "local7" => Facility::Local7,
        other => {
            let message = format!(
                "`facility` is {other:?}, expected user, daemon, auth, authpriv, or local0 to local7"
            );
            return Err(Fault::of(&name, message));
        }
    })
}

fn syslog_address(
    address: Option<Spanned<String>>,
    start: usize,
) -> Result<Option<SyslogAddress>, Fault> {
    let Some(address) = address else {
        if cfg!(unix) {
            return Ok(None);
        }
        let message = "`address` is missing: this system has no syslog daemon of its own; name a server, as \
                       udp:HOST:PORT or tcp:HOST:PORT, or use `to = \"windows\"`, the Event Log";
        return Err(Fault::new(start, message));
    };
    let has_port = |host: &str| {
        let port = host.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port != 0))
    };
    match address.get_ref().split_once(':') {
        Some(("unix", path)) if cfg!(unix) && !path.is_empty() => {
            Ok(Some(SyslogAddress::Unix(path.into())))
        }
        Some(("udp", host)) if has_port(host) => Ok(Some(SyslogAddress::Udp(host.to_owned()))),
        Some(("tcp", host)) if has_port(host) => Ok(Some(SyslogAddress::Tcp(host.to_owned()))),
        Some(("unix", _)) if !cfg!(unix) => {
            let message = "`address`: there are no `unix:` sockets of syslog on this system; send to a syslog server, as \
                           udp:HOST:PORT or tcp:HOST:PORT, or use `to = \"windows\"`, the Event Log";
            Err(Fault::of(&address, message))
        }
        _ => {
            let message = format!(
                "`address` is {:?}, expected {}udp:HOST:PORT or tcp:HOST:PORT",
                address.get_ref(),
                if cfg!(unix) { "unix:PATH, " } else { "" }
            );
            Err(Fault::of(&address, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn parse(table: &str) -> Result<EventsEntry, String> {
        let text = format!("[[lpm]]\nname = 'a'\nlibrary = 'x'\n[[events]]\n{table}\n");
        let config = Config::parse(Path::new("/etc/lpm/pcm.toml"), &text);
        let mut config = config.map_err(|error| error.to_string())?;
        Ok(config.events.remove(0))
    }

    #[test]
    fn a_file_is_text_from_info_on_unless_said_otherwise() {
        let entry = parse("to = 'file'\npath = 'pcm.log'").unwrap();
        let EventTarget::File { path, format } = entry.target else {
            panic!("{entry:?}");
        };
        assert_eq!(path, Path::new("/etc/lpm/pcm.log"));
        assert_eq!((format, entry.min_severity), (Format::Text, Severity::Info));
        let entry = parse("to = 'stderr'\nformat = 'json'\nmin_severity = 'error'").unwrap();
        assert_eq!(entry.min_severity, Severity::Error);
        assert!(matches!(
            entry.target,
            EventTarget::Stderr {
                format: Format::Json
            }
        ));
    }

    #[test]
    fn syslog_addresses() {
        for (address, expected) in [
            (
                "udp:[2001:db8::1]:514",
                SyslogAddress::Udp("[2001:db8::1]:514".to_owned()),
            ),
            (
                "tcp:logs.example:601",
                SyslogAddress::Tcp("logs.example:601".to_owned()),
            ),
            #[cfg(unix)]
            ("unix:/dev/log", SyslogAddress::Unix("/dev/log".into())),
        ] {
            let entry = parse(&format!("to = 'syslog'\naddress = '{address}'")).unwrap();
            let EventTarget::Syslog { address, .. } = entry.target else {
                panic!("{entry:?}");
            };
            assert_eq!(address, Some(expected));
        }
        for address in [
            "",
            "unix:",
            "udp:",
            "udp:host",
            "udp::514",
            "tcp:host:0",
            "tcp:host:65536",
            "/dev/log",
        ] {
            let error = parse(&format!("to = 'syslog'\naddress = '{address}'")).unwrap_err();
            assert!(
                error.contains("line 6") && error.contains("tcp:HOST:PORT"),
                "{error}"
            );
        }
    }

    #[test]
    fn faults_name_line_and_key() {
        for (table, line, fault) in [
            ("path = 'a'", 4, "`to`"),
            ("to = 'file'", 5, "`path` is missing"),
            ("to = 'file'\npath = ''", 6, "`path` is empty"),
            (
                "to = 'stderr'\npath = 'a'",
                6,
                "`path` has no effect with `to = \"stderr\"`",
            ),
            (
                "to = 'syslog'\nformat = 'text'",
                6,
                "`format` has no effect",
            ),
            ("to = 'syslog'\nfacility = 'kern'", 6, "local0 to local7"),
            ("to = 'mail'", 5, "`mail`"),
            ("to = 'stderr'\nmin_severity = 'debug'", 6, "`debug`"),
        ] {
            let error = parse(table).unwrap_err();
            assert!(
                error.contains(&format!("line {line}")) && error.contains(fault),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    #[cfg(windows)]
    fn what_works_on_windows_is_said() {
        for address in ["address = 'unix:/dev/log'", ""] {
            let error = parse(&format!("to = 'syslog'\n{address}")).unwrap_err();
            for way in ["udp:HOST:PORT", "to = \"windows\""] {
                assert!(error.contains(way), "{error}");
            }
        }
        assert!(parse("to = 'windows'").is_ok());
        assert!(parse("to = 'journald'").is_err());
    }

    #[test]
    #[cfg(unix)]
    fn what_this_system_does_not_have_is_refused() {
        let error = parse("to = 'windows'").unwrap_err();
        assert!(error.contains("on Windows only"), "{error}");
        assert_eq!(parse("to = 'journald'").is_ok(), cfg!(target_os = "linux"));
    }
}
