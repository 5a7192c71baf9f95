//! The structure that `src/lib.rs` promises: layers, no import cycle within a folder, and where `unsafe`
//! and system calls live.

#![allow(clippy::unwrap_used, reason = "a test says where it failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// A source file: its module as a path below the crate (`sys`, `file`; `sys` alone for its `mod.rs`), and
/// its content.
struct File {
    path: PathBuf,
    module: Vec<String>,
    content: String,
}

/// Every source file of the library.
fn sources() -> Vec<File> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(SOURCE)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module = module(&path);
                let content = fs::read_to_string(&path).unwrap();
                found.push(File { path, module, content });
            }
        }
    }
    assert!(found.len() > 50, "the sources are found");
    found.retain(|file| !["main", "lib"].contains(&file.module[0].as_str()));
    found
}

fn module(path: &Path) -> Vec<String> {
    let below = path.strip_prefix(SOURCE).unwrap().with_extension("");
    let mut names: Vec<String> = below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "mod");
    names
}

/// The folders in the order of the table in `src/lib.rs`.
fn layers() -> Vec<String> {
    let lib = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | `")?.split_once("/` | "));
    rows.map(|(folder, _)| folder.to_string()).collect()
}

/// What a file imports: every path in its code that begins at the crate, at a module above, at the module itself or at
/// one of its parts, as a path below the crate.
struct Imports {
    /// The module that the code being read is in: the file's, or one within it.
    module: Vec<String>,
    found: BTreeSet<Vec<String>>,
    /// Names of other modules that the file's own module has, too: `pub use`.
    reexported: Vec<(String, Vec<String>)>,
    /// Paths into the standard library's system interfaces, and macros that print, outside of tests.
    impure: Vec<String>,
    in_test: bool,
}

impl Imports {
    fn of(file: &File) -> Self {
        let code = syn::parse_file(&file.content).map_err(|error| format!("{}: {error}", file.path.display())).unwrap();
        let in_test = file.path.ends_with("tests.rs");
        let (module, found) = (file.module.clone(), BTreeSet::new());
        let mut imports = Self { module, found, reexported: Vec::new(), impure: Vec::new(), in_test };
        imports.visit_file(&code);
        imports
    }

    /// The path below the crate that these names mean here.
    fn absolute(&self, names: &[String]) -> Vec<String> {
        let mut path = self.module.clone();
        for name in names {
            match name.as_str() {
                "crate" => path.clear(),
                "super" => drop(path.pop()),
                "self" => {}
                _ => path.push(name.clone()),
            }
        }
        path
    }

    fn add(&mut self, names: &[String]) {
        const PRINTING: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];
        let Some(first) = names.first() else { return };
        let is_system = first == "std" && names.get(1).is_some_and(|name| !["vec", "string"].contains(&name.as_str()));
        if !self.in_test && (is_system || PRINTING.contains(&first.as_str())) {
            self.impure.push(names.join("::"));
        }
        assert!(
            names != ["crate"],
            "{:?}: the crate has another name here, which this test cannot follow",
            self.module
        );
        let path = self.absolute(names);
        self.found.insert(path);
    }

    fn add_tree(&mut self, names: &[String], tree: &syn::UseTree, is_public: bool) {
        let mut names = names.to_vec();
        match tree {
            syn::UseTree::Path(path) => {
                names.push(path.ident.to_string());
                return self.add_tree(&names, &path.tree, is_public);
            }
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.add_tree(&names, tree, is_public));
            }
            syn::UseTree::Name(name) => names.push(name.ident.to_string()),
            syn::UseTree::Rename(rename) => names.push(rename.ident.to_string()),
            syn::UseTree::Glob(_) => {}
        }
        if is_public {
            let name = names.last().cloned().unwrap_or_default();
            self.reexported.push((name, self.absolute(&names)));
        }
        self.add(&names);
    }
}

impl Visit<'_> for Imports {
    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        let was_in_test = self.in_test;
        self.in_test |= item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        self.module.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.module.pop();
        self.in_test = was_in_test;
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        self.add_tree(&[], &item.tree, is_public);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 || names[0] != "self" {
            self.add(&names);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &syn::Macro) {
        self.visit_path(&call.path);
        // The tokens of a macro are not parsed: paths are found as words outside of string literals.
        let text = call.tokens.to_string().replace("\\\"", "").replace(" :: ", "::");
        let text: String = text.split('"').step_by(2).collect::<Vec<_>>().join(" ");
        let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for word in text.split(|c: char| !is_of_path(c)) {
            let names: Vec<String> = word.split("::").map(str::to_string).collect();
            if names.len() > 1 && !names[0].is_empty() {
                self.add(&names);
            }
        }
    }
}

/// Which module an imported path lies in: the longest one that is a file.
fn resolve(path: &[String], modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|module| modules.contains(module))
}

/// Every import from one file into another, both as modules.
fn edges() -> Vec<(PathBuf, Vec<String>, Vec<String>)> {
    edges_of(&sources())
}

fn edges_of(files: &[File]) -> Vec<(PathBuf, Vec<String>, Vec<String>)> {
    let modules: BTreeSet<Vec<String>> = files.iter().map(|file| file.module.clone()).collect();
    let imports: Vec<Imports> = files.iter().map(Imports::of).collect();
    let mut reexported = BTreeMap::new();
    for (file, imports) in files.iter().zip(&imports) {
        for (name, path) in &imports.reexported {
            reexported.insert([file.module.as_slice(), std::slice::from_ref(name)].concat(), path.clone());
        }
    }
    let mut edges = Vec::new();
    for (file, imports) in files.iter().zip(&imports) {
        for import in &imports.found {
            // What another module passes on is an import from where it is.
            let passed_on = (1..=import.len()).find_map(|length| reexported.get(&import[..length]));
            let import =
                passed_on.filter(|path| resolve(path, &modules).as_ref() != Some(&file.module)).unwrap_or(import);
            match resolve(import, &modules) {
                Some(module) if module != file.module => edges.push((file.path.clone(), file.module.clone(), module)),
                _ => {}
            }
        }
    }
    edges
}

#[test]
fn a_folder_imports_only_from_those_above_it_in_the_table() {
    let layers = layers();
    let rank = |module: &[String]| layers.iter().position(|layer| *layer == module[0]);
    let mut wrong = Vec::new();
    for file in sources() {
        if rank(&file.module).is_none() {
            wrong.push(format!("{} lies in no folder of the table", file.path.display()));
        }
    }
    for (path, own, import) in edges() {
        if rank(&import) > rank(&own) {
            wrong.push(format!("{} imports {}", path.display(), import.join("::")));
        }
        // The system calls know nothing of the decisions, nor of how they are shown.
        if own[0] == "sys" && ["core", "render"].contains(&import[0].as_str()) {
            wrong.push(format!("{} imports {}", path.display(), import.join("::")));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    for layer in &layers {
        assert!(sources().iter().any(|file| file.module[0] == *layer), "{layer} is in the table only");
    }
}

#[test]
fn no_two_files_of_a_folder_import_each_other_even_by_a_detour() {
    // For each folder, which of its files and subfolders imports which.
    let mut folders: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (path, own, import) in edges() {
        let common = own.iter().zip(&import).take_while(|(a, b)| a == b).count();
        // A file and its own parts belong together; what the parts import from each other counts.
        if let (Some(from), Some(to)) = (own.get(common), import.get(common)) {
            folders.entry(own[..common].to_vec()).or_default().entry(from.clone()).or_default().insert(to.clone());
        }
        // A layer's own file would close a cycle with each file that imports from it.
        assert!(
            own.len() > 1 || import[0] != own[0] || import.len() == 1 || own[0] == "commands",
            "{}",
            path.display()
        );
    }
    let mut cycles = Vec::new();
    for (folder, imports) in &folders {
        for start in imports.keys() {
            let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
            while let Some(name) = next.pop() {
                for import in imports.get(name).into_iter().flatten() {
                    if import == start {
                        cycles.push(format!("{}: {start} by way of {name}", folder.join("/")));
                    } else if seen.insert(import) {
                        next.push(import);
                    }
                }
            }
        }
    }
    assert!(folders.keys().any(|folder| folder.join("/") == "sys"), "sys is looked at");
    assert_eq!(cycles, Vec::<String>::new());
}

#[test]
fn what_can_be_tested_without_a_system_touches_none() {
    let mut wrong = Vec::new();
    for file in sources() {
        if ["base", "model", "core", "render"].contains(&file.module[0].as_str()) {
            let impure = Imports::of(&file).impure;
            wrong.extend(impure.iter().map(|path| format!("{} uses {path}", file.path.display())));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// A file of this module with this content.
fn file(module: &str, content: &str) -> File {
    let module = module.split("::").map(str::to_string).collect();
    File { path: PathBuf::from("src/scratch.rs"), module, content: content.to_string() }
}

#[test]
fn imports_are_found_however_they_are_written() {
    let found = |content: &str| -> Vec<String> {
        let files = [
            file("sys", "pub use poll::PollSet;"),
            file("sys::poll", ""),
            file("sys::clock", content),
            file("base::text", ""),
        ];
        let edges = edges_of(&files);
        edges.iter().filter(|(_, own, _)| own[1..] == ["clock"]).map(|(_, _, import)| import.join("::")).collect()
    };
    for (content, imports) in [
        ("use super::poll::{self, // a comment\n PollSet};", vec!["sys::poll", "sys::poll"]),
        ("use super::PollSet;", vec!["sys::poll"]),
        ("mod tests { use super::super::poll; }", vec!["sys::poll"]),
        ("fn f() { crate::base::text::f() }", vec!["base::text"]),
        ("fn f() { g!(1, crate::base::text::X) }", vec!["base::text"]),
        ("fn f() { g!(\"crate::base::text::X\") }", vec![]),
        ("/* use crate::base::text; */ // use crate::base::text;", vec![]),
        ("fn poll() { let text = 1; }", vec![]),
    ] {
        assert_eq!(found(content), imports, "{content}");
    }
    let imports = |content: &str| Imports::of(&file("core::grid", content));
    assert_eq!(imports("fn f() { std::fs::read(p); println!(\"{}\", 1); }").impure, ["std::fs::read", "println"]);
    assert!(imports("#[cfg(test)] mod tests { use std::fs; }").impure.is_empty());
}

#[test]
fn unsafe_and_system_calls_live_in_sys_alone() {
    let mut wrong = Vec::new();
    for File { path, module, content } in sources() {
        if module[0] == "sys" {
            continue;
        }
        for (number, line) in content.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let code = code.replace("unix::", "");
            let word = ["unsafe ", "libc::", "nix::", ".unwrap()"].into_iter().find(|word| code.contains(word));
            let in_test =
                path.ends_with("tests.rs") || content.lines().take(number).any(|l| l.contains("#[cfg(test)]"));
            if let Some(word) = word.filter(|word| !(in_test && *word == ".unwrap()")) {
                wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn run_time_dependencies_are_libc_and_nix() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<_> = section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
    assert_eq!(names, ["libc", "nix"]);
}
