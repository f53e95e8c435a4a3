//! The servers: connections that are kept, and which server is asked.

use std::time::{Duration, Instant};

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings};
use lpm_sample::identity::UserName;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::config::DirectoryConfig;
use super::lookup::{self, Fault};
use super::tls;
use crate::profile::Found;

/// How long a server may take to hear that it is left.
const FAREWELL: Duration = Duration::from_millis(200);

/// The servers, in the order in which they are asked.
pub(super) struct Servers {
    config: DirectoryConfig,
    servers: Vec<Server>,
}

struct Server {
    url: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// When it failed: it is left alone for a while.
    failed: Option<Instant>,
    /// How many connections there were.
    connections: u64,
}

/// A connection, closed when it is dropped.
struct Connection {
    ldap: Ldap,
    number: u64,
    driver: JoinHandle<()>,
}

/// Why a server gave no answer.
enum NoAnswer {
    /// It is left alone.
    LeftAlone,
    /// There is none: the directory itself is at fault.
    Faulty(String),
    /// It failed, on this connection if there was one.
    Failed(String, Option<u64>),
}

impl Servers {
    pub(super) fn new(config: DirectoryConfig) -> Servers {
        let servers = config
            .servers
            .iter()
            .map(|url| Server {
                url: url.clone(),
                state: Mutex::default(),
            })
            .collect();
        Servers { config, servers }
    }

    /// Connects to the first server that answers.
    pub(super) async fn connect(&self) {
        for server in &self.servers {
            let connected = timeout(self.config.time_limit(), self.connection(server)).await;
            match connected.unwrap_or_else(|_| Err(self.no_answer_in_time())) {
                Ok(_) => return,
                Err(NoAnswer::Failed(why, _)) => self.leave_alone(server, &why, None).await,
                Err(NoAnswer::LeftAlone | NoAnswer::Faulty(_)) => {}
            }
        }
    }

    /// Looks a user up; `None` if no server answers.
    pub(super) async fn find(&self, name: &UserName) -> Option<Found> {
        for server in &self.servers {
            let answer = timeout(self.config.time_limit(), self.ask(server, name)).await;
            match answer.unwrap_or_else(|_| Err(self.no_answer_in_time())) {
                Ok(found) => return Some(found),
                Err(NoAnswer::LeftAlone) => {}
                Err(NoAnswer::Faulty(fault)) => {
                    tracing::warn!(%fault, ?name, "the directory cannot be used for this user");
                    return None;
                }
                Err(NoAnswer::Failed(why, connection)) => {
                    self.leave_alone(server, &why, connection).await;
                }
            }
        }
        None
    }

    /// Says farewell to all servers, and closes the connections.
    pub(super) async fn close(&self) {
        for server in &self.servers {
            let connection = server.state.lock().await.connection.take();
            if let Some(mut connection) = connection {
                let _ = timeout(FAREWELL, connection.ldap.unbind()).await;
                connection.driver.abort();
                let _ = (&mut connection.driver).await;
            }
        }
    }

    async fn ask(&self, server: &Server, name: &UserName) -> Result<Found, NoAnswer> {
        let mut reused = true;
        loop {
            let (mut ldap, number, is_new) = self.connection(server).await?;
            reused &= !is_new;
            match lookup::find(&mut ldap, &self.config, name).await {
                Ok(found) => return Ok(found),
                Err(Fault::Entry(fault)) => return Err(NoAnswer::Faulty(fault.to_string())),
                // It may have been closed while nobody used it.
                Err(Fault::Server(_)) if reused => {
                    let mut state = server.state.lock().await;
                    state.close(number);
                    reused = false;
                }
                Err(Fault::Server(error)) => {
                    return Err(NoAnswer::Failed(error.to_string(), Some(number)));
                }
            }
        }
    }

    /// A connection to a server, its number, and whether it is a new one.
    async fn connection(&self, server: &Server) -> Result<(Ldap, u64, bool), NoAnswer> {
        let mut state = server.state.lock().await;
        let failed = state.failed.map(|failed| failed.elapsed());
        if failed.is_some_and(|since| since < self.config.retry_after) {
            return Err(NoAnswer::LeftAlone);
        }
        if let Some(connection) = &mut state.connection {
            if !connection.ldap.is_closed() {
                return Ok((connection.ldap.clone(), connection.number, false));
            }
        }
        state.connection = None;
        let (ldap, driver) = self
            .open(server)
            .await
            .map_err(|why| NoAnswer::Failed(why, None))?;
        tracing::info!(server = server.url, "connected to the directory");
        state.failed = None;
        state.connections += 1;
        let number = state.connections;
        state.connection = Some(Connection {
            ldap: ldap.clone(),
            number,
            driver,
        });
        Ok((ldap, number, true))
    }

    async fn open(&self, server: &Server) -> Result<(Ldap, JoinHandle<()>), String> {
        let config = &self.config;
        let mut settings = LdapConnSettings::new().set_starttls(config.start_tls);
        if config.start_tls || server.url.starts_with("ldaps:") {
            settings = settings.set_config(tls::client(config.ca_file.as_deref())?);
        }
        let connected = LdapConnAsync::with_settings(settings, &server.url).await;
        let (connection, mut ldap) = connected.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(async move {
            // What goes wrong on the connection is told to those who use it.
            let _ = connection.drive().await;
        });
        if let Some((dn, password)) = &config.bind {
            let bound = ldap.simple_bind(dn, &password.read()?).await;
            let bound = bound.and_then(ldap3::LdapResult::success);
            if let Err(error) = bound {
                driver.abort();
                return Err(format!("as {dn}: {error}"));
            }
        }
        Ok((ldap, driver))
    }

    async fn leave_alone(&self, server: &Server, why: &str, connection: Option<u64>) {
        let mut state: MutexGuard<'_, State> = server.state.lock().await;
        if let Some(number) = connection {
            if !state.close(number) {
                // Another one is there already.
                return;
            }
        }
        state.connection = None;
        if state
            .failed
            .is_none_or(|it| it.elapsed() >= self.config.retry_after)
        {
            tracing::warn!(
                server = server.url,
                why,
                retry_after = ?self.config.retry_after,
                "a directory server fails and is left alone"
            );
        }
        state.failed = Some(Instant::now());
    }

    fn no_answer_in_time(&self) -> NoAnswer {
        let limit = self.config.time_limit();
        NoAnswer::Failed(format!("no answer within {limit:?}"), None)
    }
}

impl State {
    /// Closes the connection of this number, if it is still there.
    fn close(&mut self, number: u64) -> bool {
        let is_there = self
            .connection
            .as_ref()
            .is_some_and(|it| it.number == number);
        if is_there {
            self.connection = None;
        }
        is_there
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
