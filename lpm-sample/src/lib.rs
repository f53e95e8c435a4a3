//! The identity LPM.
#![forbid(unsafe_code)]
