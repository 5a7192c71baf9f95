//! The directory in which the program runs: its configuration, its ledger, its daily logs and its
//! output. A copy of it lets many runs start from the same state.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Result;
use crate::witness::{REFUSED, Witness};

/// The first targets, in their order.
pub const FIRST: [&str; 4] = ["web", "db", "mail", REFUSED];

/// The targets after a reload: one removed, one new.
pub const SECOND: [&str; 4] = ["web", "db", REFUSED, "news"];

/// The ledger's file name.
pub const LEDGER: &str = "tcpmon.ledger";

/// The directory; it is deleted when this is dropped.
pub struct RunDir(TempDir);

impl RunDir {
    /// An empty directory.
    pub fn new() -> Result<Self> {
        Ok(Self(TempDir::new()?))
    }

    /// Another directory with the same files.
    pub fn copy(&self) -> Result<Self> {
        let copy = Self::new()?;
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            let to = copy.path().join(entry.file_name());
            if entry.file_type()?.is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(entry.path())?, to)?;
            } else {
                fs::copy(entry.path(), to)?;
            }
        }
        Ok(copy)
    }

    /// Writes the configuration: each of these targets is probed at the start, and then once an
    /// hour.
    pub fn configure(&self, targets: &[&str], report: &str, witness: &Witness) -> Result {
        let mut text = format!("interval 1h\nreport {report}\n");
        for service in targets {
            writeln!(text, "target {service} 127.0.0.1 {}", witness.port(service)?)?;
        }
        // Renamed, so that a reader finds the old file or the new one.
        fs::write(self.file("tcpmon.conf.new"), text)?;
        Ok(fs::rename(self.file("tcpmon.conf.new"), self.file("tcpmon.conf"))?)
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The text of a file; empty if there is no file.
    pub fn read(&self, name: &str) -> Result<String> {
        match fs::read(self.file(name)) {
            Ok(bytes) => Ok(String::from_utf8(bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The daily logs, oldest first, without the symbolic link.
    pub fn logs(&self) -> Result<Vec<PathBuf>> {
        let mut logs = Vec::new();
        for entry in fs::read_dir(self.path())? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            let date = name.strip_prefix("tcp_stats_").and_then(|rest| rest.strip_suffix(".log"));
            if date.is_some_and(|date| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())) {
                logs.push(self.file(&name));
            }
        }
        logs.sort();
        Ok(logs)
    }

    /// Bytes of all daily logs.
    pub fn logged(&self) -> Result<u64> {
        self.logs()?.iter().map(|log| Ok(fs::metadata(log)?.len())).sum()
    }
}
