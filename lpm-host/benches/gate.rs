//! What entering the gate adds to a call through the plugin ABI, next to the usual alternatives:
//! `cargo bench -p lpm-host --bench gate`.
//!
//! [`rounds`] says how it is measured.

// What `sabi_trait` generates, and the gate itself, which is not public and therefore included by
// path.
#![allow(unsafe_code, non_local_definitions)]

use std::hint::black_box;
use std::sync::RwLock;

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RArc, RBox, RSlice, RSliceMut};
use abi_stable::{StableAbi, sabi_trait};
use arc_swap::ArcSwap;

#[allow(dead_code, unused_imports, unreachable_pub)]
#[path = "../../libunload/src"]
mod library {
    pub(crate) mod gate;
}

mod rounds;

use library::gate::Gate;
use library::gate::barrier::Barrier;
use rounds::variant;

/// A call of the shape of `lpm-api`'s `admit`, which does next to nothing: what counts is the way
/// there.
#[sabi_trait]
trait Admit: Send + Sync {
    fn admit(&self, request: &Request<'_>, decisions: RSliceMut<'_, Decision>) -> u32;
}

#[repr(C)]
#[derive(StableAbi)]
struct Request<'a> {
    handle: u64,
    message: RSlice<'a, u8>,
}

#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
struct Decision {
    lpv: u32,
    error_code: u16,
    error_value: u16,
}

struct Lpm(u32);

impl Admit for Lpm {
    fn admit(&self, request: &Request<'_>, mut decisions: RSliceMut<'_, Decision>) -> u32 {
        decisions[0].lpv = self.0 + u32::from(request.handle == 0) + u32::from(request.message[0]);
        0
    }
}

type LpmObject = Admit_TO<'static, RBox<()>>;

fn lpms() -> Box<[LpmObject]> {
    Box::new([Admit_TO::from_value(Lpm(7), TD_Opaque)])
}

fn main() {
    let message = [0x10_u8; 64];
    let call = |lpm: &LpmObject, handle: u64| {
        let request = Request {
            handle,
            message: RSlice::from_slice(&message),
        };
        let mut decisions = [Decision {
            lpv: u32::MAX,
            error_code: 0,
            error_value: 0,
        }];
        black_box(lpm.admit(
            black_box(&request),
            RSliceMut::from_mut_slice(&mut decisions),
        ));
        black_box(&decisions);
    };

    let bare = lpms();
    let gate = Gate::new(Box::new(lpms()));
    let portable = Gate::with_barrier(Box::new(lpms()), Barrier::Swap);
    let per_lpm = Gate::new(Box::new(
        lpms()
            .into_iter()
            .map(|lpm| Gate::new(Box::new(Some(lpm))))
            .collect::<Box<[_]>>(),
    ));
    let arc_swap = ArcSwap::from_pointee(lpms());
    let rw_lock = RwLock::new(lpms());
    let arc = RArc::new(lpms());

    let variants = [
        variant("bare abi_stable call", |i| call(&black_box(&bare)[0], i)),
        variant("gate", |i| call(&black_box(&gate).enter()[0], i)),
        variant("gate, no membarrier", |i| {
            call(&black_box(&portable).enter()[0], i);
        }),
        variant("gate, and one per LPM", |i| {
            let list = black_box(&per_lpm).enter();
            if let Some(lpm) = &*list[0].enter() {
                call(lpm, i);
            }
        }),
        variant("ArcSwap::load", |i| {
            call(&black_box(&arc_swap).load()[0], i);
        }),
        variant("RwLock::read", |i| {
            call(&black_box(&rw_lock).read().unwrap()[0], i);
        }),
        variant("Arc::clone", |i| call(&black_box(&arc).clone()[0], i)),
    ];

    rounds::run(&variants);
}
