//! The library that a PCM loads: [`SampleLpm`](sample::SampleLpm), exported.

#![forbid(unsafe_code)]

lpm_api::export_lpm!(sample::SampleLpm; Statistics);
