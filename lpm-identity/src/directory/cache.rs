//! What is remembered of users.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lpm_sample::identity::UserName;

use super::config::{DirectoryConfig, WhenUnreachable};
use crate::profile::{Found, Profile};

/// Users, and names that are nobody's, by the name they were looked up with.
#[derive(Debug)]
pub(super) struct Cache {
    users: Mutex<HashMap<UserName, Remembered>>,
    most: usize,
    users_for: Duration,
    nobody_for: Duration,
    use_stale: bool,
}

#[derive(Clone, Debug)]
struct Remembered {
    profile: Option<Arc<Profile>>,
    since: Instant,
}

impl Cache {
    pub(super) fn new(config: &DirectoryConfig) -> Cache {
        Cache {
            users: Mutex::default(),
            most: config.cache_size.max(1),
            users_for: config.cache_for,
            nobody_for: config.cache_nobody_for,
            use_stale: config.when_unreachable == WhenUnreachable::UseCache,
        }
    }

    pub(super) fn fresh(&self, name: &UserName) -> Option<Found> {
        let users = self.users();
        let remembered = users.get(name)?;
        self.is_fresh(remembered).then(|| remembered.found())
    }

    /// What is remembered, however old, if that may be used.
    pub(super) fn stale(&self, name: &UserName) -> Option<Found> {
        let users = self.users();
        users
            .get(name)
            .filter(|_| self.use_stale)
            .map(Remembered::found)
    }

    pub(super) fn remember(&self, name: &UserName, found: &Found) {
        let profile = match found {
            Found::User(profile) => Some(Arc::clone(profile)),
            Found::Nobody => None,
            Found::Unreachable => return,
        };
        let mut users = self.users();
        if users.len() >= self.most && !users.contains_key(name) {
            self.make_room(&mut users);
        }
        let since = Instant::now();
        users.insert(name.clone(), Remembered { profile, since });
    }

    /// Forgets what is too old, or else the older half: that is rare, and cheap for each.
    fn make_room(&self, users: &mut HashMap<UserName, Remembered>) {
        users.retain(|_, it| self.is_fresh(it));
        if users.len() >= self.most {
            let mut times: Vec<_> = users.values().map(|it| it.since).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            users.retain(|_, it| it.since > median);
        }
    }

    fn is_fresh(&self, remembered: &Remembered) -> bool {
        let lasts = match remembered.profile {
            Some(_) => self.users_for,
            None => self.nobody_for,
        };
        remembered.since.elapsed() < lasts
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserName, Remembered>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn found(&self) -> Found {
        match &self.profile {
            Some(profile) => Found::User(Arc::clone(profile)),
            None => Found::Nobody,
        }
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
    fn a_full_cache_keeps_the_younger_ones() {
        let cache = cache(8, Duration::MAX, WhenUnreachable::Reject);
        for number in 0..1_000 {
            cache.remember(&name(number), &user());
            assert!(cache.users().len() <= 8);
            assert_eq!(cache.fresh(&name(number)), Some(user()));
        }
    }
}
