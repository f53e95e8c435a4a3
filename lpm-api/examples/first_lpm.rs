//! An LPM that admits flows in office hours.
#![forbid(unsafe_code)]

use std::ops::Range;
use std::time::UNIX_EPOCH;

use lpm_api::{AdmitRequest, Answer, Decision, InitError, InitInfo, Lpm, LpmPolicyError, Priority};

/// Admits flows in office hours (UTC); configured with the hours, such as `8-18`.
struct OfficeHours {
    hours: Range<u64>,
}

impl Lpm for OfficeHours {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        let hours = init
            .config()
            .trim()
            .split_once('-')
            .and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
        match hours {
            Some(hours) => Ok(Self { hours }),
            None => Err(InitError::config(format!(
                "{}: expected hours such as `8-18`, found `{}`",
                init.config_source(),
                init.config()
            ))),
        }
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        let since_epoch = request
            .received()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let hour = since_epoch.as_secs() / 3600 % 24;
        request.decide_all(if self.hours.contains(&hour) {
            Decision::accept(Priority::MIN)
        } else {
            Decision::reject(LpmPolicyError::NoPrivileges)
        })
    }
}

lpm_api::export_lpm!(OfficeHours);
