//! The table `[trust]`, and `sha256` of an LPM: what has to hold of a library before any of it is
//! loaded.

use lpm_host::trust::Requirements;
use serde::Deserialize;
use toml::Spanned;

use super::error::Fault;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrustTable {
    require: Option<Vec<Spanned<Requirement>>>,
    keys: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Requirement {
    Owner,
    Sha256,
    Signature,
}

/// What holds for the libraries of a configuration.
pub(super) struct Trust {
    every: Requirements,
    /// Each library needs a `sha256`.
    sums: bool,
}

impl TrustTable {
    pub(super) fn read(self) -> Result<Trust, Fault> {
        let find = |wanted: Requirement| match &self.require {
            Some(names) => names
                .iter()
                .find(|name| *name.get_ref() == wanted)
                .map(Spanned::span),
            None => None,
        };
        let mut every = Requirements::default();
        // Whoever may write a library runs code here, so that this is asked for where nothing is
        // said.
        if self.require.is_none() || find(Requirement::Owner).is_some() {
            every = every.kept_safe();
        }
        match (find(Requirement::Signature), self.keys) {
            (None, None) => {}
            (None, Some(keys)) => {
                let message = "`keys` goes with `require = [\"signature\"]`";
                return Err(Fault::of(&keys, message));
            }
            (Some(required), keys) => {
                let keys = keys.map(Spanned::into_inner).unwrap_or_default();
                if keys.is_empty() {
                    let message =
                        "`require` asks for signatures, but there are no `keys` to check them with";
                    return Err(Fault::new(required.start, message));
                }
                for key in keys {
                    every = every
                        .signed_by(&[key.get_ref()])
                        .map_err(|error| Fault::of(&key, format!("`keys`: {error}")))?;
                }
            }
        }
        Ok(Trust {
            every,
            sums: find(Requirement::Sha256).is_some(),
        })
    }
}

impl Trust {
    /// What holds for a library with this `sha256`; `name` is that of the LPM.
    pub(super) fn of(
        &self,
        name: &Spanned<String>,
        sum: Option<&Spanned<String>>,
    ) -> Result<Requirements, Fault> {
        let every = self.every.clone();
        let Some(sum) = sum else {
            let message = "the LPM has no `sha256`, but `require` in [trust] asks for one";
            return match self.sums {
                true => Err(Fault::of(name, message)),
                false => Ok(every),
            };
        };
        let digest = digest(sum.get_ref()).ok_or_else(|| {
            let message = "`sha256` is not the sum of a file: expected 64 hexadecimal digits, as `sha256sum` prints";
            Fault::of(sum, message)
        })?;
        Ok(every.sha256(digest))
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let digits: [u8; 64] = digits?.try_into().ok()?;
    Some(std::array::from_fn(|byte| {
        digits[2 * byte] << 4 | digits[2 * byte + 1]
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lpm_host::trust::Requirements;

    use super::super::Config;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    fn parse(lpm: &str, trust: &str) -> Result<Requirements, String> {
        let text = format!("[[lpm]]\nname = 'a'\nlibrary = 'x'\n{lpm}\n[trust]\n{trust}\n");
        let config = Config::parse(Path::new("/etc/lpm/pcm.toml"), &text);
        let mut lpms = config.map_err(|error| error.to_string())?.lpms;
        Ok(lpms.remove(0).requirements)
    }

    #[test]
    fn what_is_required() {
        let safe = || Requirements::default().kept_safe();
        assert_eq!(parse("", "").unwrap(), safe());
        assert_eq!(parse("", "require = []").unwrap(), Requirements::default());
        let signature = format!("require = ['signature']\nkeys = ['{KEY}']");
        assert_eq!(
            parse("", &signature).unwrap(),
            Requirements::default().signed_by(&[KEY]).unwrap()
        );
        let sum = format!("sha256 = '{}0f'", "00".repeat(31));
        let mut digest = [0; 32];
        digest[31] = 15;
        assert_eq!(parse(&sum, "").unwrap(), safe().sha256(digest));
        assert_eq!(
            parse(&sum, "require = ['sha256']").unwrap(),
            Requirements::default().sha256(digest)
        );
    }

    #[test]
    fn faults_name_the_line() {
        for (lpm, trust, line, fault) in [
            ("sha256 = 'abc'", "", 4, "64 hexadecimal digits"),
            ("", "require = ['sha256']", 2, "no `sha256`"),
            ("", "require = ['signature']", 6, "no `keys`"),
            ("", "require = ['signature']\nkeys = []", 6, "no `keys`"),
            (
                "",
                "require = ['signature']\nkeys = ['RW']",
                7,
                "not a public key of minisign",
            ),
            ("", "keys = ['RW']", 6, "goes with"),
            ("", "require = ['luck']", 6, "`luck`"),
        ] {
            let error = parse(lpm, trust).unwrap_err();
            assert!(
                error.contains(&format!("line {line},")) && error.contains(fault),
                "{error}"
            );
        }
    }
}
