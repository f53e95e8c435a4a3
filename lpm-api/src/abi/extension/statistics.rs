//! [`Statistics`](trait@crate::Statistics) across the boundary.

use abi_stable::std_types::{RString, RVec};
use lpm_abi::{AbiCounter, AbiExtension, AbiStatistics, Erased, ExtensionFunctions};

use crate::abi::caught::caught;
use crate::statistics::Statistics;

struct StatisticsOf<L>(L);

impl<L: Statistics> StatisticsOf<L> {
    const FUNCTIONS: &'static AbiStatistics = &AbiStatistics {
        collect: collect::<L>,
    };
}

/// # Safety
///
/// `lpm` refers to an `L`.
unsafe extern "C" fn collect<L: Statistics>(lpm: &Erased) -> RVec<AbiCounter> {
    // SAFETY: the caller's promise.
    let lpm: &L = unsafe { &*std::ptr::from_ref(lpm).cast() };
    let mut counters = RVec::new();
    // What was reported before a panic is still right.
    let _ = caught(|| {
        lpm.statistics(&mut |name, value| {
            counters.push(AbiCounter {
                name: RString::from(name),
                value,
            });
        });
    });
    counters
}

/// The extension of this name, where that is [`Statistics`](trait@crate::Statistics); for
/// [`export_lpm!`](crate::export_lpm).
#[must_use]
#[expect(
    non_snake_case,
    reason = "`export_lpm!` makes the name from that of the trait"
)]
pub fn Statistics<'a, L: Statistics>(lpm: &'a L, id: &str) -> Option<AbiExtension<'a>> {
    // SAFETY: the functions are those for `L`.
    (id == AbiStatistics::ID)
        .then(|| unsafe { AbiExtension::new(lpm, StatisticsOf::<L>::FUNCTIONS) })
}
