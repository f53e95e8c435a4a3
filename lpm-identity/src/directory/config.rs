//! How the directory is reached, and what is looked up in it.

use std::path::PathBuf;
use std::time::Duration;

use crate::policy::{PolicyError, PolicyProblem, Table, excerpt};
use crate::secret::Place;
use lpm_api::Name;

/// The keys of `[directory]`.
pub(crate) const KEYS: &[&str] = &[
    "servers",
    "start_tls",
    "ca_file",
    "bind_dn",
    "bind_password_env",
    "bind_password_file",
    "user_base",
    "user_filter",
    "group_base",
    "group_filter",
    "policy_base",
    "time_limit",
    "retry_after",
    "cache_for",
    "cache_nobody_for",
    "cache_size",
    "ignore_referrals",
    "when_unreachable",
];

/// A directory to look users up in: the section `[directory]` of the LPM's configuration, whose
/// keys are named like these fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DirectoryConfig {
    /// `ldap://`, `ldaps://` or, on Unix, `ldapi://` URLs, the first to be asked first.
    pub servers: Vec<String>,
    /// Whether `ldap://` connections go on with TLS (StartTLS) or not at all. Default: no.
    pub start_tls: bool,
    /// Certificates in PEM that servers are trusted for; default: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Who the LPM is to the directory, and where its password is (`bind_password_env`,
    /// `bind_password_file`), which is read for every connection. Default: anonymous.
    pub bind: Option<(String, Place)>,
    /// Below this DN are the users.
    pub user_base: String,
    /// Finds a user by ID, which is put in the place of `{id}`. Default: `(uid={id})`.
    pub user_filter: String,
    /// Below this DN are groups, to be searched beside the user's `memberOf`.
    pub group_base: Option<String>,
    /// Finds the groups of a user by its DN, which is put in the place of `{dn}`. Default:
    /// `(member={dn})`.
    pub group_filter: String,
    /// Below this DN are the entries of class `aCSPolicy`.
    pub policy_base: String,
    /// How long a server may take for one user, connecting included. Default: such that all servers
    /// together take 80 % of the PCM's result time limit, or 2 seconds where there is none.
    pub time_limit: Option<Duration>,
    /// How long a server that failed is left alone. Default: 60 s.
    pub retry_after: Duration,
    /// How long a user is remembered. Default: 5 min.
    pub cache_for: Duration,
    /// How long it is remembered that there is no such user. Default: 30 s.
    pub cache_nobody_for: Duration,
    /// How many names are remembered. Default: 100 000.
    pub cache_size: usize,
    /// Whether what a server refers to other servers for is left out. Default: no, users about whom
    /// the server refers elsewhere are refused.
    pub ignore_referrals: bool,
    /// What to do when no server answers. Default: reject.
    pub when_unreachable: WhenUnreachable,
}

/// What to do when no server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnreachable {
    /// `"reject"`: reject requests of users that have to be looked up.
    Reject,
    /// `"use_cache"`: decide with what is remembered, however old; reject where that is nothing.
    UseCache,
}

impl DirectoryConfig {
    /// A directory with these servers, and defaults for everything else.
    pub fn new(
        servers: impl IntoIterator<Item = String>,
        user_base: &str,
        policy_base: &str,
    ) -> Self {
        Self {
            servers: servers.into_iter().collect(),
            start_tls: false,
            ca_file: None,
            bind: None,
            user_base: user_base.to_owned(),
            user_filter: "(uid={id})".to_owned(),
            group_base: None,
            group_filter: "(member={dn})".to_owned(),
            policy_base: policy_base.to_owned(),
            time_limit: None,
            retry_after: Duration::from_secs(60),
            cache_for: Duration::from_secs(300),
            cache_nobody_for: Duration::from_secs(30),
            cache_size: 100_000,
            ignore_referrals: false,
            when_unreachable: WhenUnreachable::Reject,
        }
    }

    /// The same, with a time limit for each server such that all of them together stay below that
    /// of the PCM, unless there is one already.
    #[must_use]
    pub fn within(mut self, result_time_limit: Duration) -> Self {
        let servers = u32::try_from(self.servers.len().max(1)).unwrap_or(u32::MAX);
        let share = result_time_limit.mul_f64(0.8) / servers;
        if !share.is_zero() {
            self.time_limit.get_or_insert(share);
        }
        self
    }

    /// How long a server may take for one user.
    pub(super) fn time_limit(&self) -> Duration {
        self.time_limit.unwrap_or(Duration::from_secs(2))
    }

    /// Says so where a password would go over the network in clear text.
    pub(super) fn warn_of_clear_text(&self) {
        let clear = |url: &&String| !self.start_tls && url.starts_with("ldap:");
        if let (Some((dn, _)), Some(server)) = (&self.bind, self.servers.iter().find(clear)) {
            tracing::warn!(
                server,
                dn,
                "the password for the directory is sent in clear text: use ldaps:// or start_tls"
            );
        }
    }

    /// Reads the section; `path` says where a relative path is.
    pub(crate) fn read(
        table: &Table<'_>,
        path: impl Fn(&str) -> PathBuf,
    ) -> Result<Self, PolicyError> {
        let missing = |key| table.fail(PolicyProblem::Missing(key));
        let mut servers = Vec::new();
        for (server, at) in table.texts("servers")?.unwrap_or_default() {
            if !is_url(server) {
                return Err(at.fail(PolicyProblem::BadServer(excerpt(server))));
            }
            servers.push(server.to_owned());
        }
        if servers.is_empty() {
            return Err(missing("servers"));
        }
        let base = |key| -> Result<Option<String>, PolicyError> {
            let Some((base, at)) = table.text(key)? else {
                return Ok(None);
            };
            Name::dn(base).map_err(|error| at.fail(PolicyProblem::Dn(error)))?;
            Ok(Some(base.to_owned()))
        };
        let user_base = base("user_base")?.ok_or_else(|| missing("user_base"))?;
        let policy_base = base("policy_base")?.ok_or_else(|| missing("policy_base"))?;

        let mut config = Self::new(servers, &user_base, &policy_base);
        config.start_tls = table.flag("start_tls")?.unwrap_or(false);
        config.ignore_referrals = table.flag("ignore_referrals")?.unwrap_or(false);
        config.ca_file = table.text("ca_file")?.map(|(file, _)| path(file));
        config.bind = bind(table, path)?;
        config.group_base = base("group_base")?;
        if let Some(filter) = filter(table, "user_filter", "{id}")? {
            config.user_filter = filter;
        }
        if let Some(filter) = filter(table, "group_filter", "{dn}")? {
            config.group_filter = filter;
        }
        config.time_limit = table.duration("time_limit")?;
        for (key, value) in [
            ("retry_after", &mut config.retry_after),
            ("cache_for", &mut config.cache_for),
            ("cache_nobody_for", &mut config.cache_nobody_for),
        ] {
            *value = table.duration(key)?.unwrap_or(*value);
        }
        if let Some(size) = table.count("cache_size")? {
            config.cache_size = size as usize;
        }
        if let Some((word, at)) = table.text("when_unreachable")? {
            config.when_unreachable = match word {
                "reject" => WhenUnreachable::Reject,
                "use_cache" => WhenUnreachable::UseCache,
                _ => {
                    return Err(at.fail(PolicyProblem::UnknownWord {
                        found: excerpt(word),
                        what: "way to go on",
                        accepted: vec!["reject", "use_cache"],
                    }));
                }
            };
        }
        Ok(config)
    }
}

fn bind(
    table: &Table<'_>,
    path: impl Fn(&str) -> PathBuf,
) -> Result<Option<(String, Place)>, PolicyError> {
    let Some((dn, at)) = table.text("bind_dn")? else {
        return Ok(None);
    };
    if dn.trim().is_empty() {
        return Err(at.fail(PolicyProblem::EmptyName));
    }
    let variable = table.text("bind_password_env")?;
    let file = table.text("bind_password_file")?;
    let password = match (variable, file) {
        (Some((variable, _)), None) => Place::Environment(variable.to_owned()),
        (None, Some((file, _))) => Place::File(path(file)),
        _ => return Err(at.fail(PolicyProblem::OnePassword)),
    };
    Ok(Some((dn.to_owned(), password)))
}

fn filter(
    table: &Table<'_>,
    key: &'static str,
    place: &'static str,
) -> Result<Option<String>, PolicyError> {
    let Some((filter, at)) = table.text(key)? else {
        return Ok(None);
    };
    let is_filter = filter.starts_with('(') && filter.ends_with(')');
    if is_filter && filter.contains(place) {
        Ok(Some(filter.to_owned()))
    } else {
        Err(at.fail(PolicyProblem::BadFilter {
            found: excerpt(filter),
            place,
        }))
    }
}

/// Whether a text is the URL of a server: a scheme and a host.
fn is_url(text: &str) -> bool {
    let host = ["ldap://", "ldaps://", "ldapi://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', ':']))
}
