//! Where a policy is: in the configuration, or in a file that the configuration names.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Policy, PolicyError, parse};

/// The largest policy file that is read, 256 MiB: a million users fit, `/dev/zero` does not.
const LARGEST_FILE: u64 = 256 << 20;

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is a fault in the text of the policy or of the configuration.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The policy file cannot be read.
    #[error("cannot read the policy file {}{}: {error}", .path.display(), named_in(.config_source.as_deref()))]
    Read {
        /// The file, with its directory.
        path: PathBuf,
        /// Where the configuration comes from that names the file, if one does.
        config_source: Option<String>,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

pub(super) fn policy(
    config: &str,
    source: &str,
    directory: Option<&Path>,
) -> Result<Policy, LoadError> {
    let Some(path) = parse::policy_file(source, config)? else {
        return Ok(Policy::parse(source, config)?);
    };
    let path = directory.map_or_else(|| PathBuf::from(&path), |directory| directory.join(&path));
    file(&path).map_err(|error| error.named_in(source))
}

pub(super) fn file(path: &Path) -> Result<Policy, LoadError> {
    let text = read(path).map_err(|error| LoadError::Read {
        path: path.to_owned(),
        config_source: None,
        error,
    })?;
    Ok(Policy::parse(&path.display().to_string(), &text)?)
}

impl LoadError {
    fn named_in(mut self, source: &str) -> LoadError {
        if let LoadError::Read { config_source, .. } = &mut self {
            *config_source = Some(source.to_owned());
        }
        self
    }
}

fn named_in(config_source: Option<&str>) -> String {
    config_source.map_or_else(String::new, |source| {
        format!(", which policy_file in {source} names")
    })
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(LARGEST_FILE + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= LARGEST_FILE) {
        Ok(text)
    } else {
        Err(io::Error::other(format!(
            "it is larger than {} MiB",
            LARGEST_FILE >> 20
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "[default]\npriority = 1\n";

    #[test]
    fn the_configuration_may_be_the_policy() {
        assert!(Policy::load(POLICY, "pcm.toml", None).is_ok());
        let error = Policy::load("[defaults]", "pcm.toml", None).unwrap_err();
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
        let load = |config: &str| Policy::load(config, "pcm.toml", Some(directory.path()));
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
        let error = Policy::load(
            "policy_file = 'a'\n[default]\npriority = 1",
            "pcm.toml",
            None,
        );
        let error = error.unwrap_err().to_string();
        assert_eq!(
            error,
            "pcm.toml:2: default: unknown key; accepted here: policy_file"
        );
    }

    #[test]
    fn no_configuration_is_no_policy() {
        let error = Policy::load("", "pcm.toml", None).unwrap_err().to_string();
        assert!(
            error.starts_with("pcm.toml:1: the policy has no rules"),
            "{error}"
        );
    }
}
