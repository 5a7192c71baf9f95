//! Temporary directories on a file system with space: samples pause while less than a tenth of it is free.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

/// More than a tenth, in thousandths, because other programs write there, too.
const SPACE: u64 = 167;

/// A directory for a run that may write samples: the usual one for temporary files, if its file system has space, else
/// the one of three whose file system has most.
pub fn temporary() -> io::Result<TempDir> {
    let candidates = [std::env::temp_dir(), PathBuf::from("/dev/shm"), PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    let most = candidates.iter().max_by_key(|path| free(path));
    let chosen = candidates.iter().find(|path| free(path) > SPACE).or(most);
    chosen.map_or_else(TempDir::new, TempDir::new_in)
}

/// How many thousandths of a file system are free.
fn free(path: &Path) -> u64 {
    statvfs(path).map_or(0, |status| status.blocks_available() * 1000 / status.blocks().max(1))
}
