//! `LoadLibrary` and its relatives.
