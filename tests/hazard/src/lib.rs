//! What the fixtures have in common: an LPM that does one thing when it is asked.
#![forbid(unsafe_code)]

pub use lpm_api;

/// Makes the library an LPM that calls the function, of type `fn()`, whenever it is asked about a
/// message, and has no opinion.
#[macro_export]
macro_rules! on_admit {
    ($function:path) => {
        struct Hazard;

        impl $crate::lpm_api::Lpm for Hazard {
            fn initialize(
                _: $crate::lpm_api::InitInfo<'_>,
            ) -> Result<Self, $crate::lpm_api::InitError> {
                Ok(Self)
            }

            fn admit(&self, request: $crate::lpm_api::AdmitRequest<'_>) -> $crate::lpm_api::Answer {
                $function();
                request.decide_all($crate::lpm_api::Decision::DontCare)
            }
        }

        $crate::lpm_api::export_lpm!(Hazard);
    };
}
