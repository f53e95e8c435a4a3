//! Imports run down only: no file of a crate imports from a file above it, directly or in a circle.
//!
//! A file imports what its paths name that begin with `crate`, `self` or `super`, in macros, too.
//! The crate's face, `lib.rs`, is above all other files: inside the crate a name comes from the
//! file where it lives. To declare a module is not to import from it, so a file may be below its
//! folder: `seat/due.rs` adds to the type of `seat.rs`, which then takes nothing from there. Tests
//! are left out.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ItemMod, ItemUse, Lit, Meta, UseTree};

/// Checks each library of the repository that is published, and says which of its files are in
/// circles.
pub(crate) fn check(root: &Path) -> Result<bool, Box<dyn Error>> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    folders.retain(|folder| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        folder.join("src/lib.rs").is_file() && !manifest.contains("publish = false")
    });
    folders.sort();
    let mut is_layered = true;
    for folder in folders {
        is_layered &= check_crate(&folder)?;
    }
    Ok(is_layered)
}

fn check_crate(folder: &Path) -> Result<bool, Box<dyn Error>> {
    let source = folder.join("src");
    let mut files = Files::default();
    files.read(&source.join("lib.rs"), &source, vec![])?;
    let mut graph = DiGraphMap::<usize, ()>::new();
    let mut imports: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
    for (from, file) in files.0.iter().enumerate() {
        graph.add_node(from);
        for path in &file.paths {
            let to = files.file_of(path);
            if to != from {
                graph.add_edge(from, to, ());
                let path = format!("crate::{}", path.join("::"));
                imports.entry((from, to)).or_default().push(path);
            }
        }
        // To be the face is to be above them all.
        if from != FACE {
            graph.add_edge(FACE, from, ());
        }
    }
    let circles = tarjan_scc(&graph);
    let circles: Vec<_> = circles.iter().filter(|circle| circle.len() > 1).collect();
    let name = |file: usize| files.0[file].path.strip_prefix(&source).unwrap_or(&source);
    for circle in &circles {
        println!("{}: these files import each other:", folder.display());
        for ((from, to), paths) in &imports {
            if circle.contains(from) && circle.contains(to) {
                let paths = paths.join(", ");
                println!(
                    "  {} from {}: {paths}",
                    name(*from).display(),
                    name(*to).display()
                );
            }
        }
    }
    println!(
        "{}: {} files, {} in circles",
        folder.file_name().unwrap_or_default().to_string_lossy(),
        files.0.len(),
        circles.iter().map(|circle| circle.len()).sum::<usize>()
    );
    Ok(circles.is_empty())
}

/// The crate's face, which is read first.
const FACE: usize = 0;

/// The files of a crate.
#[derive(Default)]
struct Files(Vec<File>);

struct File {
    path: PathBuf,
    /// The names of the modules in it: its own first.
    modules: Vec<Vec<String>>,
    /// What it imports, from the crate's root on.
    paths: Vec<Vec<String>>,
}

impl Files {
    /// Reads a file whose modules, if they are files, are in `below`, and those files.
    fn read(
        &mut self,
        path: &Path,
        below: &Path,
        module: Vec<String>,
    ) -> Result<(), Box<dyn Error>> {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let syntax =
            syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut reader = Reader {
            modules: vec![module.clone()],
            module,
            ..Reader::default()
        };
        reader.visit_file(&syntax);
        let declared = |path: &Vec<String>| {
            let mut declared = reader.declared.iter();
            declared.any(|declared| path.starts_with(&declared.module))
        };
        let (bare, paths) = (&reader.bare, &mut reader.paths);
        paths.extend(bare.iter().filter(|path| declared(path)).cloned());
        self.0.push(File {
            path: path.to_path_buf(),
            modules: reader.modules,
            paths: reader.paths,
        });
        for Declared {
            module,
            path: named,
        } in reader.declared
        {
            let name = module.last().ok_or("a module has a name")?;
            let beside = path.parent().unwrap_or(below);
            let candidates = match named {
                Some(named) => vec![beside.join(named)],
                None => vec![
                    below.join(format!("{name}.rs")),
                    below.join(name).join("mod.rs"),
                ],
            };
            let file = candidates.iter().find(|file| file.is_file());
            let file = file.ok_or_else(|| format!("{}: no file for {name}", path.display()))?;
            self.read(file, &below.join(name), module)?;
        }
        Ok(())
    }

    /// The file of the module that a path leads into.
    fn file_of(&self, path: &[String]) -> usize {
        let depth = |file: &File| {
            let leading = file
                .modules
                .iter()
                .filter(|module| path.starts_with(module));
            leading.map(Vec::len).max()
        };
        let depths = self.0.iter().map(depth).zip(0..);
        depths
            .max_by_key(|(depth, _)| *depth)
            .map_or(0, |(_, file)| file)
    }
}

/// A module in a file of its own.
struct Declared {
    module: Vec<String>,
    path: Option<String>,
}

/// Collects what a file imports and declares.
#[derive(Default)]
struct Reader {
    /// Where it is.
    module: Vec<String>,
    modules: Vec<Vec<String>>,
    declared: Vec<Declared>,
    paths: Vec<Vec<String>>,
    /// Paths that begin with neither, as if with `self`.
    bare: Vec<Vec<String>>,
}

impl Reader {
    /// Notes a path, if it begins in this crate.
    fn note(&mut self, path: &[String]) {
        let mut path = path;
        let mut from = match path.first().map(String::as_str) {
            Some("crate") => vec![],
            Some("self" | "super") => self.module.clone(),
            // It may begin with a module that this file declares, perhaps further down.
            _ => return self.bare.push([&*self.module, path].concat()),
        };
        while let Some((first @ ("crate" | "self" | "super"), rest)) = path
            .split_first()
            .map(|(first, rest)| (first.as_str(), rest))
        {
            if first == "super" {
                from.pop();
            }
            path = rest;
        }
        // `pub(crate)` imports nothing.
        if !path.is_empty() {
            from.extend_from_slice(path);
            self.paths.push(from);
        }
    }

    fn note_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.note_tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) => self.note(&with(name.ident.to_string())),
            UseTree::Rename(name) => self.note(&with(name.ident.to_string())),
            UseTree::Glob(_) => self.note(&with(String::from("*"))),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_tree(before, tree);
                }
            }
        }
    }

    /// Notes the paths in what a macro is given, or made of.
    fn note_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = vec![];
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(colon) if colon.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) if colons == 2 => {
                    path.push(name.to_string());
                    colons = 0;
                }
                other => {
                    self.note(&path);
                    path.clear();
                    colons = 0;
                    match &other {
                        TokenTree::Ident(name) => path.push(name.to_string()),
                        // What follows, such as `$crate`, is somebody else's.
                        TokenTree::Punct(dollar) if dollar.as_char() == '$' => {
                            path.push(String::from("$"));
                            colons = 2;
                        }
                        _ => {}
                    }
                    if let TokenTree::Group(group) = other {
                        self.note_tokens(group.stream());
                    }
                }
            }
        }
        self.note(&path);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        if item.content.is_some() {
            self.modules.push(self.module.clone());
            visit::visit_item_mod(self, item);
        } else {
            self.declared.push(Declared {
                module: self.module.clone(),
                path: path_named(&item.attrs),
            });
        }
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.note_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path
            .segments
            .iter()
            .map(|name| name.ident.to_string())
            .collect();
        self.note(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.note_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

fn attributes(item: &syn::Item) -> &[Attribute] {
    use syn::Item::{Const, Enum, Fn, Impl, Macro, Mod, Static, Struct, Trait, Type, Use};
    match item {
        Const(item) => &item.attrs,
        Enum(item) => &item.attrs,
        Fn(item) => &item.attrs,
        Impl(item) => &item.attrs,
        Macro(item) => &item.attrs,
        Mod(item) => &item.attrs,
        Static(item) => &item.attrs,
        Struct(item) => &item.attrs,
        Trait(item) => &item.attrs,
        Type(item) => &item.attrs,
        Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether it is compiled for tests only.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else {
            return false;
        };
        let condition = list.tokens.to_string().replace(' ', "");
        list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
    })
}

/// The value of `#[path = "…"]`.
fn path_named(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(path) => Some(path.value()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a crate of these files is layered.
    fn is_layered(files: &[(&str, &str)]) -> bool {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join("src").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        check_crate(folder.path()).expect("a crate")
    }

    const FACE: (&str, &str) = ("lib.rs", "mod above; mod below; pub use above::Above;");
    const ABOVE: (&str, &str) = (
        "above.rs",
        "use crate::below::Below; pub struct Above(Below);",
    );

    fn with_below(text: &str) -> bool {
        is_layered(&[FACE, ABOVE, ("below.rs", text)])
    }

    #[test]
    fn imports_that_run_down() {
        assert!(with_below("pub(crate) struct Below;"));
        assert!(with_below(
            "mod inside { use super::Below; } pub(super) struct Below;"
        ));
        assert!(with_below("macro_rules! face { () => { $crate::Above }; }"));
    }

    #[test]
    fn imports_that_run_back_up() {
        assert!(!with_below("use crate::above::Above;"));
        assert!(!with_below("use super::{above::Above as Other};"));
        assert!(!with_below("fn below() { crate::above::above() }"));
        assert!(!with_below(
            "fn below() { println!(\"{}\", 1 + crate::above::ABOVE); }"
        ));
        assert!(!with_below(
            "macro_rules! below { () => { above(1, crate::above::ABOVE) }; }"
        ));
    }

    #[test]
    fn imports_from_the_face() {
        assert!(!with_below("use crate::Above;"));
        assert!(!with_below("use crate::*;"));
        assert!(!with_below("use super::Above;"));
    }

    #[test]
    fn each_crate_of_the_repository() {
        let root = tempfile::tempdir().expect("a folder");
        let source = root.path().join("crate/src");
        fs::create_dir_all(&source).expect("made");
        fs::write(source.join("lib.rs"), "mod below;").expect("written");
        for (below, expected) in [("", true), ("use crate::Face;", false)] {
            fs::write(source.join("below.rs"), below).expect("written");
            assert_eq!(check(root.path()).expect("crates"), expected);
        }
    }

    #[test]
    fn a_file_below_its_folder() {
        let inside = ("below/inside.rs", "use super::Below;");
        let takes = "mod inside; use inside::Inside;";
        assert!(is_layered(&[
            FACE,
            ABOVE,
            ("below.rs", "mod inside;"),
            inside
        ]));
        assert!(!is_layered(&[FACE, ABOVE, ("below.rs", takes), inside]));
        let inside = ("elsewhere.rs", "use super::Below;");
        let takes = "#[path = \"elsewhere.rs\"] mod inside; fn below() { inside::inside() }";
        assert!(!is_layered(&[FACE, ABOVE, ("below.rs", takes), inside]));
    }

    #[test]
    fn tests_import_from_anywhere() {
        assert!(with_below("#[cfg(test)] mod tests;"));
        assert!(with_below(
            "#[cfg(test)] mod tests { use crate::above::Above; }"
        ));
        assert!(with_below(
            "#[cfg(all(test, loom))] use crate::above::Above;"
        ));
    }
}
