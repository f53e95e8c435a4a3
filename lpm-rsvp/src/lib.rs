//! RSVP wire formats.
#![forbid(unsafe_code)]
