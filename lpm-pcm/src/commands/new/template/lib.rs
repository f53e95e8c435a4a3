//! An LPM that admits flows up to a rate.
#![forbid(unsafe_code)]

use lpm_api::{AdmitRequest, Answer, Decision, InitError, InitInfo, Lpm};
use lpm_api::{LpmPolicyError, Metric, Priority, Scope};

/// Admits flows up to a rate; configured with that rate in bytes/s, such as `125000`.
struct RateLimit {
    most: f32,
}

/// What is said about flows above it, in the ERROR_SPEC that goes back.
const TOO_FAST: LpmPolicyError = LpmPolicyError::Limit(Metric::FlowRate, Scope::GlobalDefault);

impl Lpm for RateLimit {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        match init.config().trim().parse() {
            Ok(most) if most >= 0.0 => Ok(Self { most }),
            _ => Err(InitError::config(format!(
                "{}: expected a rate in bytes/s such as `125000`, found `{}`",
                init.config_source(),
                init.config()
            ))),
        }
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        request.decide(|flow| match flow.rate() {
            Some(rate) if rate <= self.most => Decision::accept(Priority::MIN),
            Some(_) => Decision::reject(TOO_FAST),
            // Not said in a form that this LPM understands, so it has no opinion.
            None => Decision::DontCare,
        })
    }
}

lpm_api::export_lpm!(RateLimit);

#[cfg(test)]
mod tests {
    use lpm_host::testing::{TestPcm, messages};

    use super::*;

    #[test]
    fn flows_are_admitted_up_to_the_rate() {
        let pcm = TestPcm::<RateLimit>::start("125000").unwrap();
        let accept = Decision::accept(Priority::MIN);
        let reject = Decision::reject(TOO_FAST);
        let as_fast = messages::path().rate(125_000.0).build();
        let faster = messages::resv().rate(125_001.0).build();
        assert_eq!(pcm.admit(&as_fast), [accept]);
        assert_eq!(pcm.admit(&faster), [reject]);
        // What a guaranteed service reserves may be more than what the flow sends.
        let reserves_more = messages::resv().guaranteed(125_001.0).build();
        assert_eq!(pcm.admit(&reserves_more), [reject]);
    }

    #[test]
    fn a_faulty_rate_is_refused() {
        let error = TestPcm::<RateLimit>::start("fast").unwrap_err();
        assert!(error.to_string().contains("found `fast`"), "{error}");
    }
}
