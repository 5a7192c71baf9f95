//! The life of one run, from its start to its end, in stages.
//!
//! At the end of a stage the test waits until the program is idle: its probes have ended, its report
//! is in the log. So a signal finds no probe in flight, and a kill near it may lose nothing.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::run::{Manner, Run};
use crate::run_dir::{RunDir, SECOND};
use crate::witness::Witness;
use crate::{Result, seconds, wait_for};

/// One stage of a life, and when it is over.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// This many connections of this life have ended.
    Probed(u64),
    /// The process sleeps: it has counted its ended probes, which a closed connection does not prove.
    Asleep,
    /// SIGUSR1; the report is in the log.
    Report,
    /// SIGHUP with the second configuration; the message is printed.
    Reload,
    /// SIGTERM; the process has ended.
    Stop,
    /// The process has ended by itself.
    End,
}

/// A report, a reload that removes a target and adds one, and the last report.
pub const WHOLE: &[Stage] = &[Stage::Probed(3), Stage::Report, Stage::Reload, Stage::Probed(4), Stage::Stop];

/// A reload that removes a target with unreported counts.
pub const RELOADED: &[Stage] = &[Stage::Probed(3), Stage::Reload, Stage::Probed(4), Stage::Report, Stage::Stop];

/// A round and the last report.
pub const SHORT: &[Stage] = &[Stage::Probed(3), Stage::Stop];

/// A life to be killed with unreported counts.
pub const UNREPORTED: &[Stage] = &[Stage::Probed(3), Stage::Asleep];

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Exit status 0.
    Clean,
    /// Exit status 1: its last report could not be written.
    Failed,
    /// SIGKILL.
    Killed,
}

/// A life that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Lived {
    pub end: End,
    pub id: RunId,
    pub reload: Reload,
}

/// Whether a run has re-read its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    Never,
    /// It was asked to, and may have done it.
    Asked,
    Done,
}

/// Identifies a run.
#[derive(Clone, Copy, Debug)]
pub struct RunId {
    pub pid: u32,
    /// Seconds since 1970, from one second before its start to one second after its end: its own
    /// clock readings lie within.
    pub from: i64,
    pub to: i64,
}

impl RunId {
    /// A run that starts now.
    pub fn new(pid: u32) -> Result<Self> {
        let now = seconds()?;
        Ok(Self { pid, from: now - 1, to: now + 1 })
    }

    /// The same run, which has ended now.
    pub fn ends(self) -> Result<Self> {
        Ok(Self { to: seconds()? + 1, ..self })
    }
}

/// Starts the program and leads it through these stages. If it still runs after the last one, it
/// is killed.
pub fn live(
    binary: &Path,
    dir: &RunDir,
    witness: &mut Witness,
    arguments: &str,
    manner: Manner<'_>,
    stages: &[Stage],
) -> Result<Lived> {
    let before = witness.ended()?;
    witness.begin_life()?;
    let mut reload = Reload::Never;
    let mut run = Run::start(binary, dir, arguments, manner)?;
    let id = RunId::new(run.pid())?;
    for stage in stages {
        let logged = dir.logged()?;
        match stage {
            Stage::Report => run.signal(Signal::SIGUSR1)?,
            Stage::Reload => {
                dir.configure(&SECOND, "24h", witness)?;
                reload = Reload::Asked;
                run.signal(Signal::SIGHUP)?;
            }
            Stage::Stop => run.signal(Signal::SIGTERM)?,
            Stage::Probed(_) | Stage::Asleep | Stage::End => {}
        }
        let mut status = None;
        wait_for(&format!("{stage:?}"), || {
            status = run.ended()?;
            Ok(status.is_some()
                || match stage {
                    Stage::Probed(count) => witness.ended()? >= before + count,
                    Stage::Asleep => run.is_asleep()?,
                    Stage::Report => dir.logged()? > logged,
                    Stage::Reload => dir.read("err")?.contains(" re-read, "),
                    Stage::Stop | Stage::End => false,
                })
        })
        .map_err(|why| format!("{why}\n{}", said(dir)))?;
        if let Some(status) = status {
            use std::os::unix::process::ExitStatusExt;
            let end = match (status.code(), status.signal()) {
                (Some(0), _) if matches!(stage, Stage::Stop | Stage::End) => End::Clean,
                (Some(1), _) if matches!(stage, Stage::Stop | Stage::End) => End::Failed,
                (None, Some(9)) => End::Killed,
                _ => return Err(format!("the program ended with {status} in {stage:?}\n{}", said(dir)).into()),
            };
            return Ok(Lived { end, id: id.ends()?, reload });
        }
        if matches!(stage, Stage::Reload) {
            reload = Reload::Done;
        }
    }
    run.kill()?;
    Ok(Lived { end: End::Killed, id: id.ends()?, reload })
}

/// The last lines of the run's output and of its trace.
pub fn said(dir: &RunDir) -> String {
    let mut said = String::new();
    for name in ["out", "err", "trace"] {
        let text = dir.read(name).unwrap_or_else(|error| error.to_string());
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(8)..];
        said.push_str(&format!("{name}: {}\n", last.join("\n     ")));
    }
    said
}
