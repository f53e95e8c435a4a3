//! The library that a PCM loads: [`IdentityLpm`](identity::IdentityLpm), exported.

#![forbid(unsafe_code)]

lpm_api::export_lpm!(identity::IdentityLpm; Statistics);
