//! Libraries that are linked as not to be unloaded.

/// What to do with a library that is linked as not to be unloaded (`DF_1_NODELETE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoDelete {
    /// Load it; it will stay mapped.
    Keep,
    /// Clear the flag in the private copy, where what the library does is watched. Libraries bear
    /// it because their thread-local destructors and exit handlers could outlive them, or because
    /// their compiler sets it for all: that is taken care of here.
    #[default]
    Clear,
    /// Do not load it.
    Refuse,
}
