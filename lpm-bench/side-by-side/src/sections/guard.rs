//! What it costs to keep a library loaded while it is called.

use std::error::Error;
use std::hint::black_box;
use std::sync::RwLock;
use std::sync::atomic::Ordering;

use abi_stable::std_types::{RSlice, RSliceMut};
use arc_swap::ArcSwap;
use lpm_bench::messages;
use peer_interface::{Decision, Request};

use super::Context;
use crate::host_library::gate::Gate;
use crate::host_library::gate::barrier::Barrier;
use crate::library::Stable;
use crate::measure::{Contender, Effort, calls, compare};
use crate::report::Section;

/// What is guarded: the list of LPMs.
type Lpms = Box<[Stable]>;

pub(super) fn measure(context: &Context) -> Result<Section, Box<dyn Error>> {
    let mut section = Section::new("guard", "The guard around a call");
    section.notes.push(
        "Each row is a call of an abi_stable object in a list that may be replaced at any time. `crossbeam-epoch` \
         and `ArcSwap` do not say when the last reader has left, which unloading needs to know."
            .to_owned(),
    );
    let lpms = || -> Result<Lpms, Box<dyn Error>> { Ok(Box::new([Stable::load()?])) };
    let message = messages::path(1);
    let call = |lpm: &Stable, handle| {
        let request = Request {
            handle,
            message: RSlice::from_slice(&message),
        };
        let mut decisions = [Decision::UNANSWERED];
        let decisions_for_it = RSliceMut::from_mut_slice(&mut decisions);
        black_box(lpm.object.admit(black_box(&request), decisions_for_it));
        black_box(&decisions);
    };
    let call = &call;

    let bare = lpms()?;
    let gate = Gate::new(Box::new(lpms()?));
    let portable = Gate::with_barrier(Box::new(lpms()?), Barrier::Swap);
    let of_one_lpm = Gate::new(Box::new(Some(Stable::load()?)));
    let per_lpm = Gate::new(Box::new(
        Box::new([of_one_lpm]) as Box<[Gate<Option<Stable>>]>
    ));
    let rw_lock = RwLock::new(lpms()?);
    let arc_swap = ArcSwap::from_pointee(lpms()?);
    let epoch = crossbeam_epoch::Atomic::new(lpms()?);
    for (threads, case) in [(1, "1 thread"), (2, "2 threads")] {
        let contenders = vec![
            Contender::new("no guard", threads, |_| {
                calls(|i| call(&black_box(&bare)[0], i))
            }),
            Contender::new("gate", threads, |_| {
                calls(|i| call(&black_box(&gate).enter()[0], i))
            }),
            Contender::new("gate, without membarrier", threads, |_| {
                calls(|i| call(&black_box(&portable).enter()[0], i))
            }),
            Contender::new("gate, and one per LPM", threads, |_| {
                calls(|i| {
                    let list = black_box(&per_lpm).enter();
                    if let Some(lpm) = &*list[0].enter() {
                        call(lpm, i);
                    }
                })
            }),
            Contender::new("RwLock", threads, |_| {
                calls(|i| call(&black_box(&rw_lock).read().expect("no panic")[0], i))
            }),
            Contender::new("arc-swap", threads, |_| {
                calls(|i| call(&black_box(&arc_swap).load()[0], i))
            }),
            Contender::new("crossbeam-epoch", threads, |_| {
                calls(|i| {
                    let guard = crossbeam_epoch::pin();
                    let list = black_box(&epoch).load(Ordering::Acquire, &guard);
                    if let Some(list) = crate::library::pinned(list) {
                        call(&list[0], i);
                    }
                })
            }),
        ];
        let effort = Effort::of_calls(context.quick);
        section.comparisons.push(compare(case, contenders, effort));
    }
    Ok(section)
}
