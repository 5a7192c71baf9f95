//! The structure that `src/lib.rs` promises: layers, and where `unsafe` and system calls live.

#![allow(clippy::unwrap_used, reason = "a test says where it failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every source file below `src` with its content.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let content = fs::read_to_string(&path).unwrap();
                found.push((path, content));
            }
        }
    }
    assert!(found.len() > 20, "the sources are found");
    found
}

/// The module a file belongs to: its first name below `src`.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    let first = below.iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_string()
}

/// Modules in the order of the table: `(layer, position)` of each.
fn table() -> Vec<(String, usize)> {
    let lib = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | ")).filter_map(|row| row.split_once(" | "));
    let rows = rows.filter_map(|(layer, files)| Some((layer.parse::<usize>().ok()?, files)));
    let modules = rows.flat_map(|(layer, files)| {
        files.trim_end_matches(" |").split(", ").map(move |file| (file.to_string(), layer)).collect::<Vec<_>>()
    });
    modules.collect()
}

/// Names that stand behind `crate::` in the code of a file, its own unit tests included.
fn imports(content: &str) -> impl Iterator<Item = String> {
    let code = content.lines().filter(|line| !line.trim_start().starts_with("//"));
    let names = code.flat_map(|line| line.split("crate::").skip(1));
    names.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

#[test]
fn a_module_imports_only_from_layers_above_it() {
    let table = table();
    let place = |name: &str| table.iter().position(|(module, _)| module == name);
    let mut wrong = Vec::new();
    for (path, content) in sources() {
        let own = module(&path);
        if own == "lib" {
            continue;
        }
        let Some(own_place) = place(&own) else {
            wrong.push(format!("{own} is not in the table of src/lib.rs"));
            continue;
        };
        for import in imports(&content).filter(|import| *import != own) {
            match place(&import) {
                Some(at) if at < own_place => {}
                _ => wrong.push(format!("{} imports {import}", path.display())),
            }
            // The system calls know nothing of the decisions.
            if own == "sys" && import == "monitor" {
                wrong.push(format!("{} imports monitor", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    for (module, _) in &table {
        assert!(sources().iter().any(|(path, _)| self::module(path) == *module), "{module} is in the table only");
    }
}

#[test]
fn unsafe_and_system_calls_live_in_sys_alone() {
    let mut wrong = Vec::new();
    for (path, content) in sources() {
        if module(&path) == "sys" {
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
