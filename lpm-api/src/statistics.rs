//! An extension of the API: counters of an LPM.

use crate::lpm::Lpm;

/// An LPM that counts what it does. An extension: an LPM offers it by naming it in
/// [`export_lpm!`](crate::export_lpm), and a PCM that does not know it never asks.
///
/// ```
/// # use lpm_api::{AdmitRequest, Answer, Decision, InitError, InitInfo, Lpm, Statistics};
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// struct Counts(AtomicU64);
/// # impl Lpm for Counts {
/// #     fn initialize(_: InitInfo<'_>) -> Result<Self, InitError> { Ok(Self(AtomicU64::new(0))) }
/// #     fn admit(&self, request: AdmitRequest<'_>) -> Answer {
/// #         self.0.fetch_add(1, Ordering::Relaxed);
/// #         request.decide_all(Decision::DontCare)
/// #     }
/// # }
/// impl Statistics for Counts {
///     fn statistics(&self, report: &mut dyn FnMut(&str, u64)) {
///         report("messages", self.0.load(Ordering::Relaxed));
///     }
/// }
///
/// lpm_api::export_lpm!(Counts; Statistics);
/// # fn main() {}
/// ```
pub trait Statistics: Lpm {
    /// Reports each counter with its name in snake_case. Counters only grow while the LPM is
    /// initialized. Called from any thread, seldom.
    fn statistics(&self, report: &mut dyn FnMut(&str, u64));
}
