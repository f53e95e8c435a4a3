//! Ordering, merging and summing of traffic and service descriptions (RFC 2211 §8, RFC 2212
//! "Ordering and Merging"), and the composition of ADSPEC values (RFC 2215 §3, RFC 2212).

use core::cmp::Ordering;

use super::adspec::{GeneralParameters, GuaranteedParameters};
use super::flow_spec::{Rspec, ServiceRequest};
use super::tspec::Tspec;

impl Tspec {
    /// Whether a reservation for `self` is as good for the traffic of `other` as one for
    /// `other`: at least its rates and sizes, at most its minimum policed unit.
    #[must_use]
    pub fn substitutes(&self, other: &Self) -> bool {
        self.rate >= other.rate
            && self.bucket >= other.bucket
            && self.peak_rate >= other.peak_rate
            && self.min_policed <= other.min_policed
            && self.max_packet >= other.max_packet
    }

    /// The order that [`substitutes`](Self::substitutes) makes; `None` for unordered Tspecs.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self.substitutes(other), other.substitutes(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }

    /// The Tspec of a merged reservation: what both need, with the smaller maximum packet
    /// size, so that nothing is promised that one of the paths cannot carry.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        Self {
            max_packet: self.max_packet.min(other.max_packet),
            ..self.least_common(other)
        }
    }

    /// The least Tspec that describes the traffic of either one.
    #[must_use]
    pub fn least_common(&self, other: &Self) -> Self {
        Self {
            rate: self.rate.max(other.rate),
            bucket: self.bucket.max(other.bucket),
            peak_rate: self.peak_rate.max(other.peak_rate),
            min_policed: self.min_policed.min(other.min_policed),
            max_packet: self.max_packet.max(other.max_packet),
        }
    }

    /// The Tspec of both flows together. Rate and bucket stay finite; a peak rate that is
    /// unknown for one is unknown for both.
    #[must_use]
    pub fn sum(&self, other: &Self) -> Self {
        Self {
            rate: (self.rate + other.rate).min(f32::MAX),
            bucket: (self.bucket + other.bucket).min(f32::MAX),
            peak_rate: self.peak_rate + other.peak_rate,
            ..self.least_common(other)
        }
    }

    /// The minimum of two Tspecs: the lesser one if they are ordered, else value by value,
    /// where the *larger* bucket counts as the minimum.
    #[must_use]
    pub fn minimum(&self, other: &Self) -> Self {
        match self.compare(other) {
            Some(Ordering::Less | Ordering::Equal) => *self,
            Some(Ordering::Greater) => *other,
            None => Self {
                rate: self.rate.min(other.rate),
                bucket: self.bucket.max(other.bucket),
                peak_rate: self.peak_rate.min(other.peak_rate),
                min_policed: self.min_policed.min(other.min_policed),
                max_packet: self.max_packet.min(other.max_packet),
            },
        }
    }
}

impl Rspec {
    /// Whether `self` is as good as `other`: at least its rate with at most its slack.
    #[must_use]
    pub fn substitutes(&self, other: &Self) -> bool {
        self.rate >= other.rate && self.slack <= other.slack
    }

    /// The RSpec of a merged reservation: the larger rate, the smaller slack.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        Self {
            rate: self.rate.max(other.rate),
            slack: self.slack.min(other.slack),
        }
    }

    /// Spends slack on a lower rate: the RSpec to pass upstream when this node reserves only
    /// `rate` bytes/s. `c_tot` is the rate-dependent error term in bytes, summed up to and
    /// including this node.
    ///
    /// `None` unless r ≤ `rate` ≤ R and the slack suffices for the longer delay
    /// (b + Ctot) / `rate` − (b + Ctot) / R.
    #[must_use]
    pub fn with_rate(&self, rate: f32, tspec: &Tspec, c_tot: u32) -> Option<Self> {
        if !(tspec.rate..=self.rate).contains(&rate) {
            return None;
        }
        let bytes = f64::from(tspec.bucket) + f64::from(c_tot);
        let delay = |rate: f32| {
            if bytes == 0.0 {
                0.0
            } else {
                bytes * 1e6 / f64::from(rate)
            }
        };
        let slack = f64::from(self.slack) - (delay(rate) - delay(self.rate));
        // Whole microseconds, rounded down: the receiver's bound holds either way.
        (slack >= 0.0).then(|| Self {
            rate,
            slack: floor(slack, self.slack),
        })
    }
}

/// A non-negative number rounded down, at most `limit`. (`core` has no rounding yet, and the
/// cast saturates.)
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates"
)]
fn floor(number: f64, limit: u32) -> u32 {
    (number as u32).min(limit)
}

impl ServiceRequest {
    /// The request of a merged reservation. `None` for requests of different services: there
    /// is no rule for them, nodes answer with traffic control error "services conflict".
    #[must_use]
    pub fn merge(&self, other: &Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::ControlledLoad(a), Self::ControlledLoad(b)) => Self::ControlledLoad(a.merge(b)),
            (Self::Guaranteed(a, r), Self::Guaranteed(b, s)) => {
                Self::Guaranteed(a.merge(b), r.merge(s))
            }
            (Self::Null { max_packet: a }, Self::Null { max_packet: b }) => Self::Null {
                max_packet: *a.min(b),
            },
            _ => return None,
        })
    }
}

/// The greatest count of hops (RFC 2215 §3.2).
const MAX_IS_HOPS: u32 = 255;

/// What one node exports for service 1: the local values of RFC 2215.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct HopParameters {
    /// Available bandwidth in bytes/s; 0 = no estimate.
    pub bandwidth: f32,
    /// Minimum latency in microseconds; `u32::MAX` = indeterminate.
    pub latency: u32,
    /// MTU in bytes.
    pub mtu: u32,
}

impl GeneralParameters {
    /// The values after one more node.
    #[must_use]
    pub fn compose(&self, hop: &HopParameters) -> Self {
        Self {
            break_bit: self.break_bit,
            is_hops: self.is_hops.saturating_add(1).min(MAX_IS_HOPS),
            // A 0, "no estimate", stays 0 through the minimum.
            path_bandwidth: self.path_bandwidth.min(hop.bandwidth),
            minimum_latency: self.minimum_latency.saturating_add(hop.latency),
            path_mtu: self.path_mtu.min(hop.mtu),
        }
    }
}

impl GuaranteedParameters {
    /// The values after one more node with error terms `c` (bytes) and `d` (microseconds).
    #[must_use]
    pub fn compose(&self, c: u32, d: u32) -> Self {
        Self {
            break_bit: self.break_bit,
            c_tot: self.c_tot.saturating_add(c),
            d_tot: self.d_tot.saturating_add(d),
            c_sum: self.c_sum.saturating_add(c),
            d_sum: self.d_sum.saturating_add(d),
        }
    }

    /// The values after a node that reshapes the traffic: the partial sums begin anew.
    #[must_use]
    pub fn reshaped(&self) -> Self {
        Self {
            c_sum: 0,
            d_sum: 0,
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Tspec = Tspec {
        rate: 10.0,
        bucket: 100.0,
        peak_rate: 20.0,
        min_policed: 64,
        max_packet: 1500,
    };
    const B: Tspec = Tspec {
        rate: 20.0,
        bucket: 50.0,
        peak_rate: f32::INFINITY,
        min_policed: 40,
        max_packet: 576,
    };

    #[test]
    fn order() {
        let greater = Tspec {
            rate: 11.0,
            min_policed: 63,
            ..A
        };
        assert_eq!(A.compare(&A), Some(Ordering::Equal));
        assert_eq!(greater.compare(&A), Some(Ordering::Greater));
        assert_eq!(A.compare(&greater), Some(Ordering::Less));
        assert_eq!(A.compare(&B), None);
        assert!(
            Tspec {
                peak_rate: f32::INFINITY,
                ..A
            }
            .substitutes(&A)
        );
    }

    #[test]
    fn merge_least_common_sum_minimum() {
        let largest = Tspec {
            rate: 20.0,
            bucket: 100.0,
            peak_rate: f32::INFINITY,
            min_policed: 40,
            max_packet: 1500,
        };
        assert_eq!(A.least_common(&B), largest);
        assert_eq!(
            A.merge(&B),
            Tspec {
                max_packet: 576,
                ..largest
            }
        );
        assert_eq!(
            A.sum(&B),
            Tspec {
                rate: 30.0,
                bucket: 150.0,
                ..largest
            }
        );
        assert_eq!(A.sum(&A).peak_rate, 40.0);
        let minimum = Tspec {
            rate: 10.0,
            bucket: 100.0,
            peak_rate: 20.0,
            min_policed: 40,
            max_packet: 576,
        };
        assert_eq!(A.minimum(&B), minimum);
        let lesser = Tspec { bucket: 99.0, ..A };
        assert_eq!((A.minimum(&lesser), lesser.minimum(&A)), (lesser, lesser));
        let huge = Tspec {
            rate: f32::MAX,
            ..A
        };
        assert!(huge.sum(&huge).is_legal());
    }

    proptest::proptest! {
        #[test]
        fn laws(a in specs(), b in specs()) {
            proptest::prop_assert!(a.least_common(&b).substitutes(&a));
            proptest::prop_assert!(a.least_common(&b).substitutes(&b));
            proptest::prop_assert_eq!(a.merge(&b), b.merge(&a));
            proptest::prop_assert_eq!(a.minimum(&b), b.minimum(&a));
            proptest::prop_assert_eq!(a.sum(&b), b.sum(&a));
            proptest::prop_assert!(a.sum(&b).substitutes(&a.least_common(&b)));
            proptest::prop_assert!(a.sum(&b).is_legal() && a.least_common(&b).is_legal());
        }
    }

    fn specs() -> impl proptest::strategy::Strategy<Value = Tspec> {
        use proptest::prelude::*;
        let rate = || prop_oneof![0.0_f32..4e13, Just(f32::MAX)];
        let peak = prop_oneof![0.0_f32..4e13, Just(f32::INFINITY)];
        (
            rate(),
            rate(),
            peak,
            proptest::num::u32::ANY,
            proptest::num::u32::ANY,
        )
            .prop_map(|(rate, bucket, peak_rate, a, b)| Tspec {
                rate,
                bucket,
                peak_rate,
                min_policed: a.min(b),
                max_packet: a.max(b),
            })
    }

    #[test]
    fn slack_buys_a_lower_rate() {
        // b + Ctot = 1000 bytes: 1 ms at 1 MB/s, 2 ms at 500 kB/s.
        let tspec = Tspec {
            rate: 100_000.0,
            bucket: 900.0,
            ..A
        };
        let rspec = Rspec {
            rate: 1e6,
            slack: 1500,
        };
        let lower = Rspec {
            rate: 5e5,
            slack: 500,
        };
        assert_eq!(rspec.with_rate(5e5, &tspec, 100), Some(lower));
        assert_eq!(rspec.with_rate(1e6, &tspec, 100), Some(rspec));
        assert_eq!(
            rspec.with_rate(2.5e5, &tspec, 100),
            None,
            "3 ms more are too many"
        );
        assert_eq!(rspec.with_rate(2e6, &tspec, 100), None, "above R");
        assert_eq!(rspec.with_rate(5e4, &tspec, 0), None, "below r");
        assert!(rspec.with_rate(f32::NAN, &tspec, 0).is_none());
        let other = Rspec {
            rate: 2e6,
            slack: 9000,
        };
        assert_eq!(
            rspec.merge(&other),
            Rspec {
                rate: 2e6,
                slack: 1500
            }
        );
        assert!(!rspec.substitutes(&other) && rspec.merge(&other).substitutes(&other));
    }

    #[test]
    fn services_merge_with_their_like_only() {
        let (load, null) = (
            ServiceRequest::ControlledLoad(A),
            ServiceRequest::Null { max_packet: 1500 },
        );
        assert_eq!(load.merge(&load), Some(load));
        assert_eq!(load.merge(&null), None);
    }

    #[test]
    fn composition() {
        let path = GeneralParameters {
            break_bit: true,
            is_hops: 255,
            path_bandwidth: 1e6,
            minimum_latency: u32::MAX - 1,
            path_mtu: 1500,
        };
        let hop = HopParameters {
            bandwidth: 0.0,
            latency: 5,
            mtu: 9000,
        };
        let composed = path.compose(&hop);
        assert_eq!(
            (composed.is_hops, composed.minimum_latency),
            (255, u32::MAX)
        );
        assert_eq!((composed.path_bandwidth, composed.path_mtu), (0.0, 1500));
        assert!(composed.break_bit);
        let zero = GuaranteedParameters {
            break_bit: false,
            c_tot: 1,
            d_tot: 2,
            c_sum: 3,
            d_sum: 4,
        };
        let after = zero.compose(10, u32::MAX);
        assert_eq!(
            (after.c_tot, after.d_tot, after.c_sum, after.d_sum),
            (11, u32::MAX, 13, u32::MAX)
        );
        assert_eq!(after.reshaped().c_sum, 0);
    }
}
