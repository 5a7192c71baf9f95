//! The directory in which the program runs, with its configuration and its daily log.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::{Result, scratch};

/// The directory; it is deleted when this is dropped.
pub struct RunDir(TempDir);

impl RunDir {
    /// A directory with a configuration of these targets, each a host and a port.
    pub fn new<'a>(targets: impl IntoIterator<Item = (&'a str, u16)>) -> Result<Self> {
        let mut text = String::new();
        for (number, (host, port)) in targets.into_iter().enumerate() {
            // `inet`: localhost may also be ::1, and there is no listener.
            writeln!(text, "target t{number} {host} {port} inet").map_err(|error| error.to_string())?;
        }
        let directory = scratch::temporary().map_err(|error| format!("no temporary directory: {error}"))?;
        fs::write(directory.path().join("tcpmon.conf"), text).map_err(|error| format!("no configuration: {error}"))?;
        Ok(Self(directory))
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a command in this directory to its end, and reads its output through pipes.
    pub fn run(&self, command: &mut Command) -> std::io::Result<Output> {
        command.current_dir(self.path()).env("LC_ALL", "C").stdin(Stdio::null()).output()
    }

    /// How many probes the daily log counts.
    pub fn probes(&self) -> Result<u64> {
        let entries = fs::read_dir(self.path()).map_err(|error| format!("the log's directory: {error}"))?;
        let mut probes = 0;
        for entry in entries.flatten().filter(|entry| is_daily_log(&entry.file_name().to_string_lossy())) {
            let log = fs::read_to_string(entry.path()).map_err(|error| format!("the log: {error}"))?;
            for row in log.lines().filter(|row| !row.starts_with("Timestamp")) {
                let total = row.rsplit('|').next().and_then(|total| total.trim().parse::<u64>().ok());
                probes += total.ok_or_else(|| format!("not a row of the log: {row}"))?;
            }
        }
        Ok(probes)
    }
}

/// `tcp_stats_20251009.log`, but not the symbolic link.
fn is_daily_log(name: &str) -> bool {
    let date = name.strip_prefix("tcp_stats_").and_then(|rest| rest.strip_suffix(".log"));
    date.is_some_and(|date| date.bytes().all(|byte| byte.is_ascii_digit()))
}
