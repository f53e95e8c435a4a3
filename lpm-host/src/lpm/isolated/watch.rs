//! To watch for a moment before one sleeps.
//!
//! To be woken takes microseconds, to see that a word has changed a fraction of one. So who waits
//! for the other process looks for a [`MOMENT`] first, which costs about as much processor as to
//! sleep and to be woken does, on both sides. Where that was in vain it sleeps at once the next
//! time, then the next three times, then seven: who always watches in vain does so every
//! thousandth time in the end. So it goes where the two have the same processor, or the machine
//! other work for all of them.

#[cfg(not(all(test, loom)))]
use std::hint;
#[cfg(not(all(test, loom)))]
use std::time::{Duration, Instant};

/// For how long to watch.
#[cfg(not(all(test, loom)))]
const MOMENT: Duration = Duration::from_micros(10);
/// Looks from one glance at the clock to the next.
#[cfg(not(all(test, loom)))]
const LOOKS: u32 = 16;
/// One time in 2¹⁰ is watched that is always in vain.
const SELDOM: u32 = 10;

/// How well it has paid off for a thread to watch.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Whether there is another processor, on which something can change meanwhile.
    is_of_use: bool,
    /// How many times it was in vain, one after the other.
    in_vain: u32,
    /// How many times more not to watch.
    skip: u32,
}

impl Watch {
    /// For this process, on so many processors.
    pub(crate) const fn on(processors: usize) -> Self {
        Self {
            is_of_use: processors > 1,
            in_vain: 0,
            skip: 0,
        }
    }

    /// Watches for a moment, if that is of use; whether it was.
    pub(crate) fn watch(&mut self, has_come: impl Fn() -> bool) -> bool {
        if !self.is_of_use {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let came = comes(has_come);
        self.in_vain = match came {
            true => 0,
            false => SELDOM.min(self.in_vain + 1),
        };
        self.skip = (1 << self.in_vain) - 1;
        came
    }
}

#[cfg(not(all(test, loom)))]
fn comes(has_come: impl Fn() -> bool) -> bool {
    let mut end = None;
    loop {
        for _ in 0..LOOKS {
            if has_come() {
                return true;
            }
            hint::spin_loop();
        }
        let now = Instant::now();
        if now >= *end.get_or_insert(now + MOMENT) {
            return false;
        }
    }
}

/// One look.
#[cfg(all(test, loom))]
fn comes(has_come: impl Fn() -> bool) -> bool {
    has_come()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn on_one_processor_nobody_watches() {
        assert!(!Watch::on(1).watch(|| panic!("it looks")));
    }

    #[test]
    fn what_is_in_vain_is_tried_ever_less_often() {
        let mut watch = Watch::on(2);
        let looked = Cell::new(false);
        let mut tries = Vec::new();
        for time in 0..4000 {
            assert!(!watch.watch(|| {
                looked.set(true);
                false
            }));
            if looked.take() {
                tries.push(time);
            }
        }
        let gaps: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024]);
    }

    #[test]
    fn what_pays_off_goes_on() {
        let mut watch = Watch::on(2);
        for _ in 0..10 {
            assert!(watch.watch(|| true));
        }
        assert!(!watch.watch(|| false));
        assert!(!watch.watch(|| panic!("it looks")));
        assert!(watch.watch(|| true));
        assert!(watch.watch(|| true));
    }
}
