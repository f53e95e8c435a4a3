//! How the LPM is configured: its policy, or the file that has it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use crate::directory::{self, DirectoryConfig};
use crate::policy::{File, LoadError, POLICY, Policy, Table, policy_in, read_text};
use crate::reread::PolicyFile;
use crate::usage::{self, UsageConfig};

/// The keys that are the LPM's, beside those of the policy.
const LPM: &[&str] = &["policy_file", "reread_every"];
/// The sections that are the LPM's, whether the policy is in a file or not.
const SERVICES: &[&str] = &["directory", "shared_usage"];

/// How often a policy file is looked at, where the configuration does not say.
const REREAD_EVERY: Duration = Duration::from_secs(2);

/// The configuration of the LPM.
#[derive(Debug)]
pub struct Config {
    /// The policy to begin with.
    pub policy: Policy,
    /// The file it was read from, if it is to be read again when it changes.
    pub(crate) file: Option<PolicyFile>,
    /// Where users are looked up that the policy does not list.
    pub directory: Option<DirectoryConfig>,
    /// Where limits are counted that hold for several PCMs together.
    pub shared_usage: Option<UsageConfig>,
}

impl Config {
    /// Reads the configuration `config`: the text of the policy, or the name of a file that has it,
    /// `policy_file = "office.toml"`.
    ///
    /// `source` says in errors where the configuration comes from. A relative path is meant from
    /// `folder`, or else from the working directory.
    ///
    /// # Errors
    /// A file cannot be read, or there is a fault in one of the texts.
    pub fn read(config: &str, source: &str, folder: Option<&Path>) -> Result<Self, LoadError> {
        let file = File::new(source, config);
        let document = DeTable::parse(config).map_err(|error| file.syntax_error(&error))?;
        let (table, at) = (document.get_ref(), document.span().start);
        let in_folder = |path: &str| folder.map_or_else(|| path.into(), |it| it.join(path));
        let names_file = table.contains_key("policy_file");
        let accepted = if names_file { [LPM, &[]] } else { POLICY };
        let top = Table::new(&file, "", table, at, &[accepted[0], accepted[1], SERVICES])?;
        let (policy, policy_file) = if names_file {
            let path = top.text("policy_file")?.map_or("", |(path, _)| path);
            let every = top.duration("reread_every")?.unwrap_or(REREAD_EVERY);
            Self::policy_file(in_folder(path), every).map_err(|it| it.named_in(source))?
        } else {
            (policy_in(&file, table, at, SERVICES)?, None)
        };
        let directory = match top.table("directory", &[directory::KEYS])? {
            Some(table) => Some(DirectoryConfig::read(&table, in_folder)?),
            None => None,
        };
        let shared_usage = match top.table("shared_usage", &[usage::KEYS])? {
            Some(table) => Some(UsageConfig::read(&table, in_folder)?),
            None => None,
        };
        Ok(Self {
            policy,
            file: policy_file,
            directory,
            shared_usage,
        })
    }

    fn policy_file(
        path: PathBuf,
        every: Duration,
    ) -> Result<(Policy, Option<PolicyFile>), LoadError> {
        let file = PolicyFile::new(path);
        let text = read_text(file.path())?;
        let policy = Policy::parse(&file.path().display().to_string(), &text)?;
        let reread = !every.is_zero();
        Ok((policy, reread.then(|| file.was_read(&text, every))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "[default]\npriority = 1\n";

    #[test]
    fn the_configuration_may_be_the_policy() {
        assert!(Config::read(POLICY, "pcm.toml", None).is_ok());
        let error = Config::read("[defaults]", "pcm.toml", None).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("pcm.toml:1: defaults: unknown key"),
            "{error}"
        );
    }

    #[test]
    fn the_configuration_may_name_a_file_from_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("office.toml");
        std::fs::write(&path, POLICY).unwrap();
        let load = |config: &str| Config::read(config, "pcm.toml", Some(directory.path()));
        assert!(load("policy_file = 'office.toml'").is_ok());
        assert!(load(&format!("policy_file = '{}'", path.display())).is_ok());

        std::fs::write(&path, "[default]\n").unwrap();
        let error = load("policy_file = 'office.toml'").unwrap_err().to_string();
        assert!(
            error.contains("office.toml:1: [default]: neither priority nor"),
            "{error}"
        );

        let error = load("policy_file = 'home.toml'").unwrap_err().to_string();
        let path = directory.path().join("home.toml");
        let expected = format!(
            "cannot read the policy file {}, which policy_file in pcm.toml names: ",
            path.display()
        );
        assert!(error.starts_with(&expected), "{error}");

        assert!(load("policy_file = '.'").is_err(), "a directory");
        std::fs::write(&path, b"\xff\xfe").unwrap();
        assert!(load("policy_file = 'home.toml'").is_err(), "not UTF-8");
    }

    #[test]
    fn a_file_and_rules_are_one_too_many() {
        let error = Config::read(
            "policy_file = 'a'\n[default]\npriority = 1",
            "pcm.toml",
            None,
        );
        let error = error.unwrap_err().to_string();
        assert_eq!(
            error,
            "pcm.toml:2: default: unknown key; accepted here: policy_file, reread_every, directory, \
             shared_usage"
        );
    }

    const DIRECTORY: &str = "[directory]\nservers = ['ldaps://one', 'ldap://two:3890']\n\
        user_base = 'ou=people,o=office'\npolicy_base = 'ou=acs,o=office'\n";

    #[test]
    fn a_directory_may_be_beside_a_policy_or_its_file() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("office.toml"), POLICY).unwrap();
        for policy in [POLICY, "policy_file = 'office.toml'\n"] {
            let text = format!("{policy}{DIRECTORY}ca_file = 'ca.pem'\ncache_for = '1 h'");
            let config = Config::read(&text, "pcm.toml", Some(directory.path())).unwrap();
            let config = config.directory.unwrap();
            assert_eq!(config.servers, ["ldaps://one", "ldap://two:3890"]);
            assert_eq!(config.ca_file, Some(directory.path().join("ca.pem")));
            assert_eq!(config.cache_for, Duration::from_secs(3_600));
            assert_eq!(config.user_filter, "(uid={id})");
        }
    }

    #[test]
    fn the_servers_share_the_time_limit_of_the_pcm() {
        let read = |more: &str| {
            let config = Config::read(&format!("{POLICY}{DIRECTORY}{more}"), "", None);
            let directory = config.unwrap().directory.unwrap();
            directory.within(Duration::from_secs(5)).time_limit
        };
        assert_eq!(read(""), Some(Duration::from_secs(2)));
        assert_eq!(read("time_limit = 9"), Some(Duration::from_secs(9)));
    }

    #[test]
    fn faults_of_the_directory_have_their_line() {
        for (more, expected) in [
            (
                "user_filter = '(uid=ada)'",
                "pcm.toml:7: user_filter in [directory]: \"(uid=ada)\" is not a filter for one name: expected a filter in parentheses with {id} in it",
            ),
            (
                "bind_dn = 'cn=lpm'",
                "pcm.toml:7: bind_dn in [directory]: set one of bind_password_env and bind_password_file",
            ),
            (
                "group_base = 'groups'",
                "pcm.toml:7: group_base in [directory]: not a distinguished name: after 6 bytes, expected an attribute type and '=', such as \"CN=\"",
            ),
            (
                "when_unreachable = 'admit'",
                "pcm.toml:7: when_unreachable in [directory]: \"admit\" is not a way to go on; accepted: reject, use_cache",
            ),
            (
                "start_tls = 1",
                "pcm.toml:7: start_tls in [directory]: expected true or false, found integer",
            ),
            (
                "cache_size = -1",
                "pcm.toml:7: cache_size in [directory]: -1 is out of range: expected a whole number from 0 to 4294967295",
            ),
            (
                "retry_after = 'unlimited'",
                "pcm.toml:7: retry_after in [directory]: expected a number of seconds, or a duration with a unit such as \"5 min\", found string",
            ),
        ] {
            let text = format!("{POLICY}{DIRECTORY}{more}\n");
            let error = Config::read(&text, "pcm.toml", None)
                .unwrap_err()
                .to_string();
            assert_eq!(error, expected, "{more}");
        }
        for (server, is_one) in [
            ("ldap://a", true),
            ("ldapi://%2frun%2fldapi", true),
            ("http://a", false),
            ("ldap://", false),
            ("ldap:///o=office", false),
            ("a", false),
        ] {
            let text = DIRECTORY.replace("ldaps://one", server);
            let read = Config::read(&format!("{POLICY}{text}"), "", None);
            assert_eq!(read.is_ok(), is_one, "{server}");
        }
        let error = Config::read(&format!("{POLICY}[directory]\n"), "", None).unwrap_err();
        assert!(
            error.to_string().contains("the key servers is missing"),
            "{error}"
        );
    }

    #[test]
    fn faults_of_the_shared_usage_have_their_line() {
        for (text, expected) in [
            (
                "prefix = 'a'",
                "pcm.toml:3: [shared_usage]: set one of server, server_env and server_file",
            ),
            (
                "server = 'localhost'",
                "pcm.toml:3: [shared_usage]: \"localhost\" is not a server: expected a URL such as \"redis://localhost:6379\"",
            ),
            (
                "server_env = 'A'\nserver_file = 'b'",
                "pcm.toml:3: [shared_usage]: set one of server, server_env and server_file",
            ),
            (
                "server_env = 'A'\nlease = 0",
                "pcm.toml:3: [shared_usage]: lease is 0: expected a longer time",
            ),
        ] {
            let text = format!("{POLICY}[shared_usage]\n{text}\n");
            let error = Config::read(&text, "pcm.toml", None)
                .unwrap_err()
                .to_string();
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn no_configuration_is_no_policy() {
        let error = Config::read("", "pcm.toml", None).unwrap_err().to_string();
        assert!(
            error.starts_with("pcm.toml:1: the policy has no rules"),
            "{error}"
        );
    }
}
