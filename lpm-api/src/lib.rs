//! lpm-api
