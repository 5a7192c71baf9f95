//! What earlier runs have left behind: logs and ledgers, made by the program itself, and ledgers forged from them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::area::SECRET;
use crate::tracer::{Event, Tracer};

/// Names and contents.
pub type Files = Vec<(String, Vec<u8>)>;

/// What runs have left.
pub struct Remains {
    /// Logs of days that `keep` deletes.
    pub old_logs: Files,
    /// A run that has ended.
    pub ended: Files,
    /// A run that was killed when a part of its report was in the log.
    pub killed: Files,
    /// The ledger of another run, with secret words in it.
    pub secret: Vec<u8>,
    /// One without.
    pub public: Vec<u8>,
}

impl Remains {
    /// Makes them below this directory.
    pub fn make(binary: &Path, root: &Path) -> Result<Self> {
        let old_logs = ["tcp_stats_20200101.log", "tcp_stats_20200102.log"];
        let secret = format!("{SECRET}-service=127.0.0.1:1");
        Ok(Self {
            old_logs: old_logs.map(|name| (name.to_owned(), b"old rows\n".to_vec())).into(),
            ended: run(binary, &root.join("ended"), "web=127.0.0.1:1")?,
            killed: killed(binary, &root.join("killed"))?,
            secret: ledger(run(binary, &root.join("secret"), &secret)?)?,
            public: ledger(run(binary, &root.join("public"), "other=127.0.0.1:1")?)?,
        })
    }
}

fn program(binary: &Path, dir: &Path, target: &str) -> Result<Command> {
    fs::create_dir(dir)?;
    let mut program = Command::new(binary);
    program.args(["run", "-n", "2", "--interval", "10ms", target]).current_dir(dir).env("TZ", "UTC");
    program.env_remove("LD_LIBRARY_PATH");
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(program)
}

fn run(binary: &Path, dir: &Path, target: &str) -> Result<Files> {
    let status = program(binary, dir, target)?.status()?;
    if !status.success() {
        return Err(format!("a run for the scenes ended with {status}").into());
    }
    files(dir)
}

fn ledger(files: Files) -> Result<Vec<u8>> {
    let ledger = files.into_iter().find(|(name, _)| name == "tcpmon.ledger");
    Ok(ledger.ok_or("a run left no ledger")?.1)
}

/// Kills a run when it has written its report, and cuts the report.
fn killed(binary: &Path, dir: &Path) -> Result<Files> {
    let mut tracer = Tracer::default();
    let run = tracer.launch(&mut program(binary, dir, "web=127.0.0.1:1")?)?;
    let until = Instant::now() + Duration::from_secs(20);
    let mut writes = false;
    loop {
        match tracer.next(until)?.ok_or("a run for the scenes does not end")? {
            Event::Entry { pid, number, arguments } => {
                let file = fs::read_link(format!("/proc/{pid}/fd/{}", arguments[0])).unwrap_or_default();
                writes = number == libc::SYS_write && file.to_string_lossy().contains("tcp_stats_");
                tracer.go_on(pid);
            }
            Event::Exit { .. } if writes => break,
            Event::Exit { pid, .. } | Event::Forked { parent: pid, .. } => tracer.go_on(pid),
            Event::Ended { .. } => return Err("a run for the scenes wrote no report".into()),
        }
    }
    tracer.kill(run);
    let mut files = files(dir)?;
    for (_, content) in files.iter_mut().filter(|(name, _)| name.ends_with(".log")) {
        content.truncate(content.len() - 20);
    }
    Ok(files)
}

fn files(dir: &Path) -> Result<Files> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
        }
    }
    Ok(files)
}

/// The ledger, changed so that its run is this process and still runs. It finds the fields by their names, as every
/// version of the program does.
pub fn forge(ledger: &[u8], pid: i32, born: u32) -> Result<Vec<u8>> {
    let mut forged = ledger.to_owned();
    let word = |at: usize| {
        let bytes = ledger.get(at * 4..at * 4 + 4).ok_or("the ledger of a run is too short")?;
        Ok::<usize, Box<dyn std::error::Error>>(u32::from_ne_bytes(bytes.try_into()?) as usize)
    };
    // After the preface of 8 words, for each field: its name in 8 bytes, its first word, and its length.
    let (fields, of_records) = (word(4)?, word(5)?);
    let head = 8 + 4 * (fields + of_records);
    let mut found = 0;
    for field in 0..fields {
        let at = 8 + 4 * field;
        let name: Vec<u8> = [word(at)?, word(at + 1)?].iter().flat_map(|word| (*word as u32).to_le_bytes()).collect();
        let value = match String::from_utf8_lossy(&name).trim_end_matches('\0') {
            "pid" => pid as u32,
            "born" => born,
            "running" => 1,
            _ => continue,
        };
        let at = (head + word(at + 2)?) * 4;
        forged[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        found += 1;
    }
    if found == 3 { Ok(forged) } else { Err("the ledger of a run has not the fields pid, born and running".into()) }
}
