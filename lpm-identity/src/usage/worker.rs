//! The thread that counts on the server.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use lpm_api::FlowKey;
use smallvec::SmallVec;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::config::UsageConfig;
use super::queue::{Order, Request, Reserved};
use super::server::{Lease, Server, Step, Trouble};
use crate::ledger::{Amounts, Counted};

/// How many orders are carried out in one go.
const MOST_AT_ONCE: usize = 256;

/// How long to wait before the server is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How often a server may begin anew while it is connected to.
const ATTEMPTS: usize = 3;

/// The server's answers when the lease has ended, and when it has begun anew.
const NO_LEASE: i64 = -1;
const OTHER_EPOCH: i64 = -2;

pub(super) struct Worker {
    config: UsageConfig,
    orders: UnboundedReceiver<Order>,
    /// Who this PCM is on the server, for as long as this LPM is initialized.
    pcm: String,
    server: Option<Server>,
    /// Where this PCM may have been counted, also while that is under way: to be left in the end.
    counts_on: Option<Server>,
    /// Whether it was told that the server cannot be reached.
    told: bool,
    /// When to renew the lease, or to try the server again.
    next: Instant,
    /// What is counted, or to be counted, on the server.
    book: BTreeMap<FlowKey, SmallVec<[Line; 1]>>,
    next_id: u64,
}

/// What one flow counts on one account.
struct Line {
    id: u64,
    account: String,
    amounts: Amounts,
}

impl Worker {
    pub(super) fn new(config: UsageConfig, orders: UnboundedReceiver<Order>) -> Self {
        // Unlike that of any PCM there was.
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let random = RandomState::new().hash_one(time.unwrap_or_default());
        Self {
            config,
            orders,
            pcm: format!("{}-{random:016x}", std::process::id()),
            server: None,
            counts_on: None,
            told: false,
            next: Instant::now(),
            book: BTreeMap::new(),
            next_id: 0,
        }
    }

    /// Counts until it is told to stop; then gives back what it counted, in the time of one answer.
    pub(super) async fn run(mut self, stop: oneshot::Receiver<()>) {
        tokio::select! {
            _ = stop => {}
            () = self.work() => {}
        }
        if let Some(server) = &mut self.counts_on {
            // Without an answer the lease ends by itself.
            let _ = server.leave().await;
        }
    }

    async fn work(&mut self) {
        loop {
            tokio::select! {
                biased;
                () = sleep_until(self.next) => self.keep_up().await,
                first = self.orders.recv() => {
                    let Some(first) = first else { return };
                    let mut orders = vec![first];
                    while orders.len() < MOST_AT_ONCE {
                        let Ok(order) = self.orders.try_recv() else { break };
                        orders.push(order);
                    }
                    self.carry_out(orders).await;
                }
            }
        }
    }

    /// Connects or renews the lease, and has everything counted if it was not any more.
    async fn keep_up(&mut self) {
        let kept = if self.server.is_some() {
            self.renew().await
        } else {
            self.connect().await
        };
        match kept {
            Ok(()) => self.next = Instant::now() + self.config.lease / 3,
            Err(why) => self.lost(&why),
        }
    }

    async fn connect(&mut self) -> Result<(), Trouble> {
        self.server = None;
        for _ in 0..ATTEMPTS {
            let fresh = format!("{}-{}", self.pcm, self.next_id);
            self.next_id += 1;
            let mut server = Server::connect(&self.config, &self.pcm, &fresh).await?;
            self.counts_on = Some(server.clone());
            let began_anew = server.renew().await? == Lease::OfAnotherEpoch
                || !self.count_all(&mut server).await?;
            if began_anew {
                continue;
            }
            let flows = self.book.len();
            tracing::info!(flows, "usage is counted together with other PCMs");
            if !server.settles.is_zero() {
                tracing::warn!(
                    lasts = ?server.settles,
                    "the server of the shared usage has lost its counts: nothing new is granted until every PCM has put back what it counts"
                );
            }
            self.server = Some(server);
            self.told = false;
            return Ok(());
        }
        Err(Trouble::Restless)
    }

    async fn renew(&mut self) -> Result<(), Trouble> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        let counts = match server.renew().await? {
            Lease::Kept => true,
            Lease::OfAnotherEpoch => false,
            Lease::New => {
                let flows = self.book.len();
                tracing::warn!(
                    flows,
                    "the lease on the shared usage had ended; what this PCM has granted is counted again"
                );
                self.count_all(&mut server).await?
            }
        };
        if !counts {
            return self.connect().await;
        }
        self.server = Some(server);
        Ok(())
    }

    fn lost(&mut self, why: &Trouble) {
        self.server = None;
        self.counts_on = None;
        self.next = Instant::now() + RETRY_AFTER;
        if !self.told {
            self.told = true;
            tracing::warn!(
                %why,
                otherwise = ?self.config.when_unreachable,
                "the server of the shared usage cannot be reached"
            );
        }
    }

    /// Has the server count what is in the book, and nothing else; `false` if it began anew
    /// meanwhile.
    async fn count_all(&mut self, server: &mut Server) -> Result<bool, Trouble> {
        let mut counted: HashMap<u64, String> = server.counted().await?;
        let mut steps = Vec::new();
        for line in self.book.values().flatten() {
            let before = counted.remove(&line.id);
            if before != Some(server.written(&line.account, line.amounts)) {
                steps.push(line.step());
            }
        }
        steps.extend(counted.into_keys().map(|id| Step::Release { id }));
        for steps in steps.chunks(MOST_AT_ONCE) {
            if server.take(steps).await?.contains(&OTHER_EPOCH) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn carry_out(&mut self, orders: Vec<Order>) {
        let mut batch = Batch::default();
        for order in orders {
            match order {
                Order::Count(flow, counted) => {
                    if batch.reserves(&flow) {
                        self.finish(std::mem::take(&mut batch)).await;
                    }
                    batch.steps.extend(self.note(flow, counted));
                }
                Order::Reserve(request) => {
                    if batch.reserves(&request.flow) {
                        self.finish(std::mem::take(&mut batch)).await;
                    }
                    let id = self.id_of(&request);
                    batch.reserve(id, request);
                }
            }
        }
        self.finish(batch).await;
    }

    /// Notes what a flow counts now; the steps that make the server count the same.
    fn note(&mut self, flow: FlowKey, counted: Counted) -> Vec<Step> {
        let lines = self.book.entry(flow).or_default();
        let mut steps = Vec::new();
        lines.retain(|line| {
            let stays = counted.iter().any(|(account, _)| *account == line.account);
            if !stays {
                steps.push(Step::Release { id: line.id });
            }
            stays
        });
        // A flow that moves to another subnet has two shares on one account; here it is one flow.
        let mut sums: Vec<(String, Amounts)> = Vec::new();
        for (account, amounts) in counted {
            match sums.iter_mut().find(|(it, _)| *it == account) {
                Some((_, sum)) => *sum = sum.larger(amounts),
                None => sums.push((account, amounts)),
            }
        }
        for (account, amounts) in sums {
            match lines.iter_mut().find(|line| line.account == account) {
                Some(line) if line.amounts == amounts => {}
                Some(line) => {
                    line.amounts = amounts;
                    steps.push(line.step());
                }
                None => {
                    let id = self.next_id;
                    self.next_id += 1;
                    let line = Line {
                        id,
                        account,
                        amounts,
                    };
                    steps.push(line.step());
                    lines.push(line);
                }
            }
        }
        if lines.is_empty() {
            self.book.remove(&flow);
        }
        steps
    }

    /// The id of a flow on an account: that of before, or a new one.
    fn id_of(&mut self, request: &Request) -> u64 {
        let lines = self.book.get(&request.flow);
        let line = lines.and_then(|lines| lines.iter().find(|it| it.account == request.account));
        line.map_or_else(
            || {
                self.next_id += 1;
                self.next_id - 1
            },
            |line| line.id,
        )
    }

    /// Takes the steps of a batch, and tells who waits for them.
    async fn finish(&mut self, batch: Batch) {
        let answers = self.take(&batch.steps).await;
        for (place, id, request) in batch.requests {
            let reserved = match answers.as_ref().and_then(|answers| answers.get(place)) {
                Some(0) => {
                    self.enter(id, &request);
                    Reserved::Granted
                }
                Some(&limit) => match usize::try_from(limit) {
                    Ok(limit) => Reserved::Exceeds(limit - 1),
                    Err(_) => Reserved::Unreachable,
                },
                None => Reserved::Unreachable,
            };
            (request.then)(reserved);
        }
    }

    fn enter(&mut self, id: u64, request: &Request) {
        let lines = self.book.entry(request.flow).or_default();
        match lines.iter_mut().find(|line| line.id == id) {
            Some(line) => line.amounts = request.amounts,
            None => lines.push(Line {
                id,
                account: request.account.clone(),
                amounts: request.amounts,
            }),
        }
    }

    /// The server's answers; `None` if it cannot be reached.
    async fn take(&mut self, steps: &[Step]) -> Option<Vec<i64>> {
        if steps.is_empty() {
            return Some(Vec::new());
        }
        let taken = self.server.as_mut()?.take(steps).await;
        let answers = match taken {
            Err(trouble) if trouble.is_forgetful() => self.connect_and_take(steps).await,
            Ok(answers) if answers.contains(&OTHER_EPOCH) => self.connect_and_take(steps).await,
            Ok(answers) if answers.contains(&NO_LEASE) => match self.renew().await {
                Ok(()) => self.take_again(steps).await,
                Err(trouble) => Err(trouble),
            },
            other => other,
        };
        answers.map_err(|why| self.lost(&why)).ok()
    }

    async fn connect_and_take(&mut self, steps: &[Step]) -> Result<Vec<i64>, Trouble> {
        self.connect().await?;
        self.next = Instant::now() + self.config.lease / 3;
        self.take_again(steps).await
    }

    /// Steps can be taken twice: the second time changes nothing.
    async fn take_again(&mut self, steps: &[Step]) -> Result<Vec<i64>, Trouble> {
        match &mut self.server {
            Some(server) => server.take(steps).await,
            None => Err(Trouble::Restless),
        }
    }
}

impl Line {
    /// Counts it, whatever the limits.
    fn step(&self) -> Step {
        Step::Reserve {
            id: self.id,
            account: self.account.clone(),
            amounts: self.amounts,
            limits: [None; 3],
        }
    }
}

/// Steps that are taken in one go, and who waits for which.
#[derive(Default)]
struct Batch {
    steps: Vec<Step>,
    requests: Vec<(usize, u64, Request)>,
    reserved: Vec<FlowKey>,
}

impl Batch {
    /// Whether something is reserved for a flow: what comes after that needs its outcome.
    fn reserves(&self, flow: &FlowKey) -> bool {
        self.reserved.contains(flow)
    }

    fn reserve(&mut self, id: u64, request: Request) {
        self.reserved.push(request.flow);
        let step = Step::Reserve {
            id,
            account: request.account.clone(),
            amounts: request.amounts,
            limits: request.limits,
        };
        self.requests.push((self.steps.len(), id, request));
        self.steps.push(step);
    }
}
