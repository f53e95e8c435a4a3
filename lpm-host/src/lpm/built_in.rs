//! An LPM that is part of this program: a Rust type behind the same ABI object that a library
//! gives.
//!
//! No library is loaded, so nothing has to be vouched for, and nothing is unloaded. All else is as
//! for a library: calls go through the same adapter, answers that are put off come in the same way,
//! and what panics has failed. Its panics are told by this program's own panic hook, and its
//! `tracing` events go to this program's subscriber, both without the PCM's help.

use std::any::{TypeId, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use lpm_abi::{AbiExtension, AbiInit, AbiInitialized};
use lpm_api::abi::{self, Export, Package};
use lpm_api::{Lpm, Statistics};

use super::error::LpmError;
use super::panics;

/// Which type, and how it is initialized.
#[derive(Clone)]
pub(crate) struct BuiltIn {
    id: TypeId,
    name: &'static str,
    initialize: Initialize,
}

type Initialize = Arc<dyn Fn(AbiInit<'_>) -> Result<AbiInitialized, LpmError> + Send + Sync>;

impl BuiltIn {
    /// This LPM, without extensions.
    pub(crate) fn of<L: Lpm>() -> Self {
        Self::exported::<Plain<L>>()
    }

    /// This LPM, with its counters.
    pub(crate) fn with_statistics<L: Lpm + Statistics>() -> Self {
        Self::exported::<Counting<L>>()
    }

    fn exported<E: Export>() -> Self {
        Self::initialized_by::<E>(Arc::new(initialize::<E>))
    }

    /// The LPM of `E`, which `initialize` makes.
    pub(crate) fn initialized_by<E: Export>(initialize: Initialize) -> Self {
        Self {
            id: TypeId::of::<E>(),
            name: type_name::<E::Lpm>(),
            initialize,
        }
    }

    /// The type's name.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Initializes the LPM once more.
    pub(crate) fn initialize(
        &self,
        name: &Arc<str>,
        init: AbiInit<'_>,
    ) -> Result<AbiInitialized, LpmError> {
        panics::during(Some(name), || (self.initialize)(init))
    }
}

/// Initializes an LPM through the function that a library of it would export.
pub(crate) fn initialize<E: Export>(init: AbiInit<'_>) -> Result<AbiInitialized, LpmError> {
    let initialized = abi::module::<E>().initialize()(init);
    initialized.into_result().map_err(LpmError::from)
}

/// Two are equal that are of one type.
impl PartialEq for BuiltIn {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for BuiltIn {}

impl fmt::Debug for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BuiltIn").field(&self.name).finish()
    }
}

/// Nobody asks an LPM that is built in where it comes from: it is from this program.
const PACKAGE: Package = Package {
    name: "built in",
    version: "",
    authors: "",
};

struct Plain<L>(PhantomData<fn() -> L>);

impl<L: Lpm> Export for Plain<L> {
    type Lpm = L;
    const PACKAGE: Package = PACKAGE;

    fn extension<'a>(_: &'a L, _: &str) -> Option<AbiExtension<'a>> {
        None
    }
}

struct Counting<L>(PhantomData<fn() -> L>);

impl<L: Lpm + Statistics> Export for Counting<L> {
    type Lpm = L;
    const PACKAGE: Package = PACKAGE;

    fn extension<'a>(lpm: &'a L, id: &str) -> Option<AbiExtension<'a>> {
        abi::extension::Statistics(lpm, id)
    }
}
