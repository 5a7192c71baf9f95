//! Temporary directories on a file system with space: samples pause while less than a tenth of it is free.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

/// A directory for a run that writes samples: the usual one for temporary files, if its file system has space, else
/// another one. An error says which ones are too full.
pub fn temporary() -> io::Result<TempDir> {
    let candidates = [std::env::temp_dir(), PathBuf::from("/dev/shm"), PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    match candidates.iter().find(|path| has_space(path)) {
        Some(path) => TempDir::new_in(path),
        None => {
            Err(io::Error::other(format!("less than a sixth is free in each of {candidates:?}, samples would pause")))
        }
    }
}

/// More than a tenth, because other programs write there, too.
fn has_space(path: &Path) -> bool {
    statvfs(path).is_ok_and(|status| u128::from(status.blocks_available()) * 6 > u128::from(status.blocks()))
}
