//! Whether a library speaks this host's ABI, and how it differs where it does not.

use std::fmt;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityErrors, CheckingGlobals, ExpectedFound,
    check_layout_compatibility_with_globals,
};
use abi_stable::globals::{Globals, initialize_globals_with};
use abi_stable::library::LibHeader;
use abi_stable::std_types::{RBoxError, RResult};
use abi_stable::type_layout::{TLFieldOrFunction, TypeLayout};
use lpm_api::abi::{AbiLpmModuleRef, ExtensionFunctions};
use std::sync::Once;

/// How the ABI of a library differs from the one this host was built with: the first difference
/// on one line, and the whole comparison on request.
#[derive(Clone, PartialEq, Eq)]
pub struct Incompatibility {
    what: String,
    expected: String,
    found: String,
    report: String,
}

impl Incompatibility {
    /// What differs: a type, a function, the version of a package.
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
    compare(<AbiLpmModuleRef as StableAbi>::LAYOUT, found).map_err(|errors| explain(&errors))
}

/// The version of `lpm-api` that the library was built with, once `check` has found it compatible: that of
/// the first type of it in the library's layout.
pub(super) fn lpm_api_version(header: &'static LibHeader) -> Option<String> {
    let mut layouts = vec![header.layout()?];
    for _ in 0..MOST_LAYOUTS {
        let layout = layouts.pop()?;
        if layout.package().as_str() == "lpm-api" {
            return Some(layout.package_version().to_string());
        }
        layouts.extend(
            layout
                .shared_vars()
                .type_layouts()
                .iter()
                .map(|layout| layout()),
        );
    }
    None
}

/// How many types are looked at for that one.
const MOST_LAYOUTS: usize = 100;

/// Compares the functions of an extension with those this host knows.
pub(super) fn check_extension<F: ExtensionFunctions>(
    found: &'static TypeLayout,
) -> Result<(), Incompatibility> {
    compare(F::LAYOUT, found).map_err(|errors| explain(&errors))
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

/// Everything in the result is owned: the errors refer into the library.
fn explain(errors: &AbiInstabilityErrors) -> Incompatibility {
    let found = errors.errors.iter().flat_map(|error| {
        let place = error.stack_trace.last().map(|place| named(&place.expected));
        error
            .errs
            .iter()
            .map(move |difference| (place.clone(), difference))
    });
    // Different versions of the package explain all other differences.
    let first = found.min_by_key(|(_, error)| !matches!(error, AbiInstability::PackageVersion(_)));
    let (what, expected, found) = match first {
        Some((place, difference)) => describe(place, difference),
        None => (
            String::from("unknown difference"),
            String::new(),
            String::new(),
        ),
    };
    Incompatibility {
        what,
        expected,
        found,
        report: errors.to_string(),
    }
}

/// A field by its name and type, a tuple's by its type alone; a function with its signature.
fn named(place: &TLFieldOrFunction) -> String {
    match place {
        TLFieldOrFunction::Function(function) => function.to_string(),
        TLFieldOrFunction::Field(field) => {
            let (name, of_type) = (field.name(), field.layout().name());
            match name.starts_with(|c: char| c.is_ascii_digit()) {
                true => of_type.to_owned(),
                false => format!("{name}: {of_type}"),
            }
        }
    }
}

fn describe(place: Option<String>, difference: &AbiInstability) -> (String, String, String) {
    use AbiInstability as Ai;

    fn pair<T>(values: &ExpectedFound<T>, show: impl Fn(&T) -> String) -> (String, String) {
        (
            one_line(&show(&values.expected)),
            one_line(&show(&values.found)),
        )
    }

    let (kind, (expected, found)) = match difference {
        Ai::PackageVersion(versions) => (
            "version of lpm-api",
            pair(versions, |version| version.version.to_string()),
        ),
        Ai::Package(values) => ("package", pair(values, ToString::to_string)),
        Ai::Name(values) => ("type", pair(values, ToString::to_string)),
        Ai::Size(values) => ("size in bytes", pair(values, ToString::to_string)),
        Ai::Alignment(values) => ("alignment in bytes", pair(values, ToString::to_string)),
        Ai::FieldCountMismatch(values) => ("number of fields", pair(values, ToString::to_string)),
        Ai::TooManyVariants(values) => ("number of variants", pair(values, ToString::to_string)),
        Ai::UnexpectedField(values) => ("field", pair(values, ToString::to_string)),
        Ai::FieldLifetimeMismatch(values) => ("lifetimes", pair(values, ToString::to_string)),
        Ai::FnQualifierMismatch(values) => ("function", pair(values, ToString::to_string)),
        Ai::UnexpectedVariant(values) => ("variant", pair(values, ToString::to_string)),
        Ai::MismatchedPrefixSize(values) => (
            "number of functions of the first version",
            pair(values, ToString::to_string),
        ),
        Ai::MismatchedPrimitive(values) => {
            ("primitive type", pair(values, |value| format!("{value:?}")))
        }
        Ai::EnumDiscriminant(values) => {
            ("discriminant", pair(values, |value| format!("{value:?}")))
        }
        Ai::TLDataDiscriminant(values) => {
            ("kind of type", pair(values, |value| format!("{value:?}")))
        }
        other => (
            "layout",
            (String::from("the same"), one_line(&format!("{other:?}"))),
        ),
    };
    let what = match place {
        // It is the same everywhere.
        Some(_) if matches!(difference, Ai::PackageVersion(_)) => kind.to_owned(),
        Some(place) => format!("{kind} of `{}`", one_line(&place)),
        None => kind.to_owned(),
    };
    (what, expected, found)
}

/// Folds white space and cuts what would not fit a log line.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 120;
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match folded.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &folded[..end]),
        None => folded,
    }
}
