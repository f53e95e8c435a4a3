//! Where usage is shared.

use std::path::PathBuf;
use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use crate::policy::{PolicyError, PolicyProblem, Table, excerpt};
use crate::secret::{NoSecret, Place, Secret};

/// The keys of `[shared_usage]`.
pub(crate) const KEYS: &[&str] = &[
    "server",
    "server_env",
    "server_file",
    "ca_file",
    "prefix",
    "lease",
    "time_limit",
    "when_unreachable",
];

/// A Redis server that counts for several PCMs: the section `[shared_usage]` of the LPM's
/// configuration, whose keys are named like these fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UsageConfig {
    /// The server. One server, or several behind one address that are one: a cluster is not
    /// supported.
    pub server: ServerUrl,
    /// Certificates in PEM that the server is trusted for; default: those of the system.
    pub ca_file: Option<PathBuf>,
    /// What the names of all keys begin with; PCMs that count together have the same. Default:
    /// `lpm`.
    pub prefix: String,
    /// How long what a PCM counted stays after it died, and how long the server may be away without
    /// anything being lost; the same for all PCMs that count together. After a server began anew,
    /// nothing new is granted for as long. Default: 10 s.
    pub lease: Duration,
    /// How long the server may take for an answer as a whole. Default: 1 s.
    pub time_limit: Duration,
    /// What to do with new flows under a shared limit when the server cannot be reached. Default:
    /// reject.
    pub when_unreachable: WhenUnreachable,
}

/// Where the URL of the server is: `redis://[user:password@]host[:port][/database]`, or `rediss://`
/// for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerUrl {
    /// `server`: here. There may be a password in it.
    Here(Secret),
    /// `server_env`, `server_file`: somewhere else.
    Elsewhere(Place),
}

/// A server, as its URL has it.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
    /// Who this is to the server, and which of its databases.
    pub(super) settings: RedisConnectionInfo,
}

/// Why there is no address of a server. The URL is not repeated: there may be a password in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAddress {
    #[error("{0}")]
    Unreadable(#[from] NoSecret),
    #[error(
        "it is not the URL of a server: expected redis:// or rediss://, a host and perhaps a port"
    )]
    NoUrl,
}

/// What to do with new flows under a shared limit when the server cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnreachable {
    /// `"reject"`: reject them for want of resources.
    Reject,
    /// `"count_alone"`: admit them as long as this PCM alone is within the limit.
    CountAlone,
}

impl UsageConfig {
    /// A server, and defaults for everything else.
    #[must_use]
    pub fn new(server: ServerUrl) -> Self {
        Self {
            server,
            ca_file: None,
            prefix: "lpm".to_owned(),
            lease: Duration::from_secs(10),
            time_limit: Duration::from_secs(1),
            when_unreachable: WhenUnreachable::Reject,
        }
    }

    /// Reads the section; `path` says where a relative path is.
    pub(crate) fn read(
        table: &Table<'_>,
        path: impl Fn(&str) -> PathBuf,
    ) -> Result<Self, PolicyError> {
        let here = table
            .text("server")?
            .map(|(url, _)| ServerUrl::Here(Secret::new(url)));
        let variable = table.text("server_env")?;
        let variable = variable.map(|(name, _)| Place::Environment(name.to_owned()));
        let variable = variable.map(ServerUrl::Elsewhere);
        let file = table
            .text("server_file")?
            .map(|(file, _)| ServerUrl::Elsewhere(Place::File(path(file))));
        let mut servers = [here, variable, file].into_iter().flatten();
        let (Some(server), None) = (servers.next(), servers.next()) else {
            return Err(table.fail(PolicyProblem::OneServer));
        };
        let mut config = Self::new(server);
        if let ServerUrl::Here(url) = &config.server {
            let no_url = |_| table.fail(PolicyProblem::BadRedis(without_password(url.reveal())));
            Address::parse(url).map_err(no_url)?;
        }
        config.ca_file = table.text("ca_file")?.map(|(file, _)| path(file));
        if let Some((prefix, _)) = table.text("prefix")? {
            config.prefix = prefix.to_owned();
        }
        for (key, value) in [
            ("lease", &mut config.lease),
            ("time_limit", &mut config.time_limit),
        ] {
            *value = table.duration(key)?.unwrap_or(*value);
            if value.is_zero() {
                return Err(table.fail(PolicyProblem::Zero(key)));
            }
        }
        if let Some((word, at)) = table.text("when_unreachable")? {
            config.when_unreachable = match word {
                "reject" => WhenUnreachable::Reject,
                "count_alone" => WhenUnreachable::CountAlone,
                _ => {
                    return Err(at.fail(PolicyProblem::UnknownWord {
                        found: excerpt(word),
                        what: "way to go on",
                        accepted: vec!["reject", "count_alone"],
                    }));
                }
            };
        }
        Ok(config)
    }
}

impl ServerUrl {
    /// The address, or why there is none.
    pub(super) fn address(&self) -> Result<Address, NoAddress> {
        match self {
            Self::Here(url) => Address::parse(url),
            Self::Elsewhere(place) => Address::parse(&place.read()?),
        }
    }
}

impl Address {
    fn parse(url: &Secret) -> Result<Self, NoAddress> {
        let url = url.reveal().trim();
        let (is_tls, plain) = match url.strip_prefix("rediss://") {
            Some(rest) => (true, Some(format!("redis://{rest}"))),
            None => (false, url.starts_with("redis://").then(|| url.to_owned())),
        };
        // A fragment would be a word about TLS, such as "insecure".
        let plain = plain
            .filter(|url| !url.contains('#'))
            .ok_or(NoAddress::NoUrl)?;
        let info = plain.into_connection_info().map_err(|_| NoAddress::NoUrl)?;
        match info.addr() {
            ConnectionAddr::Tcp(host, port) => Ok(Self {
                host: host.clone(),
                port: *port,
                is_tls,
                settings: info.redis_settings().clone(),
            }),
            _ => Err(NoAddress::NoUrl),
        }
    }
}

/// What may be shown of a text that was meant to be a URL.
fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("(secret)@{}", excerpt(host)),
        None => excerpt(url),
    }
}
