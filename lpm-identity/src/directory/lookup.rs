//! One user, found on one connection.
//!
//! What is found must be whole: a search that the server did not finish, an entry or an attribute
//! that cannot be read, or several entries for one name refuse the user. Less than all might be
//! just what says yes.

use ldap3::{Ldap, LdapError, ResultEntry, Scope, SearchEntry, SearchOptions, ldap_escape};
use lpm_api::Name;
use lpm_sample::identity::UserName;

use super::config::DirectoryConfig;
use crate::profile::{ATTRIBUTES, BadValue, Entry, Found, Group, Profile, rdn_value, values};

/// Result codes (RFC 4511 section 4.1.9).
mod code {
    pub(super) const SUCCESS: u32 = 0;
    /// There is nothing of this name.
    pub(super) const NO_SUCH_OBJECT: u32 = 32;
    pub(super) const INVALID_DN_SYNTAX: u32 = 34;
    /// Another server may do better.
    pub(super) const BUSY: u32 = 51;
    pub(super) const UNAVAILABLE: u32 = 52;
}

/// How many entries a search may find.
const MOST_ENTRIES: usize = 10_000;
const SIZE_LIMIT: i32 = 10_000;

/// Why a user cannot be told about.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The server, or the way there, fails.
    #[error("{0}")]
    Server(#[from] LdapError),
    /// What the directory says cannot be used.
    #[error("{0}")]
    Unusable(#[from] Unusable),
}

/// Why what the directory says of a user cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("{0}")]
    Value(#[from] BadValue),
    #[error("the search below {base:?} ended with result {code}: {text}")]
    Incomplete {
        base: String,
        code: u32,
        text: String,
    },
    #[error(
        "the search below {0:?} is referred to other servers for a part; set ignore_referrals = true if you need nothing from there"
    )]
    Referred(String),
    #[error("the search below {0:?} finds more than {MOST_ENTRIES} entries")]
    TooMany(String),
    #[error("{0} entries are of this name")]
    Several(usize),
    #[error("{0:?} is not the DN of a user or a group")]
    Dn(String),
    #[error("{attribute} of {dn} cannot be read as text")]
    NoText { dn: String, attribute: &'static str },
}

/// The user of this name, with groups and limits.
pub(super) async fn find(
    ldap: &mut Ldap,
    config: &DirectoryConfig,
    name: &UserName,
) -> Result<Found, Fault> {
    let Some(user) = user(ldap, config, name).await? else {
        return Ok(Found::Nobody);
    };
    let canonical = canonical(&user.dn)?;
    let groups = groups(ldap, config, &user).await?;
    let mut identities = vec![Identity {
        dn: user.dn.clone(),
        canonical: canonical.clone(),
        name: match name {
            UserName::Id(id) => id.clone(),
            UserName::Dn(_) => Name::default(),
        },
    }];
    for dn in &groups {
        identities.push(Identity::of_group(dn)?);
    }

    let mut entries = vec![Vec::new(); identities.len()];
    for found in policies(ldap, config, &identities).await? {
        let entry = Entry::read(&found.dn, &found.attrs).map_err(Unusable::from)?;
        for name in values(&found.attrs, "aCSIdentityName") {
            if let Some(whose) = identities.iter().position(|it| it.is_named(name)) {
                entries[whose].push(entry.clone());
            }
        }
    }
    let mut entries = entries.into_iter();
    let own = entries.next().unwrap_or_default();
    let names = identities.iter().skip(1).map(|it| it.name.to_string());
    Ok(Found::User(
        Profile {
            name: canonical.as_bytes().into(),
            own,
            groups: names
                .zip(entries)
                .map(|(name, entries)| Group { name, entries })
                .collect(),
        }
        .into(),
    ))
}

/// The canonical form of the DN of an entry.
fn canonical(dn: &str) -> Result<Name, Unusable> {
    let name = Name::dn(dn).ok().filter(|name| !name.is_empty());
    name.ok_or_else(|| Unusable::Dn(dn.to_owned()))
}

/// A user or a group, as policies name it.
struct Identity {
    dn: String,
    canonical: Name,
    /// The ID, or the common name; empty if there is none.
    name: Name,
}

impl Identity {
    fn of_group(dn: &str) -> Result<Self, Unusable> {
        Ok(Self {
            canonical: canonical(dn)?,
            name: rdn_value(dn, 0),
            dn: dn.to_owned(),
        })
    }

    fn is_named(&self, name: &str) -> bool {
        Name::dn(name).is_ok_and(|dn| dn == self.canonical)
            || (!self.name.is_empty() && Name::id(name) == self.name)
    }
}

async fn user(
    ldap: &mut Ldap,
    config: &DirectoryConfig,
    name: &UserName,
) -> Result<Option<SearchEntry>, Fault> {
    let attributes = &["memberOf"];
    let found = match name {
        UserName::Dn(dn) if is_below(dn, &config.user_base) => {
            let search = Search {
                base: &dn.to_string(),
                scope: Scope::Base,
                filter: "(objectClass=*)",
                attributes,
                may_be_absent: true,
            };
            search.run(ldap, config).await?
        }
        UserName::Dn(_) => return Ok(None),
        UserName::Id(id) => {
            let id = ldap_escape(id.to_string()).into_owned();
            let search = Search {
                base: &config.user_base,
                scope: Scope::Subtree,
                filter: &config.user_filter.replace("{id}", &id),
                attributes,
                may_be_absent: false,
            };
            search.run(ldap, config).await?
        }
    };
    match found.len() {
        0 | 1 => Ok(found.into_iter().next()),
        several => Err(Unusable::Several(several).into()),
    }
}

/// Whether a DN ends with another one.
fn is_below(dn: &Name, base: &str) -> bool {
    let Ok(base) = Name::dn(base) else {
        return false;
    };
    let (dn, base) = (dn.as_bytes(), base.as_bytes());
    dn.strip_suffix(base)
        .is_some_and(|rest| base.is_empty() || rest.is_empty() || rest.ends_with(b","))
}

/// The DNs of a user's groups.
async fn groups(
    ldap: &mut Ldap,
    config: &DirectoryConfig,
    user: &SearchEntry,
) -> Result<Vec<String>, Fault> {
    let mut groups = values(&user.attrs, "memberOf").to_vec();
    if let Some(base) = &config.group_base {
        let dn = ldap_escape(user.dn.as_str());
        let filter = config.group_filter.replace("{dn}", &dn);
        let search = Search {
            base,
            scope: Scope::Subtree,
            filter: &filter,
            attributes: &["1.1"],
            may_be_absent: false,
        };
        let found = search.run(ldap, config).await?;
        for group in found {
            if !groups.contains(&group.dn) {
                groups.push(group.dn);
            }
        }
    }
    Ok(groups)
}

/// The policies of a user and its groups.
async fn policies(
    ldap: &mut Ldap,
    config: &DirectoryConfig,
    identities: &[Identity],
) -> Result<Vec<SearchEntry>, Fault> {
    let mut filter = "(&(objectClass=aCSPolicy)(|".to_owned();
    for identity in identities {
        for name in [identity.dn.clone(), identity.name.to_string()] {
            if !name.is_empty() {
                filter.push_str(&format!("(aCSIdentityName={})", ldap_escape(name)));
            }
        }
    }
    filter.push_str("))");
    let search = Search {
        base: &config.policy_base,
        scope: Scope::Subtree,
        filter: &filter,
        attributes: &ATTRIBUTES,
        may_be_absent: false,
    };
    search.run(ldap, config).await
}

/// What is searched for, and where.
struct Search<'a> {
    base: &'a str,
    scope: Scope,
    filter: &'a str,
    attributes: &'a [&'static str],
    /// Whether the base is the name of somebody who need not exist.
    may_be_absent: bool,
}

impl Search<'_> {
    /// All that there is to be found.
    async fn run(
        &self,
        ldap: &mut Ldap,
        config: &DirectoryConfig,
    ) -> Result<Vec<SearchEntry>, Fault> {
        ldap.with_search_options(SearchOptions::new().sizelimit(SIZE_LIMIT));
        let attributes = self.attributes.to_vec();
        let mut stream = ldap
            .streaming_search(self.base, self.scope, self.filter, attributes)
            .await?;
        let mut found = Vec::new();
        let mut is_referred = false;
        while let Some(entry) = stream.next().await? {
            if entry.is_ref() {
                is_referred = true;
            } else if !entry.is_intermediate() {
                found.push(self.entry(entry)?);
            }
            if found.len() > MOST_ENTRIES {
                return Err(Unusable::TooMany(self.base.to_owned()).into());
            }
        }
        let result = stream.finish().await;
        match result.rc {
            code::SUCCESS if is_referred && !config.ignore_referrals => {
                Err(Unusable::Referred(self.base.to_owned()).into())
            }
            code::SUCCESS => Ok(found),
            code::NO_SUCH_OBJECT | code::INVALID_DN_SYNTAX if self.may_be_absent => Ok(Vec::new()),
            code::BUSY | code::UNAVAILABLE => Err(LdapError::from(result).into()),
            code => Err(Unusable::Incomplete {
                base: self.base.to_owned(),
                code,
                text: result.text.chars().take(200).collect(),
            }
            .into()),
        }
    }

    fn entry(&self, entry: ResultEntry) -> Result<SearchEntry, Unusable> {
        let entry = SearchEntry::construct(entry);
        for attribute in self.attributes {
            if entry
                .bin_attrs
                .keys()
                .any(|name| name.eq_ignore_ascii_case(attribute))
            {
                return Err(Unusable::NoText {
                    dn: entry.dn,
                    attribute,
                });
            }
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dn_is_below_its_own_tree_only() {
        let dn = Name::dn("CN=Ada, OU=People, O=Office").unwrap();
        for base in [
            "ou=people,o=office",
            "O = Office",
            "cn=ada,ou=people,o=office",
            "",
        ] {
            assert!(is_below(&dn, base), "{base}");
        }
        for base in ["ou=le,o=office", "people,o=office", "o=home", "ou=people"] {
            assert!(!is_below(&dn, base), "{base}");
        }
    }
}
