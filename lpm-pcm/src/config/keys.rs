//! The `[[keys]]` tables: with what INTEGRITY objects are checked. One table alone may be `[keys]`.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lpm_rsvp::integrity::Algorithm;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::error::{Fault, check_path};
use super::sbm;
use crate::integrity::KeyEntry;

/// How long a secret may be, in bytes.
const MAX_SECRET: u64 = 4096;

/// `[keys]` or `[[keys]]` as written.
#[derive(Default)]
pub(super) struct KeysTables(Vec<KeyTable>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    sender: Option<Spanned<String>>,
    interface: Option<Spanned<String>>,
    id: Option<Spanned<u64>>,
    algorithm: AlgorithmName,
    file: Spanned<PathBuf>,
    window: Option<Spanned<u32>>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    handshake: bool,
}

#[derive(Clone, Copy, Deserialize)]
enum AlgorithmName {
    #[serde(rename = "hmac-md5")]
    Md5,
    #[serde(rename = "hmac-sha1")]
    Sha1,
    #[serde(rename = "hmac-sha224")]
    Sha224,
    #[serde(rename = "hmac-sha256")]
    Sha256,
    #[serde(rename = "hmac-sha384")]
    Sha384,
    #[serde(rename = "hmac-sha512")]
    Sha512,
}

impl KeysTables {
    /// The keys, their secrets read; relative paths are meant from `folder`.
    pub(super) fn entries(self, folder: &Path) -> Result<Vec<KeyEntry>, Fault> {
        let tables = self.0.into_iter();
        tables.map(|table| table.entry(folder)).collect()
    }
}

impl KeyTable {
    fn entry(self, folder: &Path) -> Result<KeyEntry, Fault> {
        let sender = self.sender.map(|text| {
            let address: Result<IpAddr, _> = text.get_ref().parse();
            address.map_err(|_| {
                let found = text.get_ref();
                Fault::of(
                    &text,
                    format!("`sender` is {found:?}, expected the address of a node"),
                )
            })
        });
        if let Some(id) = self.id.as_ref().filter(|id| *id.get_ref() >> 48 != 0) {
            return Err(Fault::of(id, "`id` has more than 48 bits"));
        }
        let too_wide = |window: &&Spanned<u32>| !(1..=64).contains(window.get_ref());
        if let Some(window) = self.window.as_ref().filter(too_wide) {
            let message = format!("`window` is {}, expected 1 to 64", window.get_ref());
            return Err(Fault::of(window, message));
        }
        check_path(&self.file, "file")?;
        let path = folder.join(self.file.get_ref());
        let secret = read_secret(&path).map_err(|error| {
            let message = format!("`file`: {}: {error}", path.display());
            Fault::of(&self.file, message)
        })?;
        Ok(KeyEntry {
            sender: sender.transpose()?,
            interface: self.interface.as_ref().map(sbm::name).transpose()?,
            id: self.id.map(Spanned::into_inner),
            algorithm: match self.algorithm {
                AlgorithmName::Md5 => Algorithm::HmacMd5,
                AlgorithmName::Sha1 => Algorithm::HmacSha1,
                AlgorithmName::Sha224 => Algorithm::HmacSha224,
                AlgorithmName::Sha256 => Algorithm::HmacSha256,
                AlgorithmName::Sha384 => Algorithm::HmacSha384,
                AlgorithmName::Sha512 => Algorithm::HmacSha512,
            },
            secret,
            window: self.window.map_or(1, Spanned::into_inner),
            required: self.required,
            handshake: self.handshake,
        })
    }
}

/// What a key file says, without the line break at its end.
fn read_secret(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened, which waits for a writer where it is a pipe.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("is not a file"));
    }
    let file = File::open(path)?;
    let mut secret = Vec::new();
    file.take(MAX_SECRET + 1).read_to_end(&mut secret)?;
    let text = secret.strip_suffix(b"\n").unwrap_or(&secret);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    match text.len() as u64 {
        0 => Err(io::Error::other("is empty, expected the secret")),
        length if length > MAX_SECRET => Err(io::Error::other(format!(
            "is longer than a secret may be ({MAX_SECRET} bytes)"
        ))),
        _ => Ok(text.to_vec()),
    }
}

impl<'de> Deserialize<'de> for KeysTables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = KeysTables;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table or tables")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeysTables, A::Error> {
                let table = KeyTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(KeysTables(vec![table]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, tables: A) -> Result<KeysTables, A::Error> {
                let tables = Vec::deserialize(SeqAccessDeserializer::new(tables))?;
                Ok(KeysTables(tables))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lpm_sbm::InterfaceName;

    use super::super::Config;

    /// What the keys of a configuration are, read in a folder with some key files.
    fn parse(tables: &str) -> Result<Vec<super::KeyEntry>, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("r1.key"), "secret\n").unwrap();
        fs::write(folder.path().join("empty.key"), "\r\n").unwrap();
        fs::write(folder.path().join("long.key"), vec![b'x'; 5000]).unwrap();
        let text = format!("[[lpm]]\nname = 'a'\nlibrary = 'x'\n{tables}\n");
        let config = Config::parse(&folder.path().join("pcm.toml"), &text);
        config
            .map(|config| config.keys)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn one_table_or_several() {
        let key = "file = 'r1.key'\nalgorithm = 'hmac-md5'\n";
        let keys = parse(&format!("[keys]\n{key}")).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].secret, b"secret");
        assert_eq!(
            (keys[0].sender, keys[0].id, keys[0].window),
            (None, None, 1)
        );
        assert!(!keys[0].required);
        let keys = parse(&format!(
            "[[keys]]\n{key}sender = '10.0.0.1'\nid = 0x10\nwindow = 8\nrequired = true\n\
             [[keys]]\nfile = 'r1.key'\nalgorithm = 'hmac-sha256'\ninterface = '2'\n"
        ))
        .unwrap();
        assert_eq!(keys[0].sender, Some([10, 0, 0, 1].into()));
        assert_eq!((keys[0].id, keys[0].window), (Some(16), 8));
        assert!(keys[0].required);
        assert_eq!(keys[1].interface, Some(InterfaceName::Index(2)));
        assert!(!format!("{keys:?}").contains("115"), "no secret is shown");
    }

    #[test]
    fn faults_name_line_and_key() {
        let key = "[[keys]]\nalgorithm = 'hmac-sha1'\nfile = 'r1.key'\n";
        for (table, line, fault) in [
            ("[[keys]]\nfile = 'r1.key'\n".to_owned(), 4, "`algorithm`"),
            ("[keys]\nfile = 'r1.key'\n".to_owned(), 4, "`algorithm`"),
            (format!("{key}algorithm_ = 1"), 7, "`algorithm_`"),
            (format!("{key}sender = 'r1'"), 7, "`sender` is \"r1\""),
            (format!("{key}interface = 'eth0'"), 7, "\"eth0\""),
            (format!("{key}id = 0x1000000000000"), 7, "48 bits"),
            (format!("{key}window = 65"), 7, "1 to 64"),
            (key.replace("r1", "absent"), 6, "absent.key: "),
            (key.replace("r1", "empty"), 6, "empty.key: is empty"),
            (key.replace("r1", "long"), 6, "longer than a secret"),
            (key.replace("r1.key", "."), 6, "is not a file"),
            (key.replace("sha1", "sha3"), 5, "`hmac-sha3`"),
        ] {
            let error = parse(&table).unwrap_err();
            assert!(
                error.contains(&format!("line {line}")) && error.contains(fault),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
