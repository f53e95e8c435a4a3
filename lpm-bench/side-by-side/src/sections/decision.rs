//! One synchronous decision on a Path.

use std::error::Error;
use std::hint::black_box;

use abi_stable::std_types::{RSlice, RSliceMut};
use lpm_bench::messages;
use lpm_host::Pcm;
use lpm_rsvp::{Message, ObjectIndex};
use peer_interface::{Decision, Request, StabbyDecision, StabbyDyn, StabbyRequest};
use wasmtime::{Engine, Instance, Memory, Module, Store, TypedFunc};

use super::Context;
use crate::library::{CFunction, StabbyPeer, Stable, accepts};
use crate::measure::{Contender, Effort, calls, compare};
use crate::report::{Comparison, Curve, Goal, Plot, Section};
use crate::{child, pcms};

const DYN: &str = "dyn call";
const STABLE: &str = "abi_stable object";
const WASM: &str = "wasmtime";
const CHILD: &str = "child process";
const LPMS: [(usize, &str); 3] = [
    (1, "Pcm::admit, 1 LPM"),
    (4, "Pcm::admit, 4 LPMs"),
    (16, "Pcm::admit, 16 LPMs"),
];

pub(super) fn measure(context: &Context) -> Result<Section, Box<dyn Error>> {
    let mut section = Section::new("decision", "One synchronous decision");
    section.notes.push(
        "Everybody accepts each flow without looking. Ratios are to the dyn call in the same binary. wasmtime gets \
         the message copied into its memory; the child process gets it over a unix socket."
            .to_owned(),
    );
    for (threads, case) in [(1, "1 thread"), (2, "2 threads")] {
        section.comparisons.push(contest(case, threads, context)?);
    }
    let one = &section.comparisons[0];
    section.goals = [
        Goal::at_most(
            "decision with one LPM ≤ 3× the bare abi_stable call",
            one.ratio(LPMS[0].1, STABLE),
            3.0,
            "×",
        ),
        Goal::at_least(
            "decision with one LPM ≥ 7× faster than wasmtime",
            one.ratio(WASM, LPMS[0].1),
            7.0,
            "×",
        ),
        Goal::at_least(
            "decision with one LPM ≥ 1 000× faster than a child process",
            one.ratio(CHILD, LPMS[0].1),
            1_000.0,
            "×",
        ),
        Goal::at_most(
            "16 LPMs ≤ 16× the cost of one",
            one.ratio(LPMS[2].1, LPMS[0].1),
            16.0,
            "×",
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    section.plots.push(plot(&section.comparisons));
    Ok(section)
}

fn contest(case: &str, threads: usize, context: &Context) -> Result<Comparison, Box<dyn Error>> {
    let bytes = messages::path(1);
    let message = bytes.as_slice();
    let mut index = ObjectIndex::new();
    let received = pcms::received(Message::parse(message, &mut index)?);
    let accepts_all: &(dyn Decider + Send + Sync) = black_box(&Accepts);
    let function = CFunction::load()?;
    let stable = Stable::load()?;
    let stabby = StabbyPeer::load()?;
    let mut pcms = Vec::new();
    for (count, _) in LPMS {
        pcms.push(pcms::in_charge((0..count).map(|_| accepts()), "")?);
    }

    let mut contenders = vec![
        Contender::new(DYN, threads, |_| {
            calls(move |_| {
                let mut decisions = [Decision::UNANSWERED];
                black_box(black_box(accepts_all).admit(black_box(message), &mut decisions));
                black_box(&decisions);
            })
        }),
        Contender::new("C function", threads, |_| {
            calls(|_| {
                let mut decisions = [Decision::UNANSWERED];
                black_box(black_box(&function).admit(black_box(message), &mut decisions));
                black_box(&decisions);
            })
        }),
        Contender::new(STABLE, threads, |_| {
            calls(|handle| {
                let request = Request {
                    handle,
                    message: RSlice::from_slice(message),
                };
                let mut decisions = [Decision::UNANSWERED];
                let decisions_for_it = RSliceMut::from_mut_slice(&mut decisions);
                black_box(stable.object.admit(black_box(&request), decisions_for_it));
                black_box(&decisions);
            })
        }),
        Contender::new("stabby object", threads, |_| {
            calls(|handle| {
                let request = StabbyRequest {
                    handle,
                    message: message.into(),
                };
                let mut decisions = [StabbyDecision {
                    lpv: u32::MAX,
                    error_code: 0,
                    error_value: 0,
                }];
                let decisions_for_it = (&mut decisions[..]).into();
                black_box(stabby.object.admit(black_box(&request), decisions_for_it));
                black_box(&decisions);
            })
        }),
    ];
    let mut guests = (0..threads)
        .map(|_| Guest::start())
        .collect::<Result<Vec<_>, _>>()?;
    contenders.push(Contender::new(WASM, threads, |_| {
        let mut guest = guests.pop().expect("one for each thread");
        calls(move |_| {
            black_box(guest.admit(black_box(message)));
        })
    }));
    let mut children = (0..threads)
        .map(|_| child::Decider::start())
        .collect::<Result<Vec<_>, _>>()?;
    contenders.push(Contender::new(CHILD, threads, |_| {
        let mut child = children.pop().expect("one for each thread");
        calls(move |_| {
            black_box(child.ask(black_box(message)).expect("the child answers"));
        })
    }));
    for ((_, name), pcm) in LPMS.iter().zip(&pcms) {
        let (pcm, received): (&Pcm, _) = (pcm, &received);
        contenders.push(Contender::new(*name, threads, |_| {
            calls(move |_| {
                black_box(black_box(pcm).admit(black_box(received))).expect("in charge");
            })
        }));
    }
    Ok(compare(case, contenders, Effort::of_calls(context.quick)))
}

fn plot(comparisons: &[Comparison]) -> Plot {
    let curves = comparisons.iter().map(|comparison| Curve {
        what: comparison.case.clone(),
        points: LPMS
            .iter()
            .filter_map(|(count, name)| Some((*count as f64, comparison.row(name)?.value.median)))
            .collect(),
    });
    Plot {
        name: "decision",
        title: "Pcm::admit by the number of LPMs",
        x: "LPMs",
        y: "nanoseconds a decision",
        curves: curves.collect(),
    }
}

/// A peer in the same binary.
trait Decider {
    fn admit(&self, message: &[u8], decisions: &mut [Decision]) -> u32;
}

struct Accepts;

impl Decider for Accepts {
    #[inline(never)]
    fn admit(&self, _: &[u8], decisions: &mut [Decision]) -> u32 {
        decisions.fill(Decision::ACCEPT);
        0
    }
}

/// A peer in a WebAssembly sandbox.
struct Guest {
    store: Store<()>,
    memory: Memory,
    admit: TypedFunc<(u32, u32, u32), u32>,
}

impl Guest {
    /// Where the message, and the decision, are in its memory.
    const MESSAGE: usize = 1024;
    const DECISION: usize = 512;

    /// What it runs: `admit(message, length, decision) -> status`.
    const TEXT: &'static str = r#"(module (memory (export "memory") 2)
        (func (export "admit") (param i32 i32 i32) (result i32)
            (i32.store (local.get 2) (i32.const 1))
            (i32.store offset=4 (local.get 2) (i32.const 0))
            (i32.const 0)))"#;

    fn start() -> Result<Self, Box<dyn Error>> {
        let engine = Engine::default();
        let module = Module::new(&engine, Self::TEXT)?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        Ok(Self {
            memory: instance
                .get_memory(&mut store, "memory")
                .ok_or("no memory")?,
            admit: instance.get_typed_func(&mut store, "admit")?,
            store,
        })
    }

    fn admit(&mut self, message: &[u8]) -> u32 {
        let Self {
            store,
            memory,
            admit,
        } = self;
        memory.data_mut(&mut *store)[Self::MESSAGE..][..message.len()].copy_from_slice(message);
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let (at, length) = (place(Self::MESSAGE), place(message.len()));
        let answer = admit.call(&mut *store, (at, length, place(Self::DECISION)));
        answer.expect("it does not trap");
        let decision = memory.data(&*store)[Self::DECISION..].first_chunk();
        u32::from_ne_bytes(*decision.expect("inside its memory"))
    }
}
