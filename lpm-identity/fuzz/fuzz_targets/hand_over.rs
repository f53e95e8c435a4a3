//! State that is handed over is taken whole or not at all, and what was taken over can be handed
//! over again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lpm_identity::ledger::Ledger;

fuzz_target!(|bytes: &[u8]| {
    let mut ledger = Ledger::new();
    if ledger.take_over(bytes).is_err() {
        assert_eq!(ledger.handed_over(), None);
        return;
    }
    let Some(once) = ledger.handed_over() else {
        return;
    };
    let mut next = Ledger::new();
    next.take_over(&once).expect("what a ledger hands over");
    assert_eq!(next.handed_over(), Some(once));
});
