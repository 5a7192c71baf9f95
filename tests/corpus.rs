//! The inputs that the fuzzer has found, as a test: every file of `tests/fuzz/corpus` keeps the property of its
//! target. `make fuzz` looks for more.

#[path = "fuzz/properties/mod.rs"]
mod properties;

use std::fs;
use std::path::{Path, PathBuf};

/// A larger corpus could not be reviewed.
const MOST_BYTES: usize = 200_000;

/// Every entry of a folder of the corpus, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).expect("the corpus is there");
    let mut paths: Vec<_> = listed.map(|entry| entry.expect("an entry has a name").path()).collect();
    paths.sort();
    paths
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

#[test]
fn every_file_of_the_corpus_keeps_its_property() {
    let mut bytes = 0;
    for (target, holds) in properties::TARGETS {
        for path in entries(&corpus().join(target)) {
            let input = fs::read(&path).expect("a file of the corpus can be read");
            bytes += input.len();
            // Printed if the property does not hold.
            println!("{}", path.display());
            holds(&input);
        }
    }
    assert!(bytes <= MOST_BYTES, "{bytes} bytes of corpus, merge it into fewer");
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folders: Vec<_> =
        entries(&corpus()).iter().map(|path| path.file_name().map(|name| name.to_os_string())).collect();
    assert_eq!(folders, properties::TARGETS.map(|(target, _)| Some(target.into())));
    for (target, _) in properties::TARGETS {
        assert!(!entries(&corpus().join(target)).is_empty(), "the corpus of {target} is empty");
    }
}
