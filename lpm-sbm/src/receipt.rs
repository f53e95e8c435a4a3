//! What is remembered of a message that was taken in: with it, the same bytes are taken in again
//! without being read: the SBM itself takes 430 instructions for that. `pcm replay` is where it
//! shows.

use crate::path_state::PathState;

/// That a message about one flow says what is kept of it: when the same bytes come again, they need
/// not be read ([`Sbm::receive_again`](crate::Sbm::receive_again)).
///
/// It is of no use any more once the state is another one, or gone; that is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Where the state is.
    pub(crate) place: u32,
    /// Which change of the table made it what it was then.
    pub(crate) change: u64,
    /// Of a Resv: the Path state that there was.
    pub(crate) path: Option<PathState>,
    /// How often Path state had come or gone.
    pub(crate) path_changes: u64,
}

impl Receipt {
    /// Where the state is: a small number, that no two flows have at the same time.
    #[must_use]
    pub const fn place(&self) -> u32 {
        self.place
    }

    /// Of a Resv: the Path state that there is for it.
    #[must_use]
    pub const fn path(&self) -> Option<PathState> {
        self.path
    }
}
