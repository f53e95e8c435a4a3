//! What the fixtures have in common: an LPM that does one thing when it is asked, or in the method
//! it is told.
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

/// For an `impl Lpm`: each method that is called on an LPM calls `self.is_in` with its name, has no
/// opinion otherwise, and succeeds.
#[macro_export]
macro_rules! methods_call_is_in {
    () => {
        fn ip_address_table(
            &self,
            _: &[$crate::lpm_api::AddressRow],
        ) -> Result<(), $crate::lpm_api::AddressTableRefused> {
            self.is_in("ip_address_table");
            Ok(())
        }

        fn admit(&self, request: $crate::lpm_api::AdmitRequest<'_>) -> $crate::lpm_api::Answer {
            self.is_in("admit");
            request.decide_all($crate::lpm_api::Decision::DontCare)
        }

        fn rsvp_objects(
            &self,
            request: $crate::lpm_api::ObjectsRequest<'_>,
        ) -> $crate::lpm_api::ObjectsAnswer {
            self.is_in("rsvp_objects");
            request.none()
        }

        fn commit_resv(&self, _: $crate::lpm_api::CommitResv<'_>) {
            self.is_in("commit_resv");
        }

        fn delete_state(&self, _: $crate::lpm_api::DeleteState<'_>) {
            self.is_in("delete_state");
        }

        fn deinitialize(
            self,
            _: $crate::lpm_api::DeinitReason,
        ) -> Result<(), $crate::lpm_api::DeinitError> {
            self.is_in("deinitialize");
            Ok(())
        }
    };
}
