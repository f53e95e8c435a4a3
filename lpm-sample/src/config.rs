//! How the LPM is configured: its policy, or the file that has it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use crate::policy::{File, LoadError, Policy, Table, policy_in, read_text};
use crate::reread::PolicyFile;

/// The keys that are the LPM's, beside those of the policy.
const LPM: &[&str] = &["policy_file", "reread_every"];

/// How often a policy file is looked at, where the configuration does not say.
const REREAD_EVERY: Duration = Duration::from_secs(2);

/// The configuration of the LPM.
#[derive(Debug)]
pub struct Config {
    /// The policy to begin with.
    pub policy: Policy,
    /// The file it was read from, if it is to be read again when it changes.
    pub(crate) file: Option<PolicyFile>,
}

impl Config {
    /// Reads the configuration `config`: the text of the policy, or the name of a file that has it,
    /// `policy_file = "office.toml"`.
    ///
    /// `source` says in errors where the configuration comes from. A relative path is meant from
    /// `directory`, or else from the working directory.
    ///
    /// # Errors
    /// A file cannot be read, or there is a fault in one of the texts.
    pub fn read(config: &str, source: &str, directory: Option<&Path>) -> Result<Config, LoadError> {
        let file = File::new(source, config);
        let document = DeTable::parse(config).map_err(|error| file.syntax_error(&error))?;
        let (table, at) = (document.get_ref(), document.span().start);
        if !table.contains_key("policy_file") {
            return Ok(Config {
                policy: policy_in(&file, table, at, &[])?,
                file: None,
            });
        }
        let top = Table::new(&file, "", table, at, &[LPM])?;
        let path = top.text("policy_file")?.map_or("", |(path, _)| path);
        let path = directory.map_or_else(|| PathBuf::from(path), |directory| directory.join(path));
        let every = top.duration("reread_every")?.unwrap_or(REREAD_EVERY);
        let (policy, file) = Self::policy_file(path, every).map_err(|it| it.named_in(source))?;
        Ok(Config { policy, file })
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
            "pcm.toml:2: default: unknown key; accepted here: policy_file, reread_every"
        );
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
