//! LPMs are started, exchanged and stopped by futures.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use lpm_api::{
    AdmitRequest, Answer, Decision, DeinitError, DeinitReason, InitError, InitInfo, Lpm, Priority,
};
use lpm_host::error::{PcmError, StartError};
use lpm_host::{LpmConfig, LpmSource, Pcm};

/// How many LPMs are alive.
static ALIVE: AtomicUsize = AtomicUsize::new(0);
/// How many are being initialized and wait, and whether they may go on.
static GATE: Mutex<(usize, bool)> = Mutex::new((0, false));
static CHANGED: Condvar = Condvar::new();
/// Both tests use these.
static ALONE: Mutex<()> = Mutex::new(());

/// One whose initialization waits if it is so configured.
struct Waits;

impl Lpm for Waits {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        if init.config() == "wait" {
            let mut gate = GATE.lock().unwrap();
            gate.0 += 1;
            CHANGED.notify_all();
            drop(CHANGED.wait_while(gate, |gate| !gate.1).unwrap());
        }
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Ok(Self)
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        request.decide_all(Decision::accept(Priority::MIN))
    }

    fn deinitialize(self, _: DeinitReason) -> Result<(), DeinitError> {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}

fn waits(name: &str, config: &str) -> LpmConfig {
    LpmConfig::new(name, LpmSource::built_in::<Waits>()).config(config)
}

/// Until one waits in its initialization.
fn until_one_waits() {
    let gate = GATE.lock().unwrap();
    drop(CHANGED.wait_while(gate, |gate| gate.0 == 0).unwrap());
}

fn open(open: bool) {
    *GATE.lock().unwrap() = (0, open);
    CHANGED.notify_all();
}

fn block_on<F: Future>(future: F) -> F::Output {
    struct Unparks(Thread);
    impl Wake for Unparks {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unparks(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn the_newest_of_the_lists_that_wait_is_put_in_force() {
    let _alone = ALONE.lock().unwrap();
    open(false);
    let pcm = Pcm::builder().lpm(waits("first", "")).build().unwrap();
    assert_eq!(block_on(pcm.become_dsbm_later()).unwrap().lpms.len(), 1);
    let again = block_on(pcm.become_dsbm_later());
    assert!(
        matches!(again, Err(StartError::Pcm(PcmError::AlreadyDsbm))),
        "{again:?}"
    );

    let second = pcm.reconfigure_later([waits("second", "wait")]);
    until_one_waits();
    let third = pcm.reconfigure_later([waits("third", "")]);
    let fourth = pcm.reconfigure_later([waits("fourth", "")]);
    open(true);
    let second = block_on(second).unwrap();
    assert_eq!(&*second.started.lpms[0].name, "second");
    let third = block_on(third);
    assert!(
        matches!(third, Err(StartError::Pcm(PcmError::Superseded))),
        "{third:?}"
    );
    let fourth = block_on(fourth).unwrap();
    assert_eq!(&*fourth.started.lpms[0].name, "fourth");
    assert_eq!(&*fourth.stopped.lpms[0].name, "second");

    let end = block_on(pcm.shutdown_later()).unwrap();
    assert_eq!(&*end.lpms[0].name, "fourth");
    assert_eq!(ALIVE.load(Ordering::Relaxed), 0);
    let late = block_on(pcm.reconfigure_later([waits("fifth", "")]));
    assert!(
        matches!(late, Err(StartError::Pcm(PcmError::ShutDown))),
        "{late:?}"
    );
}

#[test]
fn a_change_that_nobody_waits_for_is_made_and_undone_with_the_pcm() {
    let _alone = ALONE.lock().unwrap();
    open(false);
    let pcm = Pcm::builder().lpm(waits("only", "wait")).build().unwrap();
    drop(pcm.become_dsbm_later());
    until_one_waits();
    let ends = pcm.shutdown_later();
    open(true);
    drop(pcm);
    let ended = block_on(ends);
    // Whichever of the two is first stops the LPM.
    assert!(
        matches!(ended, Ok(_) | Err(PcmError::ShutDown)),
        "{ended:?}"
    );
    assert_eq!(ALIVE.load(Ordering::Relaxed), 0);
}
