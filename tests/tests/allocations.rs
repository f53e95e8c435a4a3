//! A decision at once allocates nothing in the PCM; LPMs write theirs where the PCM reads it.
#![forbid(unsafe_code)]

use allocation_counter::AllocationInfo;
use lpm_host::{LpmConfig, Pcm};
use lpm_tests::library;
use lpm_tests::messages::{path, resv, with_received};

#[test]
fn a_decision_at_once_allocates_nothing() {
    for lpms in [1, 4, 16] {
        let pcm = pcm(lpms);
        for message in [path(4000), resv()] {
            let allocated = allocated(&pcm, &message);
            assert_eq!(allocated.count_total, 0, "{lpms} LPMs: {allocated:?}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_decision_of_an_lpm_in_a_process_of_its_own_allocates_nothing_here() {
    let lpm = LpmConfig::new("accepts", library("accepts"));
    let isolated = Pcm::builder().lpm(lpm.isolation(lpm_host::Isolation::Process));
    let pcm = isolated.runner(lpm_tests::runner()).build().unwrap();
    pcm.become_dsbm().unwrap();
    for message in [path(4000), resv()] {
        let allocated = allocated(&pcm, &message);
        assert_eq!(allocated.count_total, 0, "{allocated:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn one_of_many_decisions_allocates_nothing_where_it_is_asked_for() {
    let lpm = LpmConfig::new("accepts", library("accepts")).call_mode(lpm_host::CallMode::worker());
    let isolated = Pcm::builder().lpm(lpm.isolation(lpm_host::Isolation::Process));
    let pcm = isolated.runner(lpm_tests::runner()).build().unwrap();
    pcm.become_dsbm().unwrap();
    with_received(&path(4000), |received| {
        let mut open = Vec::with_capacity(200);
        let mut ask = || {
            open.extend((0..200).map(|_| pcm.admit_later(received).unwrap()));
            open.drain(..).for_each(|admission| drop(admission.wait()));
        };
        // The LPM's thread may still hold on to one when its answer is there.
        let mut rounds = (0..1000).map(|_| allocation_counter::measure(&mut ask).count_total);
        assert!(rounds.any(|allocated| allocated == 0));
    });
}

#[test]
fn a_decision_that_is_put_off_does() {
    let deferring =
        Pcm::builder().lpm(LpmConfig::new("accepts", library("accepts")).config("deferred"));
    let pcm = deferring.build().unwrap();
    pcm.become_dsbm().unwrap();
    assert_ne!(allocated(&pcm, &path(4000)).count_total, 0);
}

fn pcm(lpms: usize) -> Pcm {
    let named = |number| LpmConfig::new(format!("accepts {number}"), library("accepts"));
    let builder = (0..lpms).fold(Pcm::builder(), |builder, number| builder.lpm(named(number)));
    let pcm = builder.build().unwrap();
    pcm.become_dsbm().unwrap();
    pcm
}

/// What the second of two equal requests allocates on this thread.
fn allocated(pcm: &Pcm, message: &[u8]) -> AllocationInfo {
    with_received(message, |received| {
        let admit = || drop(pcm.admit(received).unwrap());
        admit();
        allocation_counter::measure(admit)
    })
}
