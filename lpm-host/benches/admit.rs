//! What a decision costs, next to a bare call through the same ABI:
//! `cargo bench -p lpm-host --bench admit`.
//!
//! [`rounds`] says how it is measured.

// A bare call needs what is otherwise the host's affair, and the macro places items as it likes.
#![allow(unsafe_code, non_local_definitions)]

use std::hint::black_box;
use std::ptr;

use abi_stable::sabi_trait;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RBox, RSlice, RSliceMut};
use lpm_abi::{
    AbiAdmit, AbiAnswer, AbiDecision, AbiInterface, AbiTime, AdmitCall, AdmitCallFunctions,
};
use lpm_api::abi::abi_message;
use lpm_host::Pcm;
use lpm_rsvp::{Message, ObjectIndex};

#[allow(dead_code, unused_imports)]
#[path = "../src/requests/shard.rs"]
mod shard;
#[allow(dead_code, unused_imports)]
#[path = "../src/requests/table.rs"]
mod table;

mod asked;
mod rounds;

use asked::{path, pcm, received};
use rounds::variant;
use table::Table;

/// What one would write with abi_stable alone.
#[sabi_trait]
trait Policy: Send + Sync {
    #[sabi(last_prefix_field)]
    fn admit(&self, request: &AbiAdmit<'_>, decisions: RSliceMut<'_, AbiDecision>) -> AbiAnswer;
}

/// Accepts without looking.
struct Bare;

impl Policy for Bare {
    fn admit(&self, _: &AbiAdmit<'_>, mut decisions: RSliceMut<'_, AbiDecision>) -> AbiAnswer {
        for decision in decisions.as_mut_slice() {
            decision.lpv = 1;
        }
        AbiAnswer::with_flags(0)
    }
}

/// A request that several threads make.
struct Shared<'a>(AbiAdmit<'a>);

// SAFETY: nothing of its `AdmitCall` is asked for.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    fn get(&self) -> &AbiAdmit<'a> {
        &self.0
    }
}

fn main() {
    let bytes = path();
    let mut index = ObjectIndex::new();
    let received = received(Message::parse(&bytes, &mut index).expect("well-formed"));
    let request = Shared(AbiAdmit {
        integrity_verified: false,
        message: abi_message(received.message),
        // SAFETY: they take any pointer.
        call: unsafe { AdmitCall::new(ptr::null(), &NOTHING) },
        places: RSlice::EMPTY,
    });
    let bare: Policy_TO<'_, RBox<()>> = Policy_TO::from_value(Bare, TD_Opaque);
    let [one, four, sixteen] = [1, 4, 16].map(|count| pcm(count, ""));
    let deferred = pcm(1, "deferred");
    let table = Table::new();
    let admit = |pcm: &Pcm| {
        black_box(black_box(pcm).admit(black_box(&received))).expect("in charge");
    };
    let variants = [
        variant("bare abi_stable call", |_| {
            let mut decisions = [AbiDecision::UNANSWERED];
            black_box(bare.admit(
                black_box(&request).get(),
                RSliceMut::from_mut_slice(&mut decisions),
            ));
            black_box(&decisions);
        }),
        variant("admit, 1 LPM", |_| admit(&one)),
        variant("admit, 4 LPMs", |_| admit(&four)),
        variant("admit, 16 LPMs", |_| admit(&sixteen)),
        variant("admit, 1 LPM that defers and answers", |_| admit(&deferred)),
        variant("request on the table: issue, take", |_| {
            let handle = table.issue(black_box([0_u64; 2]), 1).expect("open");
            black_box(table.take(handle)).expect("is there");
        }),
    ];
    rounds::run(&variants);
}

static NOTHING: AdmitCallFunctions = {
    unsafe extern "C" fn issue(_: *const ()) -> u64 {
        unreachable!("not asked for")
    }
    unsafe extern "C" fn received(_: *const ()) -> AbiTime {
        unreachable!("not asked for")
    }
    unsafe extern "C" fn interface(_: *const ()) -> AbiInterface {
        unreachable!("not asked for")
    }
    AdmitCallFunctions {
        issue,
        received,
        interface,
    }
};
