//! What can be seen in a library's file of the things that hinder unloading.

use std::fmt;

/// What can be seen in a library's file, before anything of it runs, of the things that hinder
/// unloading it. Elsewhere than on ELF systems nothing of this exists, and all is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HinderingFacts {
    /// The flag `DF_1_NODELETE`: the loader never unmaps the library.
    pub(crate) no_delete: bool,
    /// That flag was cleared in the copy that is loaded.
    pub(crate) no_delete_cleared: bool,
    /// It needs an executable stack, or does not say that it does not: loading it makes every stack
    /// of the process executable, for good.
    pub(crate) executable_stack: bool,
    /// The flag `DF_STATIC_TLS`, or relocations of that kind: the library's thread-locals take room
    /// that each process has little of and that is not always given back, so that loading may fail
    /// after some cycles.
    pub(crate) static_tls: bool,
    /// The number of symbols it defines with the binding `STB_GNU_UNIQUE`: the loader never unmaps
    /// a library once such a symbol is in use.
    pub(crate) unique_symbols: usize,
    /// It is Rust built with `panic=abort`: a panic in it ends the process.
    pub(crate) panic_aborts: bool,
    /// How many of the libraries it needs are never unmapped, as far as they were looked for.
    pub(crate) needed_that_stay: usize,
    /// The libraries it needs (`DT_NEEDED`), by name.
    pub(crate) needed: Vec<String>,
}

impl HinderingFacts {
    /// Each fact that an operator should know of.
    pub(crate) fn hazards(&self) -> Vec<Hazard> {
        let mut hazards = Vec::new();
        match (self.no_delete, self.no_delete_cleared) {
            (true, false) => hazards.push(Hazard::NoDelete),
            (true, true) => hazards.push(Hazard::NoDeleteIgnored),
            _ => {}
        }
        if self.unique_symbols > 0 {
            hazards.push(Hazard::UniqueSymbols {
                count: self.unique_symbols,
            });
        }
        if self.static_tls {
            hazards.push(Hazard::StaticTls);
        }
        if self.needed.iter().any(|name| is_standard_library(name)) {
            hazards.push(Hazard::SharedStandardLibrary);
        }
        if self.needed_that_stay > 0 {
            hazards.push(Hazard::NeededStay {
                count: self.needed_that_stay,
            });
        }
        if self.executable_stack {
            hazards.push(Hazard::ExecutableStack);
        }
        if self.panic_aborts {
            hazards.push(Hazard::PanicAborts);
        }
        hazards
    }
}

/// Whether this is Rust's standard library as a library of its own.
fn is_standard_library(name: &str) -> bool {
    name.starts_with("libstd-") && name.contains(".so")
}

/// Something that is seen in a library's file and hinders unloading it, or endangers its host.
/// [`Display`](fmt::Display) says in one line what it comes to, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hazard {
    /// The flag `DF_1_NODELETE`: the loader never unmaps the library.
    NoDelete,
    /// That flag, which the host has cleared in its private copy
    /// ([`NoDelete::Clear`](crate::NoDelete::Clear)).
    NoDeleteIgnored,
    /// Symbols with the binding `STB_GNU_UNIQUE`: the loader never unmaps a library once such a
    /// symbol is in use.
    UniqueSymbols {
        /// How many.
        count: usize,
    },
    /// It needs Rust's standard library as a library of its own (`-C prefer-dynamic`), which all
    /// that need it share.
    SharedStandardLibrary,
    /// It needs libraries that bear `DF_1_NODELETE`, as OpenSSL's and GLib do: these stay mapped
    /// with what was registered with them. Seen in [`LibraryFile`](crate::LibraryFile) only.
    NeededStay {
        /// How many.
        count: usize,
    },
    /// It asks for an executable stack: loading it makes every stack of the process executable, for
    /// good.
    ExecutableStack,
    /// The flag `DF_STATIC_TLS`, or relocations of that kind: thread-locals in room that each
    /// process has little of.
    StaticTls,
    /// Rust built with `panic=abort`.
    PanicAborts,
}

impl Hazard {
    /// The hazard in snake_case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoDelete => "no_delete",
            Self::NoDeleteIgnored => "no_delete_ignored",
            Self::UniqueSymbols { .. } => "unique_symbols",
            Self::SharedStandardLibrary => "shared_standard_library",
            Self::NeededStay { .. } => "needed_stay",
            Self::ExecutableStack => "executable_stack",
            Self::StaticTls => "static_tls",
            Self::PanicAborts => "panic_aborts",
        }
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDelete => f.write_str("it has the flag DF_1_NODELETE: it stays mapped, unless the host clears the flag in its private copy, as it does by default"),
            Self::NoDeleteIgnored => f.write_str("its flag DF_1_NODELETE is ignored"),
            Self::UniqueSymbols { count } => write!(
                f,
                "it has {count} GNU_UNIQUE symbols and may stay mapped; build it with -fno-gnu-unique"
            ),
            Self::StaticTls => f.write_str(
                "it uses static TLS: loading it again and again may fail; build it with -fPIC and \
                 without -ftls-model=initial-exec",
            ),
            Self::SharedStandardLibrary => f.write_str(
                "it needs Rust's standard library as a library of its own, and shares its panic hook with all that \
                 need it; build it without -C prefer-dynamic",
            ),
            Self::NeededStay { count } => write!(
                f,
                "{count} of the libraries it needs stay mapped once they are loaded; a callback that is left in one \
                 keeps it mapped, too: take it back before it is unloaded"
            ),
            Self::ExecutableStack => f.write_str(
                "it asks for an executable stack: loading it makes every stack of the process executable, \
                 for good; link it with -z noexecstack",
            ),
            Self::PanicAborts => {
                f.write_str("it is built with panic=abort: a panic in it ends the process; build it with panic=unwind, the default")
            }
        }
    }
}
