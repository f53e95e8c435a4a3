//! Users, groups and limits from an LDAP directory.
//!
//! A user whom the policy does not list is looked up, on a thread of its own that keeps a
//! connection open; the request waits for that, and nobody else does. What was found is
//! remembered for a while ([`DirectoryConfig::cache_for`]), that nobody was found for a shorter
//! one. A user whom the directory does not know either is unauthenticated.
//!
//! # What is looked up
//!
//! 1. The user: an entry below [`user_base`](DirectoryConfig::user_base), by its DN, or by its ID
//!    with [`user_filter`](DirectoryConfig::user_filter).
//! 2. Its groups: the values of `memberOf`, and where there is a
//!    [`group_base`](DirectoryConfig::group_base) the entries below it that
//!    [`group_filter`](DirectoryConfig::group_filter) finds.
//! 3. Its limits: entries of class `aCSPolicy` below
//!    [`policy_base`](DirectoryConfig::policy_base) whose `aCSIdentityName` is the user's DN or ID,
//!    or a group's DN or common name. An entry below one that has the name of a subnet of the
//!    policy is for that subnet.
//!
//! [`profile`](crate::profile) tells which attribute is which limit. A group of the directory also
//! has the values of the policy's `[[group]]` of its common name; the user has those of
//! `[default]`, like everybody.
//!
//! # When servers fail
//!
//! Servers are asked in the order of the configuration. One that cannot be reached, or answers
//! nobody in time, is left alone for [`retry_after`](DirectoryConfig::retry_after), and the next
//! one is asked. One that is merely busy is not: it gets only so many searches at a time, and the
//! rest wait in their order, within their time limit. When no server is left, a request is rejected
//! for want of resources, or decided with what is remembered, however old
//! ([`when_unreachable`](DirectoryConfig::when_unreachable)).
//!
//! What is not whole, or cannot be read, refuses the user, whatever is remembered.

mod cache;
mod config;
mod frames;
mod guard;
mod lookup;
mod servers;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{Id, JoinSet};

use lpm_sample::identity::UserName;

use crate::no_thread::NoThread;
use crate::profile::Found;
use cache::Cache;
use servers::Servers;

pub(crate) use config::KEYS;
pub use config::{DirectoryConfig, WhenUnreachable};

/// How many different users may be looked up at the same time. Beyond, a request is decided as if
/// no server could be reached.
const MOST_LOOKUPS: usize = 10_000;

/// How many of them may be for names of which there was no user before.
const MOST_STRANGERS: usize = MOST_LOOKUPS * 3 / 4;

/// Is told what was found. Dropped unused when the directory is closed first.
type Then = Box<dyn FnOnce(Found) + Send>;

/// A directory that users are looked up in. Its connections are closed, and its thread has ended,
/// when it is dropped.
#[derive(Debug)]
pub struct Directory {
    shared: Arc<Shared>,
    /// Dropped to end the thread.
    questions: Option<UnboundedSender<UserName>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread shares with those who ask.
struct Shared {
    cache: Cache,
    waiting: Mutex<HashMap<UserName, Vec<Then>>>,
    lookups: AtomicU64,
    unreachable: AtomicU64,
}

impl Directory {
    /// Starts the thread, which connects to the first server that answers.
    ///
    /// # Errors
    /// The system has no thread or no event queue for it.
    pub fn start(config: DirectoryConfig) -> Result<Self, NoThread> {
        config.warn_of_clear_text();
        let shared = Arc::new(Shared {
            cache: Cache::new(&config),
            waiting: Mutex::default(),
            lookups: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(NoThread::for_the("directory"))?;
        let (questions, asked) = unbounded_channel();
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("lpm-directory".to_owned())
            .spawn(move || runtime.block_on(answer(asked, for_thread, config)))
            .map_err(NoThread::for_the("directory"))?;
        Ok(Self {
            shared,
            questions: Some(questions),
            thread: Some(thread),
        })
    }

    /// What is remembered of a user, if it is not too old.
    #[must_use]
    pub fn remembered(&self, name: &UserName) -> Option<Found> {
        self.shared.cache.fresh(name)
    }

    /// Looks a user up, and tells `then` on the directory's thread what was found. Several who ask
    /// for the same user at the same time get the same answer.
    ///
    /// `then` is dropped when the directory is closed before there is an answer.
    pub fn look_up(&self, name: UserName, then: impl FnOnce(Found) + Send + 'static) {
        let mut waiting = self.shared.waiting();
        if let Some(others) = waiting.get_mut(&name) {
            others.push(Box::new(then));
            return;
        }
        let most = match self.shared.cache.knows(&name) {
            true => MOST_LOOKUPS,
            false => MOST_STRANGERS,
        };
        let full = waiting.len() >= most;
        let Some(questions) = self.questions.as_ref().filter(|_| !full) else {
            drop(waiting);
            return then(self.shared.when_unreachable(&name));
        };
        waiting.insert(name.clone(), vec![Box::new(then)]);
        drop(waiting);
        if questions.send(name.clone()).is_err() {
            // The thread has ended, by a panic.
            self.shared
                .tell(&name, &self.shared.when_unreachable(&name));
        }
    }

    /// How often the servers were asked for a user, and how often none answered.
    #[must_use]
    pub fn lookups(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.shared.lookups), count(&self.shared.unreachable))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.questions = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported where it happened.
            let _ = thread.join();
        }
        // They may ask again, or lock the map, as they are dropped.
        let waiting = std::mem::take(&mut *self.shared.waiting());
        drop(waiting);
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<UserName, Vec<Then>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn when_unreachable(&self, name: &UserName) -> Found {
        self.unreachable.fetch_add(1, Ordering::Relaxed);
        self.cache.stale(name).unwrap_or(Found::Unreachable)
    }

    /// Looks a user up, and tells who waits for that.
    async fn find_out(&self, servers: &Servers, name: &UserName) {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        #[cfg(test)]
        tests::fault(name);
        let found = match servers.find(name, self.cache.knows(name)).await {
            Some(found) => {
                self.cache.remember(name, &found);
                found
            }
            None => self.when_unreachable(name),
        };
        self.tell(name, &found);
    }

    fn tell(&self, name: &UserName, found: &Found) {
        let waiting = self.waiting().remove(name);
        for then in waiting.into_iter().flatten() {
            then(found.clone());
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// The thread: every question is a task, until there is nobody left to ask any.
async fn answer(
    mut asked: UnboundedReceiver<UserName>,
    shared: Arc<Shared>,
    config: DirectoryConfig,
) {
    let servers = Arc::new(Servers::new(config));
    let mut tasks = JoinSet::new();
    let mut names: HashMap<Id, UserName> = HashMap::new();
    let first = Arc::clone(&servers);
    tasks.spawn(async move { first.connect().await });
    loop {
        tokio::select! {
            question = asked.recv() => {
                let Some(name) = question else { break };
                let (shared, servers) = (Arc::clone(&shared), Arc::clone(&servers));
                let of_task = name.clone();
                let task = tasks.spawn(async move { shared.find_out(&servers, &name).await });
                names.insert(task.id(), of_task);
            }
            Some(ended) = tasks.join_next_with_id() => {
                let id = match &ended {
                    Ok((id, ())) => *id,
                    Err(error) => error.id(),
                };
                // Whatever became of the task, whoever waits is answered.
                if let (Some(name), Err(_)) = (names.remove(&id), ended) {
                    shared.tell(&name, &Found::Unusable);
                }
            }
        }
    }
    tasks.shutdown().await;
    servers.close().await;
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc;

    use lpm_api::Name;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;
    use crate::config::Config;

    /// Who is looked up by a task that panics.
    const PANICS: &str = "panics";

    pub(super) fn fault(name: &UserName) {
        assert!(*name != user(PANICS), "on purpose");
    }

    fn user(id: &str) -> UserName {
        UserName::Id(Name::id(id))
    }

    fn config(url: &str, more: &str) -> DirectoryConfig {
        let config = format!(
            "[default]\npriority = 1\n[directory]\nservers = ['{url}']\nuser_base = 'o=office'\n\
             policy_base = 'o=office'\nretry_after = 3600\n{more}"
        );
        let config = Config::read(&config, "test", None).expect("a configuration");
        config.directory.expect("a directory")
    }

    /// Where nobody listens.
    fn nowhere() -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        format!("ldap://{}", listener.local_addr().expect("an address"))
    }

    fn ask(directory: &Directory, id: &str) -> mpsc::Receiver<Found> {
        let (tell, told) = mpsc::channel();
        directory.look_up(user(id), move |found| {
            let _ = tell.send(found);
        });
        told
    }

    #[test]
    fn whoever_waits_for_a_task_that_panics_is_answered_and_not_locked_out() {
        let directory = Directory::start(config(&nowhere(), "")).expect("a thread");
        for _ in 0..3 {
            // Several wait for the same task, or for the next one.
            let waiting: Vec<_> = (0..5).map(|_| ask(&directory, PANICS)).collect();
            for told in waiting {
                assert_eq!(told.recv(), Ok(Found::Unusable));
            }
            assert!(directory.shared.waiting().is_empty());
            let other = ask(&directory, "ada").recv();
            assert_eq!(other, Ok(Found::Unreachable), "the thread goes on");
        }
        assert_eq!(directory.remembered(&user(PANICS)), None);
    }

    /// Collects what is logged on this thread.
    struct Log(mpsc::Sender<String>);

    impl Subscriber for Log {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut text = event.metadata().level().to_string();
            event.record(
                &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                    text += &format!(" {field}={value:?}");
                },
            );
            let _ = self.0.send(text);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_password_that_would_go_in_clear_text_is_warned_of_once() {
        let logged = |url: &str, more: &str| -> Vec<String> {
            let (sender, log) = mpsc::channel();
            let bind = "bind_dn = 'cn=pcm,o=office'\nbind_password_env = 'NO_SUCH_SECRET'\n";
            let bind = if more == "anonymous" { "" } else { bind };
            let more = more.trim_start_matches("anonymous");
            tracing::subscriber::with_default(Log(sender), || {
                drop(Directory::start(config(url, &format!("{bind}{more}"))).expect("a thread"));
            });
            log.try_iter().collect()
        };
        let warned = logged("ldap://127.0.0.1:9", "");
        assert_eq!(warned.len(), 1, "{warned:?}");
        for part in [
            "WARN",
            "in clear text",
            "ldap://127.0.0.1:9",
            "cn=pcm,o=office",
            "ldaps://",
        ] {
            assert!(warned[0].contains(part), "{part}: {warned:?}");
        }
        assert_eq!(logged("ldap://127.0.0.1:9", "start_tls = true\n"), [""; 0]);
        assert_eq!(logged("ldaps://127.0.0.1:9", ""), [""; 0]);
        assert_eq!(logged("ldap://127.0.0.1:9", "anonymous"), [""; 0]);
    }
}
