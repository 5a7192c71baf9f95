//! What is done with a run from its start to its end.
//!
//! At every step the harness waits until the program stands still: its probes have ended, its
//! report is in the log. So a signal finds no probe in flight, and what a kill around it may lose
//! is nothing.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::place::{Place, SECOND};
use crate::run::{Manner, Run};
use crate::witness::Witness;
use crate::{Result, patience, seconds};

/// One step of a life.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// So many connections of this life have ended.
    Probed(u64),
    /// It sleeps: what has ended is counted, which the end of a connection alone does not tell.
    Asleep,
    /// SIGUSR1, and the report is in the log.
    Report,
    /// SIGHUP with the second configuration, and it is said.
    Reload,
    /// SIGTERM, and it has ended.
    Stop,
    /// It has ended by itself.
    End,
}

/// A report, a reload that takes a target away and brings one, and the last report.
pub const WHOLE: &[Step] = &[Step::Probed(3), Step::Report, Step::Reload, Step::Probed(4), Step::Stop];

/// A reload takes a target away that has counts which no report had.
pub const RELOADED: &[Step] = &[Step::Probed(3), Step::Reload, Step::Probed(4), Step::Report, Step::Stop];

/// A start, a round, and the last report.
pub const SHORT: &[Step] = &[Step::Probed(3), Step::Stop];

/// A life that ends where it stands, with a kill to come.
pub const UNREPORTED: &[Step] = &[Step::Probed(3), Step::Asleep];

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Exit status 0.
    Clean,
    /// By SIGKILL.
    Killed,
}

/// A life that is over.
pub struct Lived {
    pub end: End,
    pub who: Who,
}

/// Which run it was.
#[derive(Clone, Copy, Debug)]
pub struct Who {
    pub pid: u32,
    /// Seconds since 1970 from its start to its end; the clocks that it reads are a second off at
    /// most.
    pub from: i64,
    pub to: i64,
}

impl Who {
    /// This run, from now on.
    pub fn new(pid: u32) -> Result<Self> {
        let now = seconds()?;
        Ok(Self { pid, from: now - 1, to: now + 1 })
    }

    /// The run has ended.
    pub fn ends(self) -> Result<Self> {
        Ok(Self { to: seconds()? + 1, ..self })
    }
}

/// Starts the program and leads it through these steps, up to its end. Where the steps are done
/// and it still runs, it is killed.
pub fn live(
    binary: &Path,
    place: &Place,
    witness: &mut Witness,
    arguments: &str,
    manner: Manner<'_>,
    steps: &[Step],
) -> Result<Lived> {
    let before = witness.ended()?;
    let mut run = Run::start(binary, place, arguments, manner)?;
    let who = Who::new(run.pid())?;
    for step in steps {
        let logged = place.logged()?;
        match step {
            Step::Report => run.signal(Signal::SIGUSR1)?,
            Step::Reload => {
                place.configure(&SECOND, "24h", witness)?;
                run.signal(Signal::SIGHUP)?;
            }
            Step::Stop => run.signal(Signal::SIGTERM)?,
            Step::Probed(_) | Step::Asleep | Step::End => {}
        }
        let mut status = None;
        patience(&format!("{step:?}"), || {
            status = run.ended()?;
            Ok(status.is_some()
                || match step {
                    Step::Probed(count) => witness.ended()? >= before + count,
                    Step::Asleep => run.is_asleep()?,
                    Step::Report => place.logged()? > logged,
                    Step::Reload => place.read("err")?.contains(" re-read, "),
                    Step::Stop | Step::End => false,
                })
        })
        .map_err(|why| format!("{why}\n{}", said(place)))?;
        if let Some(status) = status {
            use std::os::unix::process::ExitStatusExt;
            let end = match (status.code(), status.signal()) {
                (Some(0), _) if matches!(step, Step::Stop | Step::End) => End::Clean,
                (None, Some(9)) => End::Killed,
                _ => return Err(format!("it ended with {status} in {step:?}\n{}", said(place)).into()),
            };
            return Ok(Lived { end, who: who.ends()? });
        }
    }
    run.kill()?;
    Ok(Lived { end: End::Killed, who: who.ends()? })
}

/// What the run said last, and the end of its trace.
pub fn said(place: &Place) -> String {
    let mut said = String::new();
    for name in ["out", "err", "trace"] {
        let text = place.read(name).unwrap_or_else(|error| error.to_string());
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(8)..];
        said.push_str(&format!("{name}: {}\n", last.join("\n     ")));
    }
    said
}
