//! Requests that are answered later: issuing, completing, expiring.

use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use lpm_bench::messages;
use lpm_rsvp::{Message, ObjectIndex};
use sharded_slab::Slab;
use tokio::runtime::{Builder, Runtime};
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

use super::Context;
use crate::host_table::Table;
use crate::library::accepts;
use crate::measure::{Contender, Effort, Lane, calls, compare};
use crate::memory;
use crate::pcms;
use crate::report::{Comparison, Curve, Goal, Plot, Section};

pub(crate) const TABLE: &str = "table of requests";
pub(crate) const SLAB: &str = "sharded-slab";
pub(crate) const MAP: &str = "DashMap";
const QUEUE: &str = "DelayQueue";

/// What waits for an answer, of the size of what the host keeps.
type Asked = [u64; 2];

/// How long requests wait in the queue, in the contest of expiring ones.
const SHORT: Duration = Duration::from_millis(5);

pub(super) fn measure(context: &Context) -> Result<Section, Box<dyn Error>> {
    let mut section = Section::new("deferral", "Answers that come later");
    section.notes.push(
        "Issue and complete: one outstanding request, picked at random, is completed and another one issued. \
         Expire: all are over at once; a request's share. `sharded-slab` knows no time, and cannot be looked \
         through while it is shared."
            .to_owned(),
    );
    let sizes: &[usize] = if context.quick {
        &[1_000, 10_000]
    } else {
        &[1_000, 10_000, 100_000, 1_000_000]
    };
    let mut turnover = Vec::new();
    let mut expiry = Vec::new();
    for &size in sizes {
        turnover.push(issue_and_complete(size, context)?);
        expiry.push(expire(size, context)?);
    }
    section.goals = Goal::at_most(
        "deferral ≤ 60 ns issue + complete (1 000 outstanding)",
        turnover[0].row(TABLE).map(|row| row.value.median),
        60.0,
        " ns",
    )
    .into_iter()
    .collect();
    section.plots = vec![
        plot(
            "deferral",
            "Issue and complete, by outstanding requests",
            sizes,
            &turnover,
        ),
        plot("expiry", "Expire, by outstanding requests", sizes, &expiry),
    ];
    section.comparisons.push(deferred_decision(context)?);
    section.comparisons.extend(turnover);
    section.comparisons.extend(expiry);
    let count = if context.quick { 100_000 } else { 1_000_000 };
    section.comparisons.push(memory::of_requests(count)?);
    Ok(section)
}

/// A whole decision whose LPM defers and then answers, next to one that is answered at once.
fn deferred_decision(context: &Context) -> Result<Comparison, Box<dyn Error>> {
    let bytes = messages::path(1);
    let mut index = ObjectIndex::new();
    let received = pcms::received(Message::parse(&bytes, &mut index)?);
    let at_once = pcms::in_charge([accepts()], "")?;
    let deferred = pcms::in_charge([accepts()], "deferred")?;
    let received = &received;
    let contenders = [
        ("answered at once", &at_once),
        ("deferred, then answered", &deferred),
    ]
    .map(|(name, pcm)| {
        let lane = calls(move |_| {
            black_box(black_box(pcm).admit(black_box(received))).expect("in charge");
        });
        Contender::single(name, lane)
    });
    let contenders = Vec::from(contenders);
    Ok(compare(
        "Pcm::admit, 1 LPM",
        contenders,
        Effort::of_calls(context.quick),
    ))
}

fn issue_and_complete(size: usize, context: &Context) -> Result<Comparison, Box<dyn Error>> {
    let asked = |i: u64| black_box([i, i]);
    let table = Table::new();
    let slab = Slab::<Asked>::new();
    let map = DashMap::new();
    let next = AtomicU64::new(0);
    let insert = |i| {
        let key = next.fetch_add(1, Ordering::Relaxed);
        map.insert(key, asked(i));
        key
    };
    let runtime = runtime()?;
    let mut queue = DelayQueue::with_capacity(size);
    let hour = Duration::from_secs(3_600);
    let contenders = vec![
        Contender::single(
            TABLE,
            turnover(
                size,
                |i| table.issue(asked(i), 1_000_000).expect("open"),
                |handle| {
                    black_box(table.take(handle).expect("outstanding"));
                },
            ),
        ),
        Contender::single(
            SLAB,
            turnover(
                size,
                |i| slab.insert(asked(i)).expect("room"),
                |key| {
                    black_box(slab.take(key).expect("outstanding"));
                },
            ),
        ),
        Contender::single(
            MAP,
            turnover(size, insert, |key| {
                black_box(map.remove(&key).expect("outstanding"));
            }),
        ),
        Contender::single(QUEUE, {
            let _inside = runtime.enter();
            let mut keys: Vec<Key> = (0..size as u64)
                .map(|i| queue.insert(asked(i), hour))
                .collect();
            let mut pick = Pick::among(size);
            let runtime = &runtime;
            Box::new(move |calls| {
                let _inside = runtime.enter();
                let begun = Instant::now();
                for i in 0..calls {
                    let key = &mut keys[pick.next()];
                    black_box(queue.remove(key));
                    *key = queue.insert(asked(i), hour);
                }
                begun.elapsed()
            })
        }),
    ];
    let case = format!(
        "issue + complete, {} outstanding",
        crate::report::figure(size as f64)
    );
    Ok(compare(case, contenders, Effort::of_calls(context.quick)))
}

/// A lane that completes an outstanding request and issues another one.
fn turnover<'a, K: Copy + Send + 'a>(
    size: usize,
    mut issue: impl FnMut(u64) -> K + Send + 'a,
    mut complete: impl FnMut(K) + Send + 'a,
) -> Lane<'a> {
    let mut keys: Vec<K> = (0..size as u64).map(&mut issue).collect();
    let mut pick = Pick::among(size);
    calls(move |i| {
        let key = &mut keys[pick.next()];
        complete(*key);
        *key = issue(i);
    })
}

fn expire(size: usize, context: &Context) -> Result<Comparison, Box<dyn Error>> {
    let rounds = match (context.quick, size) {
        (true, _) => 3,
        (false, 1_000_000..) => 9,
        (false, _) => 31,
    };
    let table = Table::new();
    let map = DashMap::new();
    let runtime = runtime()?;
    let mut queue = DelayQueue::with_capacity(size);
    let contenders = vec![
        Contender::of_many(
            TABLE,
            size,
            Box::new(|_| {
                for i in 0..size as u64 {
                    table.issue([i, i], 10).expect("open");
                }
                let begun = Instant::now();
                let expired = black_box(table.expire(10)).len();
                let elapsed = begun.elapsed();
                assert_eq!(expired, size);
                elapsed
            }),
        ),
        Contender::of_many(
            MAP,
            size,
            Box::new(|_| {
                for i in 0..size as u64 {
                    map.insert(i, ([i, i], 10_u32));
                }
                let begun = Instant::now();
                map.retain(|_, (asked, deadline)| {
                    black_box(asked);
                    *deadline > 10
                });
                let elapsed = begun.elapsed();
                assert!(map.is_empty());
                elapsed
            }),
        ),
        Contender::of_many(
            QUEUE,
            size,
            Box::new(|_| {
                let _inside = runtime.enter();
                for i in 0..size as u64 {
                    queue.insert([i, i], SHORT);
                }
                std::thread::sleep(2 * SHORT);
                let begun = Instant::now();
                let expired = runtime.block_on(async {
                    let mut expired = 0;
                    while let Some(asked) = std::future::poll_fn(|c| queue.poll_expired(c)).await {
                        black_box(asked);
                        expired += 1;
                    }
                    expired
                });
                let elapsed = begun.elapsed();
                assert_eq!(expired, size);
                elapsed
            }),
        ),
    ];
    let case = format!("expire {}", crate::report::figure(size as f64));
    Ok(compare(case, contenders, Effort::of_trials(rounds)))
}

fn runtime() -> Result<Runtime, Box<dyn Error>> {
    Ok(Builder::new_current_thread().enable_time().build()?)
}

/// Places in an order that no cache foresees: a full cycle of a linear congruential generator, cut
/// to size.
struct Pick {
    state: usize,
    size: usize,
}

impl Pick {
    fn among(size: usize) -> Self {
        Self { state: 1, size }
    }

    fn next(&mut self) -> usize {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % self.size
    }
}

fn plot(
    name: &'static str,
    title: &'static str,
    sizes: &[usize],
    comparisons: &[Comparison],
) -> Plot {
    let names = comparisons[0].rows.iter().map(|row| row.what.clone());
    let curves = names.map(|what| {
        let points = sizes.iter().zip(comparisons);
        let points = points.filter_map(|(size, comparison)| {
            Some((*size as f64, comparison.row(&what)?.value.median))
        });
        Curve {
            points: points.collect(),
            what,
        }
    });
    Plot {
        name,
        title,
        x: "outstanding requests",
        y: "nanoseconds a request",
        curves: curves.collect(),
    }
}
