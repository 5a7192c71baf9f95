//! What a run finds that its predecessor left behind: a report that was being written when it was
//! killed, and one whose moment passed while nobody was there. After this the log and the ledger
//! agree.

use std::os::fd::OwnedFd;

use crate::config::Config;
use crate::console::Console;
use crate::daily_log::{DailyLog, LogError};
use crate::ledger::{Journal, Ledger, Phase};
use crate::limits;
use crate::sys::{Errno, clock, file};
use crate::tally::Thresholds;
use crate::text::Text;
use crate::time::WallTime;

/// Bytes beyond a report's own that are searched for it: others may have written to the file.
const OTHERS: usize = 1 << 20;

/// Where a report is in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing of it is there.
    Nowhere,
    /// All of it is there.
    Whole,
    /// A part of it is at the file's end, from so many bytes behind the offset on.
    Torn(usize),
}

/// Brings log and ledger into agreement, and writes the report whose moment has passed by `now`, or
/// that must be written before counts are sorted by other thresholds. How the last run ended is said
/// where it did not come to its end. Afterwards the log has the form of this configuration. Gives
/// the stamp of a report that was due and, where it could not be written, why; its counts are kept.
pub fn recover(
    ledger: &Ledger,
    log: &mut DailyLog,
    config: &Config,
    now: WallTime,
    console: &mut Console,
) -> Option<Result<WallTime, (WallTime, LogError)>> {
    if ledger.is_running() {
        let alive = clock::local(ledger.alive());
        console.say(
            "ledger",
            format_args!(
                "the last run (pid {}) did not end cleanly, it was last alive at {alive}; its counts go on",
                ledger.owner().pid
            ),
        );
    }
    let complete = |journal: &Journal| match in_file(ledger, journal) {
        Ok(complete) => complete,
        Err(errno) => {
            let (file, why) = (journal.file, errno.desc());
            let next = "its rows may be there in part";
            console.say("log", format_args!("{file} cannot be searched for the last run's report ({why}), {next}"));
            false
        }
    };
    let stamp = clock::local(settle(ledger, config.settings.thresholds, now.unix, complete)?);
    let form = *log.form();
    log.change(config.settings.log_dir, ledger.form());
    let rows = ledger.rows();
    let written = log.append(stamp, rows.iter().map(|(service, columns)| (service.as_str(), *columns)), ledger);
    log.change(config.settings.log_dir, form);
    match written {
        Ok(()) => {
            ledger.mark_reported();
            ledger.end_report();
            Some(Ok(stamp))
        }
        Err(error) => Some(Err((stamp, error))),
    }
}

/// Brings a report that was being written to its end, where `complete` says that all of it is in the
/// log. Gives the second since 1970 under which what the log does not have is to be reported at
/// `now`, in the same seconds; `None` where counting simply goes on.
pub fn settle(
    ledger: &Ledger,
    thresholds: Thresholds,
    now: i64,
    complete: impl FnOnce(&Journal) -> bool,
) -> Option<i64> {
    let mut interrupted = None;
    if let Some(journal) = ledger.journal() {
        // Nothing is counted while a report is written: what the counters say is what it says.
        if complete(&journal) {
            // From here on the counters do not say any more what the report says.
            ledger.set_phase(Phase::Written);
            ledger.mark_reported();
        } else if journal.phase == Phase::Writing {
            interrupted = Some(journal.stamp.unix);
            // A kill before it is begun again does not change its stamp.
            ledger.set_due(journal.stamp);
        }
        ledger.end_report();
    }
    if ledger.is_reported() {
        return None;
    }
    let passed = Some(ledger.due()).filter(|due| *due > 0 && *due <= now);
    let sorted_otherwise = (ledger.thresholds() != thresholds).then_some(now);
    interrupted.or(passed).or(sorted_otherwise)
}

/// Whether the log has the whole report. A part of it is cut off.
fn in_file(ledger: &Ledger, journal: &Journal) -> Result<bool, Errno> {
    match journal.phase {
        Phase::Written => Ok(true),
        Phase::Writing => complete(ledger, journal),
        Phase::Torn => cut_torn(journal).map(|()| false),
    }
}

/// Whether the file has the whole report; a part of it is cut off.
fn complete(ledger: &Ledger, journal: &Journal) -> Result<bool, Errno> {
    let Some((log, end)) = open(journal)? else { return Ok(false) };
    let mut report = String::new();
    let rows = ledger.rows();
    ledger.form().write(&mut report, journal.headed, journal.stamp, rows.into_iter());
    match find(report.as_bytes(), &end) {
        Found::Whole => Ok(true),
        Found::Nowhere => Ok(false),
        Found::Torn(at) => file::truncate(&log, journal.offset + at as u64).map(|()| false),
    }
}

/// Cuts off the part of a report that its run could not cut off, if it is still the file's end. What
/// was counted since is not in it, so its rows are known by their stamp alone.
fn cut_torn(journal: &Journal) -> Result<(), Errno> {
    let Some((log, end)) = open(journal)? else { return Ok(()) };
    let stamp = Text::<32>::format(format_args!("{} | ", journal.stamp));
    let is_ours = |line: &[u8]| {
        let known =
            if line.first().is_some_and(u8::is_ascii_alphabetic) { b"Timestamp " } else { stamp.as_str().as_bytes() };
        line.starts_with(known) || known.starts_with(line)
    };
    let is_part = end.len() == journal.length as usize && end.split(|byte| *byte == b'\n').all(is_ours);
    if is_part { file::truncate(&log, journal.offset) } else { Ok(()) }
}

/// The report's file and what is in it from the report's offset on; `None` where that is nothing.
fn open(journal: &Journal) -> Result<Option<(OwnedFd, Vec<u8>)>, Errno> {
    if !file::exists(journal.file.as_str()) {
        return Ok(None);
    }
    let (log, size) = file::open_log(journal.file.as_str())?;
    let there = usize::try_from(size.saturating_sub(journal.offset)).unwrap_or(usize::MAX);
    let most = (limits::WATCHES + 1) * limits::ROW + OTHERS;
    let mut end = vec![0; there.min(most)];
    let mut filled = 0;
    while filled < end.len() {
        match file::read_at(&log, &mut end[filled..], journal.offset + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    end.truncate(filled);
    Ok((filled > 0).then_some((log, end)))
}

/// Looks for a report in what its file has from its offset on: others may have written first.
fn find(report: &[u8], end: &[u8]) -> Found {
    let lines = end.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let starts = [0].into_iter().chain(lines).filter(|at| *at < end.len());
    for at in starts {
        if end[at..].starts_with(report) {
            return Found::Whole;
        }
        if report.starts_with(&end[at..]) {
            return Found::Torn(at);
        }
    }
    Found::Nowhere
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Memory;
    use crate::tally::Outcome;
    use crate::target::Target;
    use crate::time::Nanos;
    use std::fs;

    /// Boundary at 2025-10-09 14:35:00 UTC, in whatever zone this runs.
    const DUE: i64 = 1_760_020_500;

    fn wall(unix: i64) -> WallTime {
        clock::local(unix)
    }

    /// A log and a ledger as a run leaves them that was killed while it wrote a report.
    struct Remains {
        place: tempfile::TempDir,
        config: Config,
        ledger: Ledger,
        report: String,
    }

    impl Remains {
        fn new(before: &str, headed: bool) -> Self {
            let place = tempfile::tempdir().expect("a place for temporary files");
            let mut config = Config::new();
            config.settings.log_dir = Text::format(format_args!("{}", place.path().display()));
            let ledger = Ledger::create(Memory::own(3), 3, wall(DUE - 1000));
            ledger.set_thresholds(config.settings.thresholds);
            for (i, service) in ["web", "a-service-with-a-long-name", "db"].into_iter().enumerate() {
                let target = Target::new(service, "192.0.2.1", 1).expect("a target");
                config.targets.push(target);
                ledger.record(i).install(&target);
                ledger.record(i).set_order(i + 1);
                ledger.record(i).count(Outcome::FastFast, 7 + i as u32);
            }
            ledger.set_due(wall(DUE));
            let mut report = String::new();
            ledger.form().write(&mut report, headed, wall(DUE), ledger.rows().into_iter());
            let remains = Self { place, config, ledger, report };
            fs::write(remains.file(), before).expect("our own directory");
            let file = Text::copy(&remains.file()).expect("a short path");
            remains.ledger.begin_report(&file, before.len() as u64, remains.report.len(), wall(DUE), headed);
            remains
        }

        fn file(&self) -> String {
            let date = wall(DUE).to_string()[..10].replace('-', "");
            format!("{}/tcp_stats_{date}.log", self.place.path().display())
        }

        fn recover(&self, now: i64) -> Option<Result<WallTime, (WallTime, LogError)>> {
            let form = crate::table::Form::new(self.config.settings.thresholds, self.config.longest_service());
            let mut log = DailyLog::new(self.config.settings.log_dir, form);
            recover(&self.ledger, &mut log, &self.config, wall(now), &mut Console::new(true))
        }

        fn content(&self) -> String {
            fs::read_to_string(self.file()).expect("text")
        }
    }

    /// Contents of a log that the last report found there, and whether it begins with a header.
    fn befores() -> [(String, bool); 3] {
        let remains = Remains::new("", true);
        let earlier = remains.report.replace(&wall(DUE).to_string(), &wall(DUE - 300).to_string());
        [(String::new(), true), (earlier.clone(), false), (format!("{earlier}# a note\n"), false)]
    }

    #[test]
    fn a_report_killed_at_any_byte_stands_in_the_log_once() {
        for (before, headed) in befores() {
            let length = Remains::new(&before, headed).report.len();
            let steps = if before.is_empty() { 1 } else { 13 };
            for written in (0..length).step_by(steps).chain([length - 1, length]) {
                for others in ["", "# somebody else\n"] {
                    let remains = Remains::new(&before, headed);
                    let expected = format!("{before}{others}{}", remains.report);
                    let part = format!("{before}{others}{}", &remains.report[..written]);
                    fs::write(remains.file(), part).expect("our own file");
                    let again = remains.recover(DUE - 1);
                    assert_eq!(again.is_some(), written < length, "only what is not there is written");
                    // A file that others have begun has no header for us.
                    let content = remains.content();
                    let content = content.replace(others, "");
                    assert_eq!(
                        content.replace("# a note\n", ""),
                        expected.replace(others, "").replace("# a note\n", "")
                    );
                    assert!(remains.ledger.is_reported() && remains.ledger.journal().is_none());
                    assert_eq!(remains.recover(DUE + 1000), None, "nothing is left to do");
                }
            }
        }
    }

    #[test]
    fn a_report_that_was_written_is_marked_wherever_the_marking_was_killed() {
        for marked in 0..=3 {
            let remains = Remains::new("", true);
            fs::write(remains.file(), &remains.report).expect("our own file");
            remains.ledger.set_phase(Phase::Written);
            for i in 0..marked {
                remains.ledger.record(i).mark_reported(&remains.ledger.record(i).tally());
            }
            assert_eq!(remains.recover(DUE + 1000), None);
            assert!(remains.ledger.is_reported());
            assert_eq!(remains.content(), remains.report);
        }
    }

    #[test]
    fn a_part_that_could_not_be_cut_off_is_cut_off_and_counting_goes_on() {
        for (before, headed) in befores() {
            let length = Remains::new(&before, headed).report.len();
            for written in (1..length).step_by(13).chain([length - 1]) {
                let remains = Remains::new(&before, headed);
                fs::write(remains.file(), format!("{before}{}", &remains.report[..written])).expect("our own file");
                remains.ledger.tear_report(before.len() as u64, written);
                remains.ledger.record(0).count(Outcome::FastFast, 99);
                assert_eq!(remains.recover(DUE - 1), None);
                assert_eq!(remains.content(), before);
                assert_eq!(remains.ledger.record(0).tally().unreported().columns().total, 99);
            }
            let remains = Remains::new(&before, headed);
            let others = format!("{before}{}# a note\n", &remains.report[..length / 2]);
            fs::write(remains.file(), &others).expect("our own file");
            remains.ledger.tear_report(before.len() as u64, length / 2);
            remains.recover(DUE - 1);
            assert_eq!(remains.content(), others, "what somebody else wrote stays");
        }
    }

    #[test]
    fn a_missed_report_stands_under_its_own_time_and_only_when_that_has_passed() {
        for (now, stamp) in [(DUE - 1, None), (DUE, Some(DUE)), (DUE + 200_000, Some(DUE)), (0, None)] {
            let remains = Remains::new("", true);
            remains.ledger.end_report();
            let found = remains.recover(now).map(|result| result.map(|stamp| stamp.unix));
            assert_eq!(found, stamp.map(Ok));
            assert_eq!(remains.content(), if stamp.is_some() { remains.report.as_str() } else { "" });
        }
    }

    #[test]
    fn counts_that_were_sorted_by_other_thresholds_are_reported_under_theirs_at_once() {
        let mut remains = Remains::new("", true);
        remains.ledger.end_report();
        remains.config.settings.thresholds.timeout = Nanos::from_secs(3);
        assert_eq!(remains.recover(DUE - 60), Some(Ok(wall(DUE - 60))));
        let content = remains.content();
        assert!(content.contains("Conn1-5s") && content.contains(&format!("{} | web", wall(DUE - 60))), "{content}");
    }

    #[test]
    fn a_report_that_cannot_be_written_is_kept() {
        let remains = Remains::new("", true);
        fs::remove_file(remains.file()).expect("our own file");
        fs::create_dir(remains.file()).expect("its name is free");
        for _ in 0..2 {
            assert!(matches!(remains.recover(DUE), Some(Err((_, LogError::Open(_))))));
            assert!(!remains.ledger.is_reported());
        }
        fs::remove_dir(remains.file()).expect("our own directory");
        assert_eq!(remains.recover(DUE), Some(Ok(wall(DUE))));
        assert_eq!(remains.content(), remains.report);
    }

    #[test]
    fn a_report_is_found_whole_in_part_or_not_at_all() {
        let report = b"a 1\nb 2\n";
        for (end, found) in [
            (&b""[..], Found::Nowhere),
            (b"x 7\n", Found::Nowhere),
            (b"a 1\nb 3\n", Found::Nowhere),
            (b"a 1\nb 2\n", Found::Whole),
            (b"a 1\nb 2\nx 7\n", Found::Whole),
            (b"x 7\na 1\nb 2\n", Found::Whole),
            (b"a", Found::Torn(0)),
            (b"a 1\nb 2", Found::Torn(0)),
            (b"x 7\na 1\n", Found::Torn(4)),
            (b"xa 1\nb 2\n", Found::Nowhere),
        ] {
            assert_eq!(find(report, end), found, "{:?}", std::str::from_utf8(end));
        }
    }
}
