//! The structure that `src/lib.rs` promises: layers, no import cycle within a folder, and where `unsafe`
//! and system calls live.

#![allow(clippy::unwrap_used, reason = "a test says where it failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

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

/// Every path in the code of a file that begins at the crate, at the module above or at the module
/// itself, as a path below the crate. What stands in braces behind it is one path each.
fn imports(file: &File) -> BTreeSet<Vec<String>> {
    let code: String = file.content.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut found = BTreeSet::new();
    for (keyword, up) in [("crate::", None), ("super::", Some(1)), ("self::", Some(0))] {
        for (at, _) in code.match_indices(keyword) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            // In a unit test `super` is the file itself, which imports nothing from itself.
            let begin = up.map_or(Vec::new(), |up| file.module[..file.module.len() - up].to_vec());
            read_tree(&mut code[at + keyword.len()..].chars().peekable(), &begin, &mut found);
        }
    }
    found
}

/// Reads a path, or a tree of them in braces, as it stands behind `use`.
fn read_tree(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, begin: &[String], found: &mut BTreeSet<Vec<String>>) {
    let mut path = begin.to_vec();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.next_if_eq(&'{').is_some() {
            while rest.peek().is_some_and(|c| *c != '}') {
                read_tree(rest, &path, found);
                while rest.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
            }
            rest.next();
            return;
        }
        let mut name = String::new();
        while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
            name.push(c);
        }
        match name.as_str() {
            "super" => drop(path.pop()),
            "self" | "" => {}
            _ => path.push(name),
        }
        if rest.next_if_eq(&':').is_none() {
            // `as` gives another name to the same thing; anything else belongs to no path.
            while rest.peek().is_some_and(|c| !",}".contains(*c)) && rest.peek().is_some_and(|c| *c == ' ' || *c == '*')
            {
                rest.next();
            }
            found.insert(path);
            return;
        }
        rest.next();
    }
}

/// Which module an imported path lies in: the longest one that is a file.
fn resolve(path: &[String], modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|module| modules.contains(module))
}

/// Every import from one file into another, both as modules.
fn edges() -> Vec<(PathBuf, Vec<String>, Vec<String>)> {
    let files = sources();
    let modules: BTreeSet<Vec<String>> = files.iter().map(|file| file.module.clone()).collect();
    let mut edges = Vec::new();
    for file in &files {
        for import in imports(file) {
            if let Some(module) = resolve(&import, &modules).filter(|module| *module != file.module) {
                edges.push((file.path.clone(), file.module.clone(), module));
            }
        }
    }
    assert!(edges.len() > 200, "the imports are found");
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
fn imports_are_read_as_they_are_written() {
    let file = |module: &str, content: &str| File {
        path: PathBuf::new(),
        module: module.split("::").map(str::to_string).collect(),
        content: content.to_string(),
    };
    let found = |module: &str, content: &str| -> Vec<String> {
        imports(&file(module, content)).iter().map(|path| path.join("::")).collect()
    };
    let content = "use super::{Errno, by_path::{self, open}};\n// use crate::shell;\nfn f() { crate::base::text::f() }";
    assert_eq!(found("sys::file", content), ["base::text::f", "sys::Errno", "sys::by_path", "sys::by_path::open"]);
    assert_eq!(found("core::monitor::entry", "use super::super::probe as p;"), ["core::probe"]);
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
