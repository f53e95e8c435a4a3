//! The servers: connections that are kept, and which server is asked.
//!
//! A server gets as many searches at a time as any server takes: OpenLDAP closes a connection that
//! has more than 100 of them pending. They are spread over a few connections; who comes when all
//! are busy waits for its turn. A connection that is closed is opened again, a few times, before
//! the server counts as failed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError};
use lpm_sample::identity::UserName;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::config::DirectoryConfig;
use super::frames::BadFrame;
use super::guard::{self, Guard, NoWay};
use super::lookup::{self, Fault};
use crate::profile::Found;
use crate::secret::NoSecret;

/// How long a server may take to hear that it is left.
const FAREWELL: Duration = Duration::from_millis(200);

/// How many users are looked up at the same time on one connection.
const PER_CONNECTION: usize = 24;

/// How many connections a server gets. Should it take only one, all lookups together still stay
/// below the hundred that OpenLDAP allows there.
const CONNECTIONS: usize = 4;

/// How many lookups may be under way that are for names which nobody was found by before: the
/// others do not have to wait behind whatever strangers make up.
const OF_STRANGERS: usize = PER_CONNECTION * CONNECTIONS * 3 / 4;

/// How many connections may be closed on one lookup until the server counts as failed.
const ATTEMPTS: usize = 3;

/// The servers, in the order in which they are asked.
pub(super) struct Servers {
    config: DirectoryConfig,
    servers: Vec<Server>,
    strangers: Semaphore,
}

struct Server {
    url: String,
    lookups: Semaphore,
    lanes: [Lane; CONNECTIONS],
    health: Mutex<Health>,
}

/// The place of a connection.
struct Lane {
    lookups: Semaphore,
    connection: AsyncMutex<Option<Connection>>,
}

#[derive(Default)]
struct Health {
    /// When it failed: it is left alone for a while.
    failed: Option<Instant>,
    /// When it last answered.
    answered: Option<Instant>,
}

/// A connection, closed when it is dropped.
struct Connection {
    ldap: Ldap,
    driver: JoinHandle<()>,
    guard: Guard,
}

/// Why a server gave no answer.
enum NoAnswer {
    /// It is left alone.
    LeftAlone,
    /// It answers others, but was too slow for this one.
    Busy,
    /// It sends what cannot be read.
    Garbled(BadFrame),
    /// It failed.
    Failed(Box<Failure>),
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error(transparent)]
    NoWay(#[from] NoWay),
    #[error("bind as {0}: {1}")]
    Bind(String, #[source] Box<LdapError>),
    #[error("the password to bind as {0}: {1}")]
    NoPassword(String, #[source] NoSecret),
    #[error(
        "the password to bind as {0} is empty: to a server that would be no authentication at all (RFC 4513 section 5.1.2)"
    )]
    EmptyPassword(String),
    #[error("the connection was closed {ATTEMPTS} times: {0}")]
    Closed(#[source] Box<LdapError>),
}

impl Servers {
    pub(super) fn new(config: DirectoryConfig) -> Self {
        let server = |url: &String| Server {
            url: url.clone(),
            lookups: Semaphore::new(PER_CONNECTION * CONNECTIONS),
            lanes: std::array::from_fn(|_| Lane {
                lookups: Semaphore::new(PER_CONNECTION),
                connection: AsyncMutex::default(),
            }),
            health: Mutex::default(),
        };
        let servers = config.servers.iter().map(server).collect();
        Self {
            config,
            servers,
            strangers: Semaphore::new(OF_STRANGERS),
        }
    }

    /// Connects to the first server that answers.
    pub(super) async fn connect(&self) {
        for server in &self.servers {
            let mut lane = server.lanes[0].connection.lock().await;
            let connected = timeout(self.config.time_limit(), self.open(server)).await;
            match connected.unwrap_or_else(|_| Err(self.late())) {
                Ok(connection) => {
                    *lane = Some(connection);
                    return;
                }
                Err(failure) => self.leave_alone(server, &failure),
            }
        }
    }

    /// Looks a user up; `None` if no server answers. `is_known` tells that there was a user of this
    /// name before.
    pub(super) async fn find(&self, name: &UserName, is_known: bool) -> Option<Found> {
        for server in &self.servers {
            let asked = Instant::now();
            let answer = timeout(self.config.time_limit(), self.ask(server, name, is_known)).await;
            let late = || {
                let answered = server.health().answered;
                if answered.is_some_and(|at| at >= asked) {
                    Err(NoAnswer::Busy)
                } else {
                    Err(NoAnswer::Failed(self.late().into()))
                }
            };
            match answer.unwrap_or_else(|_| late()) {
                Ok(found) => return Some(found),
                Err(NoAnswer::LeftAlone) => {}
                Err(NoAnswer::Busy) => {
                    tracing::warn!(
                        server = server.url,
                        ?name,
                        "the directory server is too busy"
                    );
                }
                Err(NoAnswer::Garbled(why)) => {
                    tracing::warn!(server = server.url, %why, ?name, "no answer for this user");
                }
                Err(NoAnswer::Failed(failure)) => self.leave_alone(server, &failure),
            }
        }
        None
    }

    /// Says farewell to all servers, and closes the connections.
    pub(super) async fn close(&self) {
        for lane in self.servers.iter().flat_map(|server| &server.lanes) {
            if let Some(mut connection) = lane.connection.lock().await.take() {
                let _ = timeout(FAREWELL, connection.ldap.unbind()).await;
                connection.driver.abort();
                let _ = (&mut connection.driver).await;
                connection.guard.task.abort();
                let _ = (&mut connection.guard.task).await;
            }
        }
    }

    async fn ask(
        &self,
        server: &Server,
        name: &UserName,
        is_known: bool,
    ) -> Result<Found, NoAnswer> {
        self.is_asked(server)?;
        // The permits are never closed, so that waiting for them ends with one.
        let _stranger = match is_known {
            true => None,
            false => self.strangers.acquire().await.ok(),
        };
        let _lookup = server.lookups.acquire().await.ok();
        let free = server
            .lanes
            .iter()
            .find_map(|lane| Some((lane, lane.lookups.try_acquire().ok()?)));
        let (mut lane, _place) =
            free.map_or((&server.lanes[0], None), |(lane, it)| (lane, Some(it)));
        let mut closed = 0;
        loop {
            self.is_asked(server)?;
            let mut ldap = match self.connection(server, lane).await {
                Ok(ldap) => ldap,
                // The server may take no more than it has.
                Err(_) if !std::ptr::eq(lane, &raw const server.lanes[0]) => {
                    lane = &server.lanes[0];
                    continue;
                }
                Err(failure) => return Err(NoAnswer::Failed(failure.into())),
            };
            match lookup::find(&mut ldap, &self.config, name).await {
                Ok(found) => {
                    server.health().answered = Some(Instant::now());
                    return Ok(found);
                }
                Err(Fault::Unusable(why)) => {
                    server.health().answered = Some(Instant::now());
                    tracing::warn!(%why, ?name, "the directory cannot be used for this user");
                    return Ok(Found::Unusable);
                }
                Err(Fault::Server(error)) => {
                    closed += 1;
                    if let Some(bad) = lane.fault().await {
                        return Err(NoAnswer::Garbled(bad));
                    }
                    if closed == ATTEMPTS {
                        return Err(NoAnswer::Failed(Failure::Closed(error.into()).into()));
                    }
                }
            }
        }
    }

    /// Whether the server is not left alone.
    fn is_asked(&self, server: &Server) -> Result<(), NoAnswer> {
        let failed = server.health().failed.map(|failed| failed.elapsed());
        match failed {
            Some(since) if since < self.config.retry_after => Err(NoAnswer::LeftAlone),
            _ => Ok(()),
        }
    }

    /// The connection of a lane, opened if need be.
    async fn connection(&self, server: &Server, lane: &Lane) -> Result<Ldap, Failure> {
        let mut connection = lane.connection.lock().await;
        if let Some(connection) = &mut *connection {
            if !connection.is_closed() {
                return Ok(connection.ldap.clone());
            }
        }
        *connection = None;
        let opened = self.open(server).await?;
        let ldap = opened.ldap.clone();
        *connection = Some(opened);
        Ok(ldap)
    }

    async fn open(&self, server: &Server) -> Result<Connection, Failure> {
        let config = &self.config;
        let ca_file = config.ca_file.as_deref();
        let (stream, url, guard) = guard::connect(&server.url, config.start_tls, ca_file).await?;
        let settings = LdapConnSettings::new().set_std_stream(stream);
        let connected = LdapConnAsync::with_settings(settings, url).await;
        let (connection, ldap) =
            connected.map_err(|error| NoWay::from(std::io::Error::other(error)))?;
        let driver = tokio::spawn(async move {
            // What goes wrong on the connection is told to those who use it.
            let _ = connection.drive().await;
        });
        let mut connection = Connection {
            ldap,
            driver,
            guard,
        };
        if let Some((dn, password)) = &config.bind {
            let password = password.read();
            let password = password.map_err(|error| Failure::NoPassword(dn.clone(), error))?;
            if password.reveal().is_empty() {
                return Err(Failure::EmptyPassword(dn.clone()));
            }
            let bound = connection.ldap.simple_bind(dn, password.reveal()).await;
            let bound = bound.and_then(ldap3::LdapResult::success);
            bound.map_err(|error| Failure::Bind(dn.clone(), error.into()))?;
        }
        tracing::info!(server = server.url, "connected to the directory");
        server.health().failed = None;
        Ok(connection)
    }

    fn leave_alone(&self, server: &Server, failure: &Failure) {
        let mut health = server.health();
        let before = health.failed.replace(Instant::now());
        drop(health);
        if before.is_none_or(|it| it.elapsed() >= self.config.retry_after) {
            tracing::warn!(
                server = server.url,
                why = %failure,
                retry_after = ?self.config.retry_after,
                "a directory server fails and is not asked for a while"
            );
        }
        // Who still waits on a connection that hangs goes on to the next server.
        for lane in &server.lanes {
            if let Ok(mut connection) = lane.connection.try_lock() {
                *connection = None;
            }
        }
    }

    fn late(&self) -> Failure {
        Failure::Late(self.config.time_limit())
    }
}

impl Server {
    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// Why the server is not listened to any more on this connection, if it was that.
    async fn fault(&self) -> Option<BadFrame> {
        let connection = self.connection.lock().await;
        connection.as_ref()?.guard.fault()
    }
}

impl Connection {
    fn is_closed(&mut self) -> bool {
        self.ldap.is_closed() || self.driver.is_finished() || self.guard.task.is_finished()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
