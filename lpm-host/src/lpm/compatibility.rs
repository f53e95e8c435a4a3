//! Whether a library speaks this host's ABI, and how it differs where it does not.

mod difference;

use std::fmt;
use std::ptr;
use std::sync::Once;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{
    AbiInstabilityErrors, CheckingGlobals, check_layout_compatibility_with_globals,
};
use abi_stable::globals::{Globals, initialize_globals_with};
use abi_stable::library::LibHeader;
use abi_stable::std_types::{RBoxError, RResult};
use abi_stable::type_layout::TypeLayout;
use lpm_abi::{AbiLpmModuleRef, ExtensionFunctions};
use once_cell::race::OnceRef;

use self::difference::Difference;

/// How the ABI of a library differs from the one this host was built with: the difference that
/// tells most on one line, and the whole comparison on request.
#[derive(Clone, PartialEq, Eq)]
pub struct Incompatibility {
    what: String,
    expected: String,
    found: String,
    report: String,
}

impl Incompatibility {
    /// Everything in it is owned: `errors` refers into the library.
    fn of(errors: &AbiInstabilityErrors) -> Self {
        let Difference {
            what,
            expected,
            found,
        } = difference::telling(errors);
        Self {
            what,
            expected,
            found,
            report: errors.to_string(),
        }
    }

    /// What differs: a field of a type, a function, the version of a package.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What this host expects.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What the library has.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// The whole comparison, many lines long.
    #[must_use]
    pub fn report(&self) -> &str {
        &self.report
    }
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: expected {}, found {}",
            self.what, self.expected, self.found
        )
    }
}

impl fmt::Debug for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incompatibility")
            .field("what", &self.what)
            .field("expected", &self.expected)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

/// Makes abi_stable's layout checks in this process keep no state. By default it remembers, for
/// good, references into the libraries it compared, also after they are unloaded.
///
/// Takes effect unless something else in the process set up abi_stable before; this host's own
/// checks do not depend on it.
pub(super) fn keep_no_state() {
    static ONCE: Once = Once::new();
    static STATELESS: Globals = Globals {
        layout_checking: check_for_library,
    };
    ONCE.call_once(|| initialize_globals_with(&STATELESS));
}

/// Compares the library's module with the one this host knows.
pub(super) fn check(header: &'static LibHeader) -> Result<(), Incompatibility> {
    let Some(found) = header.layout() else {
        return Err(Incompatibility {
            what: String::from("the library's type layout"),
            expected: String::from("to be exported"),
            found: String::from("none"),
            report: String::new(),
        });
    };
    compare(<AbiLpmModuleRef as StableAbi>::LAYOUT, found)
        .map_err(|errors| Incompatibility::of(&errors))
}

/// The layout of an extension that was compared with the one this host knows, which takes 300 000
/// instructions.
#[derive(Default)]
pub(super) struct CheckedExtension(OnceRef<'static, TypeLayout>);

impl CheckedExtension {
    /// Compares the functions of an extension with those this host knows, unless they were compared
    /// before.
    pub(super) fn check<F: ExtensionFunctions>(
        &self,
        found: &'static TypeLayout,
    ) -> Result<(), Incompatibility> {
        if self.0.get().is_some_and(|known| ptr::eq(known, found)) {
            return Ok(());
        }
        compare(F::LAYOUT, found).map_err(|errors| Incompatibility::of(&errors))?;
        // An LPM that offers another one each time has each of them compared.
        let _ = self.0.set(found);
        Ok(())
    }
}

fn compare(
    expected: &'static TypeLayout,
    found: &'static TypeLayout,
) -> Result<(), AbiInstabilityErrors> {
    check_layout_compatibility_with_globals(expected, found, &CheckingGlobals::new())
}

extern "C" fn check_for_library(
    expected: &'static TypeLayout,
    found: &'static TypeLayout,
) -> RResult<(), RBoxError> {
    let compared = std::panic::catch_unwind(|| {
        compare(expected, found).map_err(|errors| RBoxError::from_fmt(&errors))
    });
    let panicked = |_| Err(RBoxError::from_fmt("the layout check panicked"));
    compared.unwrap_or_else(panicked).into()
}
