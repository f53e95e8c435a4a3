//! The scripts, and a connection to the server that runs them.

use std::collections::HashMap;

use redis::{Commands, Connection, RedisResult, Script};

use super::config::{UsageConfig, client};
use crate::ledger::Amounts;

/// A connection, and who this PCM is on the server.
pub(super) struct Server {
    connection: Connection,
    scripts: Scripts,
    pcm: String,
    leases: String,
    /// What the names of the PCMs' flows begin with.
    flows: String,
    accounts: String,
    lease: String,
}

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

impl Server {
    pub(super) fn connect(config: &UsageConfig, pcm: &str) -> Result<Server, String> {
        let url = config.server.read()?;
        let connect = || -> RedisResult<Server> {
            let connection = client(&url)?.get_connection_with_timeout(config.time_limit)?;
            connection.set_read_timeout(Some(config.time_limit))?;
            connection.set_write_timeout(Some(config.time_limit))?;
            // In braces: whoever puts this behind a proxy has all keys in one place.
            let prefix = format!("{{{}}}", config.prefix);
            let mut server = Server {
                connection,
                scripts: Scripts {
                    reserve: Script::new(include_str!("reserve.lua")),
                    release: Script::new(include_str!("release.lua")),
                    lease: Script::new(include_str!("lease.lua")),
                },
                pcm: pcm.to_owned(),
                leases: format!("{prefix}:leases"),
                flows: format!("{prefix}:flows:"),
                accounts: format!("{prefix}:account:"),
                lease: config.lease.as_millis().to_string(),
            };
            for script in [&server.scripts.reserve, &server.scripts.release] {
                script.load(&mut server.connection)?;
            }
            Ok(server)
        };
        connect().map_err(|error| error.to_string())
    }

    /// Takes or renews the lease; whether there was one still.
    pub(super) fn renew(&mut self) -> RedisResult<bool> {
        let lasts = self.lease.clone();
        self.lease(&lasts)
    }

    /// Gives the lease back, with all that was counted.
    pub(super) fn leave(&mut self) -> RedisResult<bool> {
        self.lease("0")
    }

    fn lease(&mut self, lasts: &str) -> RedisResult<bool> {
        let lived: i64 = self
            .scripts
            .lease
            .key(&self.leases)
            .arg(&self.pcm)
            .arg(lasts)
            .arg(&self.flows)
            .invoke(&mut self.connection)?;
        Ok(lived != 0)
    }

    /// Takes steps one after the other; the answers are those of the scripts.
    pub(super) fn take(&mut self, steps: &[Step]) -> RedisResult<Vec<i64>> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let flows = format!("{}{}", self.flows, self.pcm);
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
                        .arg(3)
                        .arg(&self.leases)
                        .arg(&flows)
                        .arg(format!("{}{account}", self.accounts))
                        .arg(&self.pcm)
                        .arg(id)
                        .arg(amounts.rate)
                        .arg(amounts.peak_rate)
                        .arg(&most[..]);
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
        pipeline.query(&mut self.connection)
    }

    /// All that is counted for this PCM, by the ids of the flows, as `reserve.lua` writes it.
    pub(super) fn counted(&mut self) -> RedisResult<HashMap<u64, String>> {
        self.connection
            .hgetall(format!("{}{}", self.flows, self.pcm))
    }

    /// How `reserve.lua` writes this.
    pub(super) fn written(&self, account: &str, amounts: Amounts) -> String {
        let Amounts { rate, peak_rate } = amounts;
        format!("{rate} {peak_rate} {}{account}", self.accounts)
    }
}
