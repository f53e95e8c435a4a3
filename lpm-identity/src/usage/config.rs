//! Where usage is shared.

use std::path::PathBuf;
use std::time::Duration;

use redis::{Client, RedisResult};

use crate::policy::{PolicyError, PolicyProblem, Table};

/// The keys of `[shared_usage]`.
pub(crate) const KEYS: &[&str] = &[
    "server",
    "server_env",
    "server_file",
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
    /// What the names of all keys begin with; PCMs that count together have the same. Default:
    /// `lpm`.
    pub prefix: String,
    /// How long what a PCM counted stays after it died, and how long the server may be away without
    /// anything being lost. Default: 10 s.
    pub lease: Duration,
    /// How long the server may take for an answer. Default: 1 s.
    pub time_limit: Duration,
    /// What to do with new flows under a shared limit when the server cannot be reached. Default:
    /// reject.
    pub when_unreachable: WhenUnreachable,
}

/// Where the URL of the server is: `redis://[user:password@]host[:port][/database]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerUrl {
    /// `server`: here.
    Here(String),
    /// `server_env`: in this variable of the environment.
    Environment(String),
    /// `server_file`: on the first line of this file.
    File(PathBuf),
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
    pub fn new(server: ServerUrl) -> UsageConfig {
        UsageConfig {
            server,
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
    ) -> Result<UsageConfig, PolicyError> {
        let here = table
            .text("server")?
            .map(|(url, _)| ServerUrl::Here(url.to_owned()));
        let variable = table.text("server_env")?;
        let variable = variable.map(|(name, _)| ServerUrl::Environment(name.to_owned()));
        let file = table
            .text("server_file")?
            .map(|(file, _)| ServerUrl::File(path(file)));
        let mut servers = [here, variable, file].into_iter().flatten();
        let (Some(server), None) = (servers.next(), servers.next()) else {
            return Err(table.fail(PolicyProblem::OneServer));
        };
        let mut config = UsageConfig::new(server);
        if let ServerUrl::Here(url) = &config.server {
            client(url).map_err(|_| table.fail(PolicyProblem::BadRedis(url.clone())))?;
        }
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
                        found: word.to_owned(),
                        what: "way to go on",
                        accepted: vec!["reject", "count_alone"],
                    }));
                }
            };
        }
        Ok(config)
    }
}

pub(super) fn client(url: &str) -> RedisResult<Client> {
    Client::open(url)
}

impl ServerUrl {
    /// The URL, or why there is none.
    pub(super) fn read(&self) -> Result<String, String> {
        match self {
            ServerUrl::Here(url) => Ok(url.clone()),
            ServerUrl::Environment(variable) => std::env::var(variable)
                .map_err(|error| format!("the environment variable {variable}: {error}")),
            ServerUrl::File(path) => std::fs::read_to_string(path)
                .map(|text| text.lines().next().unwrap_or_default().trim().to_owned())
                .map_err(|error| format!("{}: {error}", path.display())),
        }
    }
}
