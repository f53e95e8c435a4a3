//! The difference between two layouts that explains the others, in words.

#[cfg(test)]
mod tests;

use std::fmt::{Debug, Display};

use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityErrors, ExpectedFound,
};
use abi_stable::type_layout::{TLField, TLFieldOrFunction, TLFunction, TypeLayout};

/// What differs, and both sides of it, each on a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) found: String,
}

impl Difference {
    fn of(what: String, sides: &ExpectedFound<impl Display>) -> Self {
        Self {
            what: one_line(&what),
            expected: one_line(&sides.expected.to_string()),
            found: one_line(&sides.found.to_string()),
        }
    }
}

/// The one to tell of all that were found. Everything in it is owned: `errors` refers into the
/// library.
pub(super) fn telling(errors: &AbiInstabilityErrors) -> Difference {
    let all = errors.errors.iter().flat_map(|error| {
        let place = Place {
            roots: [errors.interface, errors.implementation],
            steps: &error.stack_trace,
        };
        error.errs.iter().map(move |kind| (place, kind))
    });
    match all.min_by_key(|(_, kind)| rank(kind)) {
        Some((place, kind)) => place.describe(kind),
        None => Difference::of(
            "layout".to_owned(),
            &ExpectedFound {
                expected: "the same",
                found: "another",
            },
        ),
    }
}

/// Another version of the package explains everything else, and what is in a type explains its
/// size.
fn rank(kind: &AbiInstability) -> u8 {
    match kind {
        AbiInstability::PackageVersion(_) => 0,
        AbiInstability::Size(_) | AbiInstability::Alignment(_) => 2,
        _ => 1,
    }
}

/// Where two layouts differ: the way there, from one type or function to what it has in it.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// Of the host and of the library.
    roots: [&'static TypeLayout; 2],
    steps: &'a [ExpectedFound<TLFieldOrFunction>],
}

impl Place<'_> {
    fn describe(self, kind: &AbiInstability) -> Difference {
        if let AbiInstability::PackageVersion(versions) = kind {
            let [own, _] = self.types();
            return Difference::of(format!("version of {}", own.package()), versions);
        }
        if let Some(functions) = self.nearest_functions() {
            let signatures = functions.as_ref().map(signature);
            if signatures.expected != signatures.found {
                let what = format!("function `{}`", functions.expected.name);
                return Difference::of(what, &signatures);
            }
        }
        let own = self.in_own_type();
        let is_inside = own.steps.len() < self.steps.len();
        if is_inside || matches!(kind, AbiInstability::Name(_)) {
            let what = format!("type of {}", own.name());
            let (types, inner) = (own.type_names(), self.type_names());
            if types.expected != types.found {
                return Difference::of(what, &types);
            }
            // abi_stable does not always name what a generic type is about.
            if inner.expected != inner.found {
                let types = ExpectedFound {
                    expected: format!("{} with {}", types.expected, inner.expected),
                    found: format!("{} with {}", types.found, inner.found),
                };
                return Difference::of(what, &types);
            }
        }
        self.describe_type(kind)
    }

    /// What differs in the types at this place.
    fn describe_type(self, kind: &AbiInstability) -> Difference {
        use AbiInstability as Ai;

        let types = self.types();
        let name = match self.function() {
            Some(function) => format!("`{}` (in function `{}`)", types[0].name(), function.name),
            None => format!("`{}`", types[0].name()),
        };
        let of = |what: &str| format!("{what} of {name}");
        match kind {
            Ai::Package(packages) => Difference::of(of("package"), packages),
            Ai::UnexpectedField(fields) => {
                let what = of(&format!("field `{}`", fields.expected.name()));
                Difference::of(what, &fields.as_ref().map(declared))
            }
            Ai::FieldCountMismatch(counts) => match types.map(field_names) {
                [Some(expected), Some(found)] => {
                    Difference::of(of("fields"), &ExpectedFound { expected, found })
                }
                _ => Difference::of(of("number of fields"), counts),
            },
            Ai::FieldLifetimeMismatch(fields) => {
                let what = of(&format!("lifetimes of field `{}`", fields.expected.name()));
                let lifetimes = |field: &TLField| format!("{:?}", field.lifetime_indices());
                Difference::of(what, &fields.as_ref().map(lifetimes))
            }
            Ai::Size(sizes) => Difference::of(of("size"), &sizes.as_ref().map(bytes)),
            Ai::Alignment(sizes) => Difference::of(of("alignment"), &sizes.as_ref().map(bytes)),
            Ai::TooManyVariants(counts) => Difference::of(of("number of variants"), counts),
            Ai::UnexpectedVariant(variants) => {
                let what = of(&format!("variant `{}`", variants.expected));
                Difference::of(what, &variants.as_ref().map(quoted))
            }
            Ai::MismatchedPrefixSize(counts) => {
                Difference::of(of("number of functions in the first version"), counts)
            }
            Ai::EnumDiscriminant(values) => {
                Difference::of(of("number of a variant"), &values.as_ref().map(debug))
            }
            Ai::TLDataDiscriminant(kinds) => Difference::of(of("kind"), &kinds.as_ref().map(debug)),
            Ai::ReprAttr(reprs) => Difference::of(of("representation"), &reprs.as_ref().map(debug)),
            other => Difference::of(
                of("layout"),
                &ExpectedFound {
                    expected: "the same".to_owned(),
                    found: debug(other),
                },
            ),
        }
    }

    /// This place, or the nearest above it that is right in a type of ours.
    fn in_own_type(self) -> Self {
        let mut place = self;
        while let Some(above) = place.above() {
            if above.is_own() {
                return place;
            }
            place = above;
        }
        self
    }

    fn above(self) -> Option<Self> {
        let (_, steps) = self.steps.split_last()?;
        Some(Self { steps, ..self })
    }

    /// Whether what is at this place was declared in a crate of ours.
    fn is_own(self) -> bool {
        let declares = match (self.functions(), self.steps) {
            // The step to the field comes before that to the function in it.
            (Some(_), [steps @ .., _, _]) => Self { steps, ..self },
            _ => self,
        };
        declares.types()[0].package().starts_with("lpm-")
    }

    /// The types at this place; of a function, that of the field it is in.
    fn types(self) -> [&'static TypeLayout; 2] {
        let fields = self.steps.iter().rev().find_map(|step| match step {
            ExpectedFound {
                expected: TLFieldOrFunction::Field(expected),
                found: TLFieldOrFunction::Field(found),
            } => Some([expected.layout(), found.layout()]),
            _ => None,
        });
        fields.unwrap_or(self.roots)
    }

    fn type_names(self) -> ExpectedFound<String> {
        let [expected, found] = self.types().map(|layout| quoted(layout.full_type()));
        ExpectedFound { expected, found }
    }

    /// The function at this place, or whose parameter or result is.
    fn nearest_functions(self) -> Option<ExpectedFound<TLFunction>> {
        let above = self.above();
        self.functions().or_else(|| above.and_then(Self::functions))
    }

    /// What is at this place if it is a function.
    fn functions(self) -> Option<ExpectedFound<TLFunction>> {
        match *self.steps.last()? {
            ExpectedFound {
                expected: TLFieldOrFunction::Function(expected),
                found: TLFieldOrFunction::Function(found),
            } => Some(ExpectedFound { expected, found }),
            _ => None,
        }
    }

    /// The function that has this place in it.
    fn function(self) -> Option<TLFunction> {
        self.steps
            .iter()
            .rev()
            .find_map(|step| match step.expected {
                TLFieldOrFunction::Function(function) => Some(function),
                TLFieldOrFunction::Field(_) => None,
            })
    }

    /// What is at this place, and what it is in.
    fn name(self) -> String {
        let (Some(above), Some(last)) = (self.above(), self.steps.last()) else {
            return "the library's functions".to_owned();
        };
        let field = match last.expected {
            TLFieldOrFunction::Field(field) => field.name(),
            TLFieldOrFunction::Function(function) => function.name.as_str(),
        };
        let within = format!("field `{field}` of `{}`", above.types()[0].name());
        match above.function() {
            Some(function) => format!("{within} (in function `{}`)", function.name),
            None => within,
        }
    }
}

fn quoted(value: impl Display) -> String {
    format!("`{value}`")
}

fn debug(value: &impl Debug) -> String {
    format!("{value:?}")
}

fn bytes(count: &usize) -> String {
    format!("{count} bytes")
}

/// A field as its declaration has it; a function's with its signature.
fn declared(field: &TLField) -> String {
    match field.function_range().iter().next() {
        Some(function) if field.is_function() => {
            format!("`{}` as {}", field.name(), signature(&function))
        }
        _ => format!("`{}: {}`", field.name(), field.full_type()),
    }
}

/// A function as its declaration has it. (abi_stable's own text has the names of parameters mixed
/// up.)
fn signature(function: &TLFunction) -> String {
    let names = function.param_names.as_str().split([',', ';']);
    let types = function.param_type_layouts.iter();
    let parameters: Vec<String> = names
        .zip(types)
        .map(|(name, layout)| format!("{name}: {}", layout().full_type()))
        .collect();
    let parameters = parameters.join(", ");
    let qualifier = match function.fn_qualifs.is_unsafe() {
        true => "unsafe ",
        false => "",
    };
    match function.return_type_layout() {
        Some(layout) => format!("`{qualifier}fn({parameters}) -> {}`", layout().full_type()),
        None => format!("`{qualifier}fn({parameters})`"),
    }
}

fn field_names(layout: &'static TypeLayout) -> Option<String> {
    let fields = layout.get_fields()?;
    let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
    Some(quoted(names.join(", ")))
}

/// Folds white space and cuts what would not fit a log line.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 160;
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match folded.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &folded[..end]),
        None => folded,
    }
}
