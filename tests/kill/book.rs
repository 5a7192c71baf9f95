//! The book of what must be in the daily files: it is kept from the ledger's counts and from what the test has done with
//! the runs, life by life.

use std::collections::BTreeMap;

use tcpmon::base::time::WallTime;

use crate::Result;
use crate::columns::Columns;
use crate::events::{self, Line};
use crate::ledger::Ledger;
use crate::life::{End, Lived, Reload};
use crate::run_dir::{FLIP, RunDir};
use crate::samples;
use crate::times;
use crate::witness::{PerListener, REFUSED};

/// What is known after the lives so far.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Connections that the listeners have accepted.
    pub accepted: PerListener,
    /// How many lives there were. [`FLIP`] has a listener in every second one.
    pub lives: u64,
    /// Most causes that a row of times may lack: a kill can land between the few stores of a probe.
    pub slack: u64,
    /// The samples that the last life has lost, of the target that has lost most.
    pub lost_samples: u64,
    targets: BTreeMap<String, Target>,
    own: Vec<Expected>,
    /// The last run that has owned the ledger.
    last: Option<Owner>,
    /// Lines of events that were in the files.
    lines: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Target {
    counted: Columns,
    /// Good and failed probes of the last life.
    ended: (u64, u64),
    is_down: bool,
    /// How often it went down or up.
    changes: usize,
    /// Probes that have failed since it is down, and in the time before.
    failed: [u64; 2],
    samples: samples::Lines,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    is_clean: bool,
    span: (i64, i64),
}

/// A line of the monitor's own that must be there.
#[derive(Clone, Debug)]
struct Expected {
    kind: &'static str,
    text: Text,
    /// It may also be missing: the run was killed before or after it.
    is_optional: bool,
}

#[derive(Clone, Debug)]
enum Text {
    Is(String),
    /// `nobody watched from TIME to TIME`, with each in its span.
    Unwatched((i64, i64), (i64, i64)),
}

impl Book {
    /// Whether [`FLIP`] has a listener in this life.
    pub fn has_flip(&self) -> bool {
        self.lives % 2 == 0
    }

    /// Writes down a life. `counted` has what was counted of each service since the ledger began.
    pub fn add(&mut self, life: &Lived, ledger: Option<&Ledger>, counted: &[(&str, Columns)]) -> Result {
        let has_flip = self.has_flip();
        for (service, now) in counted.iter().copied() {
            let target = self.targets.entry(service.to_owned()).or_default();
            target.ended = (0, 0);
            if now.total() < target.counted.total() {
                // It is in the ledger no more, and the log is torn.
                continue;
            }
            let part = |columns: Columns| {
                let [fast, slow, _, _, dns_fail, conn_failed, _] = columns.0;
                (fast + slow, dns_fail + conn_failed)
            };
            let ((good, failed), (good_before, failed_before)) = (part(now), part(target.counted));
            let (good, failed) = (good - good_before, failed - failed_before);
            (target.counted, target.ended) = (now, (good, failed));
            if good > 0 && (failed > 0 || service == REFUSED) {
                return Err(format!("{service}: {good} probes connected and {failed} failed in one life").into());
            }
            if service == FLIP && if has_flip { failed > 0 } else { good > 0 } {
                return Err(format!("{service}: its port says otherwise than {good} good and {failed} failed").into());
            }
            if (failed > 0 && !target.is_down) || (good > 0 && target.is_down) {
                target.is_down = failed > 0;
                target.changes += 1;
                target.failed[1] = std::mem::take(&mut target.failed[0]);
            }
            target.failed[0] += failed;
        }
        let Some(ledger) = ledger.filter(|ledger| ledger.pid == life.id.pid) else {
            return if life.end == End::Killed { Ok(()) } else { Err("the run never owned the ledger".into()) };
        };
        let (span, is_clean) = ((life.id.from, life.id.to), ledger.unclean.is_none());
        let mut expect = |kind, text, is_optional| self.own.push(Expected { kind, text, is_optional });
        if let Some(last) = self.last {
            expect(if last.is_clean { "stopped" } else { "killed" }, Text::Unwatched(last.span, span), false);
        }
        expect("start", Text::Is(concat!("tcpmon ", env!("CARGO_PKG_VERSION"), ", 5 targets").to_owned()), false);
        if life.reload != Reload::Never {
            expect("reload", Text::Is("1 new, 1 removed, 4 kept".to_owned()), life.reload == Reload::Asked);
        }
        let down = self.targets.values().filter(|target| target.is_down).count();
        expect("stop", Text::Is(format!("5 targets, {down} down")), life.end == End::Killed && !is_clean);
        self.last = Some(Owner { is_clean, span });
        Ok(())
    }

    /// Compares the daily files with the book after a life. After a clean end they have everything; after a kill the
    /// ledger may have the rest, and the samples of the last second are lost.
    pub fn compare(&mut self, dir: &RunDir, life: &Lived, ledger: Option<&Ledger>, all_reported: bool) -> Result {
        self.compare_times(dir, life, ledger, all_reported)?;
        self.compare_events(dir, life)?;
        self.compare_samples(dir, life)
    }

    /// How many samples are in the files.
    pub fn samples(&self) -> u64 {
        self.targets.values().map(|target| target.samples.connected + target.samples.failed).sum()
    }

    /// Takes the samples in the files for right: the test has torn a line off.
    pub fn recount_samples(&mut self, dir: &RunDir) -> Result {
        let lines = samples::read(dir, true)?;
        for (service, target) in &mut self.targets {
            target.samples = lines.get(service).copied().unwrap_or_default();
        }
        Ok(())
    }

    fn compare_times(&self, dir: &RunDir, life: &Lived, ledger: Option<&Ledger>, all_reported: bool) -> Result {
        let is_whole = life.end == End::Clean && all_reported;
        let sums = times::read(dir, life.end == End::Killed)?;
        for (service, target) in &self.targets {
            let told = sums.get(service).copied().unwrap_or_default();
            let [fast, slow, _, _, dns_fail, conn_failed, _] = target.counted.0;
            let lost = (conn_failed + dns_fail).saturating_sub(told.connects + told.lookups);
            let skipped = ledger.and_then(|ledger| ledger.targets.get(service)).map(|held| held.skipped);
            let is_right = told.connects <= conn_failed
                && told.lookups <= dns_fail
                && skipped.is_none_or(|skipped| told.skipped <= skipped)
                && (!told.has_times || fast + slow > 0);
            let has_all = lost <= self.slack
                && skipped.is_none_or(|skipped| told.skipped == skipped)
                && told.has_times == (fast + slow > 0);
            if !is_right || (is_whole && !has_all) {
                let counted = target.counted.0;
                return Err(format!("{service}: the rows of times tell {told:?}, counted are {counted:?}").into());
            }
        }
        match sums.keys().find(|service| !self.targets.contains_key(*service)) {
            Some(service) => Err(format!("times of {service}, which was never counted").into()),
            None => Ok(()),
        }
    }

    fn compare_events(&mut self, dir: &RunDir, life: &Lived) -> Result {
        let mut lines = events::read(dir, life.end == End::Killed)?;
        if lines.len() < self.lines {
            return Err(format!("{} lines of events, before there were {}", lines.len(), self.lines).into());
        }
        self.lines = lines.len();
        // The test decides which files can be written, and these lines tell no more than the messages.
        lines.retain(|line| line.kind != "log");
        let is_whole = life.end == End::Clean;
        for (service, target) in &self.targets {
            let changes: Vec<&Line> = lines.iter().filter(|line| line.service == *service).collect();
            let is_right = changes.iter().enumerate().all(|(i, line)| line.is_change(i % 2 == 0));
            let most = target.changes;
            if !is_right || changes.len() > most || (is_whole && changes.len() < most) {
                return Err(format!("{service}: {most} changes are counted, these are told: {changes:#?}").into());
            }
            let expected = target.failed[1];
            if let Some(up) = changes.last().filter(|line| line.kind == "up" && changes.len() == most) {
                if up.failed().abs_diff(expected) > self.slack {
                    return Err(
                        format!("{service}: {expected} probes have failed, not {}: {}", up.failed(), up.text).into()
                    );
                }
            }
        }
        let own: Vec<&Line> = lines.iter().filter(|line| line.service == "-").collect();
        let mut found = own.iter().peekable();
        let mut missing = false;
        for expected in &self.own {
            if found.next_if(|line| expected.is(line, dir)).is_none() && !expected.is_optional {
                missing = true;
                break;
            }
        }
        if found.peek().is_some() || (missing && is_whole) {
            let all = own.iter().map(|line| format!("{} {}", line.kind, line.text)).collect::<Vec<_>>().join("\n");
            return Err(format!("events of the monitor itself: expected {:#?}, found\n{all}", self.own).into());
        }
        match lines.iter().find(|line| line.service != "-" && !self.targets.contains_key(&line.service)) {
            Some(line) => Err(format!("an event of {}, which was never counted", line.service).into()),
            None => Ok(()),
        }
    }

    fn compare_samples(&mut self, dir: &RunDir, life: &Lived) -> Result {
        self.lost_samples = 0;
        if dir.is_nearly_full() {
            // Then samples pause.
            return Ok(());
        }
        let lines = samples::read(dir, life.end == End::Killed)?;
        for (service, target) in &mut self.targets {
            let now = lines.get(service).copied().unwrap_or_default();
            let before = std::mem::replace(&mut target.samples, now);
            let (good, failed) = target.ended;
            let (new_good, new_failed) = (
                now.connected.checked_sub(before.connected).ok_or("samples are gone")?,
                now.failed.checked_sub(before.failed).ok_or("samples are gone")?,
            );
            let lost = (good + failed).saturating_sub(new_good + new_failed);
            if new_good > good || new_failed > failed || (life.end == End::Clean && lost > 0) {
                return Err(format!(
                    "{service}: {good} probes have connected and {failed} failed, there are {new_good} and {new_failed} samples"
                )
                .into());
            }
            self.lost_samples = self.lost_samples.max(lost);
        }
        Ok(())
    }
}

impl Expected {
    fn is(&self, line: &Line, dir: &RunDir) -> bool {
        let text = match &self.text {
            Text::Is(text) => line.text == *text,
            Text::Unwatched(from, to) => {
                let moments = line.text.strip_prefix("nobody watched from ").and_then(|text| text.split_once(" to "));
                let is_in = |text: &str, (from, to): (i64, i64)| {
                    let offset = dir.offset();
                    (from..=to).any(|unix| WallTime { unix, nanos: 0, offset }.as_moment().to_string() == text)
                };
                moments.is_some_and(|moments| is_in(moments.0, *from) && is_in(moments.1, *to))
            }
        };
        line.kind == self.kind && text
    }
}
