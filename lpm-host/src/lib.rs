//! lpm-host
