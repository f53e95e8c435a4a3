//! The scripts, and a connection to the server that runs them.
//!
//! # Epochs
//!
//! A server that was started again, or was emptied, does not know what was counted. So everything
//! that is counted is of an *epoch*, which has an id on the server: a reservation of another epoch
//! is not taken. A new epoch begins where the server has none or has another run, and grants
//! nothing new for as long as leases last.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, RedisResult, Script};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::bounded::Bounded;
use super::config::{Address, NoAddress, UsageConfig};
use crate::ledger::Amounts;
use crate::tls::{self, Stream, TlsError};

/// How many flows the server is asked for at a time, and how often in a row: more flows than that
/// has no PCM.
const AT_A_TIME: usize = 500;
const ROUNDS: usize = 20_000;

/// A connection, and who this PCM is on the server. It is closed with the last clone.
#[derive(Clone)]
pub(super) struct Server {
    connection: MultiplexedConnection,
    _driver: Arc<Driver>,
    scripts: Scripts,
    time_limit: Duration,
    epoch: String,
    /// For how long nothing new is granted.
    pub(super) settles: Duration,
    pcm: String,
    keys: Keys,
    lease: String,
}

/// What reads and writes a connection, until this is dropped.
struct Driver(JoinHandle<()>);

/// The names of the keys.
#[derive(Clone)]
struct Keys {
    leases: String,
    epoch: String,
    /// What the names of the PCMs' flows begin with.
    flows: String,
    accounts: String,
}

#[derive(Clone)]
struct Scripts {
    reserve: Script,
    release: Script,
    lease: Script,
}

/// A step on the server.
pub(super) enum Step {
    /// Count a flow on an account, if the limits allow it.
    Reserve {
        id: u64,
        account: String,
        amounts: Amounts,
        limits: [Option<u64>; 3],
    },
    /// Count a flow not any more.
    Release { id: u64 },
}

/// What became of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lease {
    /// It lasted until it was renewed.
    Kept,
    /// It had ended, or was never there.
    New,
    /// The server began anew.
    OfAnotherEpoch,
}

/// Why the server does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("its URL: {0}")]
    Url(#[from] NoAddress),
    #[error("no connection: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no complete answer within {0:?}")]
    Late(Duration),
    #[error("it was restarted several times while it was asked")]
    Restless,
    #[error("it lists flows of this PCM without end")]
    Endless,
}

impl Trouble {
    /// Whether the server does not know the scripts: it began anew.
    pub(super) fn is_forgetful(&self) -> bool {
        matches!(self, Self::Redis(error) if error.code() == Some("NOSCRIPT"))
    }
}

impl Server {
    /// Connects, as the PCM of this name; `fresh` is the id of a new epoch, should one begin.
    pub(super) async fn connect(
        config: &UsageConfig,
        pcm: &str,
        fresh: &str,
    ) -> Result<Self, Trouble> {
        let connected = Self::connect_unlimited(config, pcm, fresh);
        let late = |_| Trouble::Late(config.time_limit);
        timeout(config.time_limit, connected).await.map_err(late)?
    }

    async fn connect_unlimited(
        config: &UsageConfig,
        pcm: &str,
        fresh: &str,
    ) -> Result<Self, Trouble> {
        let address = config.server.address()?;
        let stream = Bounded::new(dial(&address, config).await?);
        // The time limits are ours.
        let more = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&address.settings, stream, more);
        let (connection, driver) = opened.await?;
        // In braces: whoever puts this behind a proxy has all keys in one place.
        let prefix = format!("{{{}}}", config.prefix);
        let mut server = Self {
            connection,
            _driver: Arc::new(Driver(tokio::spawn(driver))),
            scripts: Scripts {
                reserve: Script::new(include_str!("reserve.lua")),
                release: Script::new(include_str!("release.lua")),
                lease: Script::new(include_str!("lease.lua")),
            },
            time_limit: config.time_limit,
            epoch: String::new(),
            settles: Duration::ZERO,
            pcm: pcm.to_owned(),
            keys: Keys {
                leases: format!("{prefix}:leases"),
                epoch: format!("{prefix}:epoch"),
                flows: format!("{prefix}:flows:"),
                accounts: format!("{prefix}:account:"),
            },
            lease: config.lease.as_millis().to_string(),
        };
        for script in [&server.scripts.reserve, &server.scripts.release] {
            script.load_async(&mut server.connection).await?;
        }
        server.enter_epoch(fresh).await?;
        Ok(server)
    }

    async fn enter_epoch(&mut self, fresh: &str) -> RedisResult<()> {
        // A server that does not tell its run is known by its memory alone.
        let info: RedisResult<String> = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut self.connection)
            .await;
        let info = info.unwrap_or_default();
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        let (epoch, settles): (String, u64) = Script::new(include_str!("epoch.lua"))
            .key(&self.keys.epoch)
            .arg(run.unwrap_or_default().trim())
            .arg(fresh)
            .arg(&self.lease)
            .invoke_async(&mut self.connection)
            .await?;
        self.epoch = epoch;
        self.settles = Duration::from_millis(settles);
        Ok(())
    }

    /// Takes or renews the lease.
    pub(super) async fn renew(&mut self) -> Result<Lease, Trouble> {
        let lasts = self.lease.clone();
        self.lease(&lasts).await
    }

    /// Gives the lease back, with all that was counted.
    pub(super) async fn leave(&mut self) -> Result<Lease, Trouble> {
        self.lease("0").await
    }

    async fn lease(&mut self, lasts: &str) -> Result<Lease, Trouble> {
        let mut call = self.scripts.lease.key(&self.keys.leases);
        call.key(&self.keys.epoch)
            .arg(&self.pcm)
            .arg(lasts)
            .arg(&self.keys.flows)
            .arg(&self.epoch);
        let lived: i64 = limited(self.time_limit, call.invoke_async(&mut self.connection)).await?;
        Ok(match lived {
            1 => Lease::Kept,
            -2 => Lease::OfAnotherEpoch,
            _ => Lease::New,
        })
    }

    /// Takes steps one after the other; the answers are those of the scripts.
    pub(super) async fn take(&mut self, steps: &[Step]) -> Result<Vec<i64>, Trouble> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let flows = self.own_flows();
        let mut pipeline = redis::pipe();
        for step in steps {
            match step {
                Step::Reserve {
                    id,
                    account,
                    amounts,
                    limits,
                } => {
                    let most = limits.map(|most| most.map_or(String::new(), |it| it.to_string()));
                    pipeline
                        .cmd("EVALSHA")
                        .arg(self.scripts.reserve.get_hash())
                        .arg(4)
                        .arg(&self.keys.leases)
                        .arg(&flows)
                        .arg(format!("{}{account}", self.keys.accounts))
                        .arg(&self.keys.epoch)
                        .arg(&self.pcm)
                        .arg(id)
                        .arg(amounts.rate)
                        .arg(amounts.peak_rate)
                        .arg(&most[..])
                        .arg(&self.epoch);
                }
                Step::Release { id } => {
                    pipeline
                        .cmd("EVALSHA")
                        .arg(self.scripts.release.get_hash())
                        .arg(1)
                        .arg(&flows)
                        .arg(&self.pcm)
                        .arg(id);
                }
            }
        }
        let answers: Vec<i64> =
            limited(self.time_limit, pipeline.query_async(&mut self.connection)).await?;
        Ok(answers)
    }

    /// All that is counted for this PCM, by the ids of the flows, as `reserve.lua` writes it.
    pub(super) async fn counted(&mut self) -> Result<HashMap<u64, String>, Trouble> {
        let flows = self.own_flows();
        let (mut counted, mut cursor) = (HashMap::new(), 0_u64);
        for _ in 0..ROUNDS {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&flows).arg(cursor).arg("COUNT").arg(AT_A_TIME);
            let found = scan.query_async(&mut self.connection);
            let (next, some): (u64, HashMap<u64, String>) = limited(self.time_limit, found).await?;
            counted.extend(some);
            cursor = next;
            if cursor == 0 {
                return Ok(counted);
            }
        }
        Err(Trouble::Endless)
    }

    /// How `reserve.lua` writes this.
    pub(super) fn written(&self, account: &str, amounts: Amounts) -> String {
        let Amounts { rate, peak_rate } = amounts;
        format!("{rate} {peak_rate} {}{account}", self.keys.accounts)
    }

    fn own_flows(&self) -> String {
        format!("{}{}", self.keys.flows, self.pcm)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer, if all of it comes in time.
async fn limited<T>(
    limit: Duration,
    answer: impl Future<Output = RedisResult<T>>,
) -> Result<T, Trouble> {
    match timeout(limit, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Trouble::Late(limit)),
    }
}

async fn dial(address: &Address, config: &UsageConfig) -> Result<Stream, Trouble> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    if address.is_tls {
        let ca_file = config.ca_file.as_deref();
        return Ok(Box::new(
            tls::secured(stream, &address.host, ca_file).await?,
        ));
    }
    Ok(Box::new(stream))
}
