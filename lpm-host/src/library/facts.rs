//! What can be seen in a library's file of the things that hinder unloading.

/// What can be seen in a library's file, before anything of it runs, of the things that hinder
/// unloading it. Elsewhere than on ELF systems nothing of this exists, and all is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HinderingFacts {
    /// The flag `DF_1_NODELETE`: the loader never unmaps the library.
    pub(crate) no_delete: bool,
    /// That flag was cleared in the copy that is loaded.
    pub(crate) no_delete_cleared: bool,
    /// The flag `DF_STATIC_TLS`: the library's thread-locals take room that each process has little
    /// of and that is not always given back, so that loading may fail after some cycles.
    pub(crate) static_tls: bool,
    /// The number of symbols it defines with the binding `STB_GNU_UNIQUE`: the loader never unmaps a
    /// library once such a symbol is in use.
    pub(crate) unique_symbols: usize,
    /// It is Rust built with `panic=abort`: a panic in it ends the process.
    pub(crate) panic_aborts: bool,
    /// The libraries it needs (`DT_NEEDED`), by name.
    pub(crate) needed: Vec<String>,
}

impl HinderingFacts {
    /// A line for each fact that an operator should know of.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match (self.no_delete, self.no_delete_cleared) {
            (true, false) => lines.push("it bears DF_1_NODELETE: it will stay mapped".to_owned()),
            (true, true) => lines.push("its flag DF_1_NODELETE is ignored".to_owned()),
            _ => {}
        }
        if self.unique_symbols > 0 {
            lines.push(format!(
                "it has {} GNU_UNIQUE symbols and may stay mapped; build it with -fno-gnu-unique",
                self.unique_symbols
            ));
        }
        if self.static_tls {
            lines.push(
                "it uses static TLS: loading it again and again may fail; build it with -fPIC and \
                 without -ftls-model=initial-exec"
                    .to_owned(),
            );
        }
        if self.panic_aborts {
            lines.push("it is built with panic=abort: a panic in it ends the process".to_owned());
        }
        lines
    }
}
