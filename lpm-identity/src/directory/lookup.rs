//! One user, found on one connection.

use ldap3::{Ldap, LdapError, Scope, SearchEntry, SearchOptions, ldap_escape};

use lpm_api::Name;
use lpm_sample::identity::UserName;

use super::config::DirectoryConfig;
use crate::profile::{ATTRIBUTES, BadValue, Entry, Found, Group, Profile, rdn_value, values};

/// Result codes (RFC 4511 section 4.1.9) that say that there is nothing of this name.
const NO_SUCH_OBJECT: u32 = 32;
const INVALID_DN_SYNTAX: u32 = 34;
/// Only part of the entries was sent.
const SIZE_LIMIT_EXCEEDED: u32 = 4;
const SUCCESS: u32 = 0;

/// Why a user cannot be told about.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The server, or the way there, fails.
    #[error("{0}")]
    Server(#[from] LdapError),
    /// An entry has a value that cannot be used.
    #[error("{0}")]
    Entry(#[from] BadValue),
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
    let Ok(canonical) = Name::dn(&user.dn) else {
        tracing::warn!(
            dn = user.dn,
            "the directory has a user whose DN cannot be read"
        );
        return Ok(Found::Nobody);
    };

    let groups = groups(ldap, config, &user).await?;
    let mut identities = vec![Identity {
        dn: user.dn.clone(),
        canonical: canonical.clone(),
        name: match name {
            UserName::Id(id) => id.clone(),
            UserName::Dn(_) => Name::default(),
        },
    }];
    identities.extend(groups.iter().filter_map(|dn| Identity::of_group(dn)));

    let mut entries = vec![Vec::new(); identities.len()];
    for found in policies(ldap, config, &identities).await? {
        let entry = Entry::read(&found.dn, &found.attrs)?;
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

/// A user or a group, as policies name it.
struct Identity {
    dn: String,
    canonical: Name,
    /// The ID, or the common name; empty if there is none.
    name: Name,
}

impl Identity {
    fn of_group(dn: &str) -> Option<Identity> {
        Some(Identity {
            canonical: Name::dn(dn).ok()?,
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
) -> Result<Option<SearchEntry>, LdapError> {
    let attributes = &["memberOf"];
    let mut found = match name {
        UserName::Dn(dn) if is_below(dn, &config.user_base) => {
            let dn = dn.to_string();
            search(ldap, &dn, Scope::Base, "(objectClass=*)", attributes).await?
        }
        UserName::Dn(_) => return Ok(None),
        UserName::Id(id) => {
            let id = id.to_string();
            let filter = config
                .user_filter
                .replace("{id}", &ldap_escape(id.as_str()));
            let base = &config.user_base;
            search(ldap, base, Scope::Subtree, &filter, attributes).await?
        }
    };
    if found.len() > 1 {
        tracing::warn!(
            ?name,
            "the directory has several users of this name: it is nobody's"
        );
        return Ok(None);
    }
    Ok(found.pop())
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
) -> Result<Vec<String>, LdapError> {
    let mut groups = values(&user.attrs, "memberOf").to_vec();
    if let Some(base) = &config.group_base {
        let dn = ldap_escape(user.dn.as_str());
        let filter = config.group_filter.replace("{dn}", &dn);
        let found = search(ldap, base, Scope::Subtree, &filter, &["1.1"]).await?;
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
) -> Result<Vec<SearchEntry>, LdapError> {
    let mut filter = "(&(objectClass=aCSPolicy)(|".to_owned();
    for identity in identities {
        for name in [identity.dn.clone(), identity.name.to_string()] {
            if !name.is_empty() {
                filter.push_str(&format!("(aCSIdentityName={})", ldap_escape(name)));
            }
        }
    }
    filter.push_str("))");
    search(
        ldap,
        &config.policy_base,
        Scope::Subtree,
        &filter,
        &ATTRIBUTES,
    )
    .await
}

async fn search(
    ldap: &mut Ldap,
    base: &str,
    scope: Scope,
    filter: &str,
    attributes: &[&str],
) -> Result<Vec<SearchEntry>, LdapError> {
    ldap.with_search_options(SearchOptions::new().sizelimit(10_000));
    let found = ldap
        .search(base, scope, filter, attributes.to_vec())
        .await?;
    let (entries, result) = (found.0, found.1);
    match result.rc {
        SUCCESS | SIZE_LIMIT_EXCEEDED => Ok(entries
            .into_iter()
            .filter(|entry| !entry.is_ref() && !entry.is_intermediate())
            .map(SearchEntry::construct)
            .collect()),
        NO_SUCH_OBJECT | INVALID_DN_SYNTAX => Ok(Vec::new()),
        _ => Err(LdapError::from(result)),
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
