//! The `[run]` table: the RSVP node of `pcm run`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::duration;
use super::error::{Fault, check_path};

/// What `[run]` says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunConfig {
    /// The names of the interfaces that RSVP runs on; none for all that are up, but for the
    /// loopback.
    pub interfaces: Vec<String>,
    /// Those of them with hosts that speak RSVP in UDP only (RFC 2205, appendix C).
    pub udp_interfaces: Vec<String>,
    /// How often this node refreshes state in its neighbours.
    pub refresh: Duration,
    /// Whether what is granted is reserved in the kernel, or counted only.
    pub enforce: bool,
    /// Whether a qdisc that somebody else put on an interface may be replaced.
    pub replace_qdisc: bool,
    /// The control socket; `None` for none.
    pub control: Option<PathBuf>,
    /// Where Prometheus fetches metrics over HTTP; `None` for nowhere.
    pub metrics: Option<SocketAddr>,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            udp_interfaces: Vec::new(),
            refresh: Duration::from_secs(30),
            enforce: false,
            replace_qdisc: false,
            control: None,
            metrics: None,
        }
    }
}

/// `[run]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunTable {
    #[serde(default)]
    interfaces: Vec<String>,
    #[serde(default)]
    udp_interfaces: Vec<String>,
    refresh: Option<Spanned<String>>,
    #[serde(default)]
    enforce: bool,
    #[serde(default)]
    replace_qdisc: bool,
    control: Option<Spanned<PathBuf>>,
    metrics: Option<Spanned<String>>,
}

impl RunTable {
    /// What it says; a relative path is meant from `folder`.
    pub(super) fn config(self, folder: &Path) -> Result<RunConfig, Fault> {
        if let Some(path) = &self.control {
            check_path(path, "control")?;
        }
        let mut config = RunConfig {
            interfaces: self.interfaces,
            udp_interfaces: self.udp_interfaces,
            enforce: self.enforce,
            replace_qdisc: self.replace_qdisc,
            control: self.control.map(|path| folder.join(path.into_inner())),
            ..RunConfig::default()
        };
        if let Some(text) = &self.refresh {
            config.refresh = duration::parse(text, "refresh")?;
            // TIME_VALUES has 32 bits of milliseconds.
            let most = Duration::from_millis(u32::MAX.into());
            if config.refresh > most || config.refresh < Duration::from_millis(1) {
                let found = text.get_ref();
                let message = format!("`refresh` is {found:?}, expected 1 ms to 49 days");
                return Err(Fault::of(text, message));
            }
        }
        if let Some(text) = &self.metrics {
            let found = text.get_ref();
            let fault = |_| {
                let example = "an address and a port, such as \"127.0.0.1:9120\"";
                Fault::of(text, format!("`metrics` is {found:?}, expected {example}"))
            };
            config.metrics = Some(found.parse().map_err(fault)?);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn parse(table: &str) -> Result<RunConfig, String> {
        let text = format!("[[lpm]]\nname = 'a'\nlibrary = 'x'\n{table}\n");
        let config = Config::parse(Path::new("pcm.toml"), &text);
        config
            .map(|config| config.run)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_enforced_unless_it_is_said() {
        assert_eq!(parse("").unwrap(), RunConfig::default());
        assert!(!RunConfig::default().enforce);
        let config = parse(
            "[run]\ninterfaces = ['eth0', 'eth1']\nudp_interfaces = ['eth1']\nrefresh = '500 ms'\nenforce = true\nreplace_qdisc = true",
        )
        .unwrap();
        assert_eq!(config.interfaces, ["eth0", "eth1"]);
        assert_eq!(config.udp_interfaces, ["eth1"]);
        assert_eq!(config.refresh, Duration::from_millis(500));
        assert!(config.enforce && config.replace_qdisc);
    }

    #[test]
    fn faults_name_line_and_key() {
        for (table, line, fault) in [
            ("[run]\nrefresh = '60 days'", 5, "`refresh` is \"60 days\""),
            ("[run]\nrefresh = 'often'", 5, "`refresh`"),
            ("[run]\nenforced = true", 5, "`enforced`"),
            (
                "[run]\nmetrics = 'localhost'",
                5,
                "`metrics` is \"localhost\"",
            ),
        ] {
            let error = parse(table).unwrap_err();
            let has_line = error.contains(&format!("line {line}"));
            assert!(has_line && error.contains(fault), "{error}");
        }
    }
}
