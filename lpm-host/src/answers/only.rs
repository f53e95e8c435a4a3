//! The decision on the only flow of a message, where only one LPM is asked: told without a lock, in
//! one word.
//!
//! Who tells it is the one that took the request off its table. If nobody has looked before it is
//! in the word, and whoever looks finds it there; if somebody has, it is told as all else is.

use self::sync::{AtomicU64, Ordering};
use lpm_abi::AbiDecision;

/// The primitives of the standard library, or those that the model checker watches.
mod sync {
    #[cfg(all(test, loom))]
    pub(super) use loom::sync::atomic::*;
    #[cfg(not(all(test, loom)))]
    pub(super) use std::sync::atomic::*;
}

/// A word for the decision.
pub(super) struct Only(AtomicU64);

/// What an [`Only`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// There is no decision yet, and nobody has looked.
    Open,
    Decided(AbiDecision),
    /// Somebody has looked, or it is not for such a decision.
    Looked,
}

impl Only {
    pub(super) fn new(word: Word) -> Self {
        Self(AtomicU64::new(word.number()))
    }

    /// Tells a legal decision, if nobody has looked; whether it did.
    pub(super) fn decide(&self, decision: AbiDecision) -> bool {
        let (open, decided) = (Word::Open.number(), Word::Decided(decision).number());
        let exchange = self
            .0
            .compare_exchange(open, decided, Ordering::AcqRel, Ordering::Relaxed);
        exchange.is_ok()
    }

    /// What is there now.
    pub(super) fn get(&self) -> Word {
        Word::of(self.0.load(Ordering::Acquire))
    }

    /// Looks: what was there before.
    pub(super) fn look(&self) -> Word {
        match self.get() {
            Word::Looked => Word::Looked,
            _ => Word::of(self.0.swap(Word::Looked.number(), Ordering::AcqRel)),
        }
    }
}

impl Word {
    const OPEN: u64 = 0;
    const LOOKED: u64 = u64::MAX;

    /// A legal decision has an LPM priority value that is not 0, and fits into 16 bits.
    fn number(self) -> u64 {
        match self {
            Self::Open => Self::OPEN,
            Self::Looked => Self::LOOKED,
            Self::Decided(decision) => {
                let reason = u64::from(decision.error_code) << 16 | u64::from(decision.error_value);
                u64::from(decision.lpv) << 32 | reason
            }
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "each part is cut out of the number"
    )]
    fn of(number: u64) -> Self {
        match number {
            Self::OPEN => Self::Open,
            Self::LOOKED => Self::Looked,
            _ => Self::Decided(AbiDecision {
                lpv: (number >> 32) as u32,
                error_code: (number >> 16) as u16,
                error_value: number as u16,
            }),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use lpm_api::{Decision, LpmPolicyError, Priority};

    use super::*;

    #[test]
    fn each_decision_is_a_word_of_its_own() {
        for decision in [
            Decision::Accept(Priority::MIN),
            Decision::Accept(Priority::MAX),
            Decision::DropMessage,
            Decision::DontCare,
            Decision::reject(LpmPolicyError::NoAccepts),
        ] {
            let only = Only::new(Word::Open);
            assert!(only.decide(decision.into()));
            assert!(!only.decide(Decision::DontCare.into()));
            let decided = Word::Decided(decision.into());
            assert_eq!(
                [only.get(), only.look(), only.look()],
                [decided, decided, Word::Looked]
            );
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU32;
    use loom::thread;

    use super::*;

    const DECISION: AbiDecision = AbiDecision {
        lpv: 1,
        error_code: 0,
        error_value: 0,
    };

    /// Of who tells it and those who look exactly one sees to it, with all that was done before.
    #[test]
    fn a_decision_is_told_once() {
        loom::model(|| {
            let only = Arc::new(Only::new(Word::Open));
            let done = Arc::new(AtomicU32::new(0));
            let look = |only: &Only, done: &AtomicU32| match only.look() {
                Word::Decided(_) => {
                    assert_eq!(done.load(Ordering::Relaxed), 1);
                    1
                }
                Word::Open | Word::Looked => 0,
            };
            let teller = {
                let (only, done) = (Arc::clone(&only), Arc::clone(&done));
                thread::spawn(move || {
                    done.store(1, Ordering::Relaxed);
                    u32::from(!only.decide(DECISION))
                })
            };
            let other = {
                let (only, done) = (Arc::clone(&only), Arc::clone(&done));
                thread::spawn(move || look(&only, &done))
            };
            let mut seen_to = look(&only, &done);
            seen_to += other.join().unwrap() + teller.join().unwrap();
            assert_eq!(seen_to, 1);
        });
    }
}
