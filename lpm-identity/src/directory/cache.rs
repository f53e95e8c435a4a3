//! What is remembered of users.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lpm_sample::identity::UserName;

use super::config::{DirectoryConfig, WhenUnreachable};
use crate::profile::{Found, Profile};

/// Users, and names that are nobody's, by the name they were looked up with. Each has its own room:
/// whoever makes up names takes nobody else's place.
#[derive(Debug)]
pub(super) struct Cache {
    users: Recent<Arc<Profile>>,
    nobody: Recent<()>,
    use_stale: bool,
}

/// What was found out lately.
#[derive(Debug)]
struct Recent<T> {
    names: Mutex<HashMap<UserName, (T, Instant)>>,
    most: usize,
    lasts: Duration,
}

impl Cache {
    pub(super) fn new(config: &DirectoryConfig) -> Self {
        Self {
            users: Recent::new(config.cache_size, config.cache_for),
            nobody: Recent::new(config.cache_size, config.cache_nobody_for),
            use_stale: config.when_unreachable == WhenUnreachable::UseCache,
        }
    }

    pub(super) fn fresh(&self, name: &UserName) -> Option<Found> {
        let user = self.users.fresh(name).map(Found::User);
        user.or_else(|| self.nobody.fresh(name).map(|()| Found::Nobody))
    }

    /// What is remembered, however old, if that may be used.
    pub(super) fn stale(&self, name: &UserName) -> Option<Found> {
        if !self.use_stale {
            return None;
        }
        let user = self
            .users
            .get(name)
            .map(|(profile, _)| Found::User(profile));
        user.or_else(|| self.nobody.get(name).map(|_| Found::Nobody))
    }

    /// Whether there was a user of this name, however long ago.
    pub(super) fn knows(&self, name: &UserName) -> bool {
        self.users.get(name).is_some()
    }

    pub(super) fn remember(&self, name: &UserName, found: &Found) {
        match found {
            Found::User(profile) => {
                self.nobody.forget(name);
                self.users.remember(name, Arc::clone(profile));
            }
            Found::Nobody => {
                self.users.forget(name);
                self.nobody.remember(name, ());
            }
            Found::Unusable | Found::Unreachable => {}
        }
    }
}

impl<T: Clone> Recent<T> {
    fn new(most: usize, lasts: Duration) -> Self {
        Self {
            names: Mutex::default(),
            most: most.max(1),
            lasts,
        }
    }

    fn get(&self, name: &UserName) -> Option<(T, Instant)> {
        self.names().get(name).cloned()
    }

    fn fresh(&self, name: &UserName) -> Option<T> {
        let (found, since) = self.get(name)?;
        (since.elapsed() < self.lasts).then_some(found)
    }

    fn remember(&self, name: &UserName, found: T) {
        let mut names = self.names();
        if names.len() >= self.most && !names.contains_key(name) {
            self.make_room(&mut names);
        }
        names.insert(name.clone(), (found, Instant::now()));
    }

    fn forget(&self, name: &UserName) {
        self.names().remove(name);
    }

    /// Forgets what is too old, or else the older half: that is rare, and cheap for each.
    fn make_room(&self, names: &mut HashMap<UserName, (T, Instant)>) {
        names.retain(|_, (_, since)| since.elapsed() < self.lasts);
        if names.len() >= self.most {
            let mut times: Vec<_> = names.values().map(|(_, since)| *since).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            names.retain(|_, (_, since)| *since > median);
        }
    }

    fn names(&self) -> MutexGuard<'_, HashMap<UserName, (T, Instant)>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lpm_api::Name;

    fn cache(most: usize, users_for: Duration, when: WhenUnreachable) -> Cache {
        Cache::new(&DirectoryConfig {
            cache_size: most,
            cache_for: users_for,
            cache_nobody_for: Duration::ZERO,
            when_unreachable: when,
            ..DirectoryConfig::new(["ldap://localhost".to_owned()], "o=office", "o=office")
        })
    }

    fn name(number: usize) -> UserName {
        UserName::Id(Name::id(&number.to_string()))
    }

    fn user() -> Found {
        Found::User(Arc::new(Profile::default()))
    }

    #[test]
    fn what_is_too_old_is_used_only_where_that_is_allowed() {
        for (when, stale) in [
            (WhenUnreachable::Reject, None),
            (WhenUnreachable::UseCache, Some(user())),
        ] {
            let cache = cache(9, Duration::ZERO, when);
            cache.remember(&name(1), &user());
            assert_eq!(cache.fresh(&name(1)), None);
            assert_eq!(cache.stale(&name(1)), stale);
        }
    }

    #[test]
    fn that_nobody_was_found_is_remembered_apart() {
        let cache = cache(9, Duration::MAX, WhenUnreachable::Reject);
        cache.remember(&name(1), &user());
        cache.remember(&name(2), &Found::Nobody);
        cache.remember(&name(3), &Found::Unreachable);
        assert_eq!(cache.fresh(&name(1)), Some(user()));
        assert_eq!(cache.fresh(&name(2)), None);
        assert_eq!(cache.fresh(&name(3)), None);
    }

    #[test]
    fn names_that_are_nobodys_take_no_room_of_users() {
        let config = DirectoryConfig {
            cache_size: 8,
            ..DirectoryConfig::new(["ldap://localhost".to_owned()], "o=office", "o=office")
        };
        let cache = Cache::new(&config);
        cache.remember(&name(1), &user());
        for made_up in 2..1_000 {
            cache.remember(&name(made_up), &Found::Nobody);
        }
        assert_eq!(cache.fresh(&name(1)), Some(user()));
        assert!(cache.knows(&name(1)) && !cache.knows(&name(999)));
        assert!(cache.nobody.names().len() <= 8);
    }

    #[test]
    fn a_full_cache_keeps_the_younger_ones() {
        let cache = cache(8, Duration::MAX, WhenUnreachable::Reject);
        for number in 0..1_000 {
            cache.remember(&name(number), &user());
            assert!(cache.users.names().len() <= 8);
            assert_eq!(cache.fresh(&name(number)), Some(user()));
        }
    }
}
