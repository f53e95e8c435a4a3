//! What an LPM comes from, as configured.
//!
//! Whatever it is, the PCM holds the same object behind the ABI afterwards, so that the call path
//! is one.

use std::fmt;
use std::path::Path;

use lpm_api::{Lpm, Statistics};

use crate::event::Event;
use crate::lpm::built_in::BuiltIn;
use crate::lpm::trust::LpmLibrary;

/// What an LPM comes from: a library, or this very program.
///
/// ```
/// use lpm_host::{LpmConfig, LpmSource, Pcm};
/// # use lpm_host::lpm_api::{AdmitRequest, Answer, Decision, InitError, InitInfo, Lpm, Priority};
/// # struct AcceptAll;
/// # impl Lpm for AcceptAll {
/// #     fn initialize(_: InitInfo<'_>) -> Result<Self, InitError> { Ok(Self) }
/// #     fn admit(&self, request: AdmitRequest<'_>) -> Answer {
/// #         request.decide_all(Decision::accept(Priority::MIN))
/// #     }
/// # }
///
/// // Neither a library nor `unsafe`: `AcceptAll` implements `lpm_api::Lpm` here.
/// let config = LpmConfig::new("accept all", LpmSource::built_in::<AcceptAll>());
/// let pcm = Pcm::builder().lpm(config).build()?;
/// let startup = pcm.become_dsbm()?;
/// assert_eq!(startup.lpms[0].source.path(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LpmSource(pub(crate) Kind);

/// The cases there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Library(LpmLibrary),
    BuiltIn(BuiltIn),
}

impl LpmSource {
    /// A Rust type in this program. There is no library to load or unload; extensions of the API
    /// that the LPM implements are not offered.
    ///
    /// A panic of it is caught, as that of any LPM is, unless the program is built with
    /// `panic = "abort"`. The program's own panic hook is told of it.
    #[must_use]
    pub fn built_in<L: Lpm>() -> Self {
        Self(Kind::BuiltIn(BuiltIn::of::<L>()))
    }

    /// Like [`built_in`](Self::built_in), for an LPM that offers its counters
    /// ([`Pcm::statistics`](crate::Pcm::statistics)).
    #[must_use]
    pub fn built_in_with_statistics<L: Lpm + Statistics>() -> Self {
        Self(Kind::BuiltIn(BuiltIn::with_statistics::<L>()))
    }

    /// The library, where it is one.
    #[must_use]
    pub const fn library(&self) -> Option<&LpmLibrary> {
        match &self.0 {
            Kind::Library(library) => Some(library),
            Kind::BuiltIn(_) => None,
        }
    }

    /// The event with the library, where it is one.
    pub(crate) fn put_on(&self, event: Event) -> Event {
        match self.path() {
            Some(path) => event.library(path),
            None => event,
        }
    }

    /// The path of the library, where it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.library().map(LpmLibrary::path)
    }
}

impl From<LpmLibrary> for LpmSource {
    fn from(library: LpmLibrary) -> Self {
        Self(Kind::Library(library))
    }
}

impl fmt::Display for LpmSource {
    /// The path of a library; `built in (the_crate::TheType)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Library(library) => library.path().display().fmt(f),
            Kind::BuiltIn(lpm) => write!(f, "built in ({})", lpm.name()),
        }
    }
}
