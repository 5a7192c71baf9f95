//! What a run does at its start with the reports that the last run did not finish: one that was being
//! written when that run was killed, and one that became due while no run was there. Afterwards the log
//! and the ledger agree.

use std::os::fd::OwnedFd;

use crate::base::path::{self, Path};
use crate::base::time::WallTime;
use crate::core::due;
use crate::core::ledger::{self, Journal, Ledger, Progress};
use crate::model::settings::Config;
use crate::render::table::Form;
use crate::shell::console::Console;
use crate::shell::daily_log::{DailyLog, LogError};
use crate::sys::directory::Directory;
use crate::sys::{Errno, clock, file};

/// What a search for a report in its file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing of it is there.
    Nowhere,
    /// All of it is there.
    Whole,
    /// The file ends with a part of it, which begins at this offset.
    Torn(u64),
}

/// The result of a report that was due at the start: its stamp, and the error if it is not in the log.
pub type Overdue = Result<WallTime, (WallTime, LogError)>;

/// The last run's unfinished report, whose file cannot be read. Until it can, nothing may be reported: the
/// counts may be in the log already.
#[derive(Debug)]
pub struct UnresolvedReport {
    file: Path,
    /// The directory of its file, as soon as that can be opened: its path may lead elsewhere later.
    directory: Option<Directory>,
    report: String,
}

impl UnresolvedReport {
    /// Its file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Searches the file again, and marks the report in the ledger as finished. Returns whether the whole
    /// report is in the log.
    pub fn resolve(&mut self, ledger: &Ledger, log: &DailyLog) -> Result<bool, Errno> {
        let Some(journal) = ledger.journal() else { return Ok(false) };
        let complete = self.search_file(&journal, log)?;
        if complete {
            ledger.mark_reported();
        } else {
            ledger.end_report();
        }
        Ok(complete)
    }

    /// Opens the file and searches it, see [`search_log`].
    fn search_file(&mut self, journal: &Journal, log: &DailyLog) -> Result<bool, Errno> {
        if journal.progress == Progress::Written {
            return Ok(true);
        }
        match self.open(log) {
            Ok(file) => search_log(&file, journal, &self.report),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Opens the file. `EPERM` if it is another user's and lies outside the log's directory: the ledger names it, and
    /// nobody else says that a report is to be cut off there.
    fn open(&mut self, log: &DailyLog) -> Result<OwnedFd, Errno> {
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => Directory::open(path::parent(self.file.as_str()))?,
        };
        let directory = self.directory.insert(directory);
        let file = file::open_log_again(directory, path::name(self.file.as_str()))?;
        if log.is_in(directory) || file::is_own(&file)? { Ok(file) } else { Err(Errno::EPERM) }
    }
}

/// Brings log and ledger into agreement. Then writes the report that is due by `now`, or that must be
/// written before counts are sorted by other thresholds. `now` is `None` if the clock is wrong, see
/// [`due::left_over`]. Says so if the last run did not end cleanly. Afterwards the log has its form again. What
/// could not be written stays in the ledger.
pub fn recover(
    ledger: &Ledger,
    log: &mut DailyLog,
    config: &Config,
    now: Option<WallTime>,
    console: &mut Console,
) -> (Option<Overdue>, Option<UnresolvedReport>) {
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
    let mut complete = false;
    if let Some(journal) = ledger.journal() {
        let mut last = UnresolvedReport {
            file: log.resolve_path(&journal.file),
            directory: None,
            report: pending_report(ledger, &journal),
        };
        match last.search_file(&journal, log) {
            Ok(found) => complete = found,
            Err(errno) => return (Some(Err((journal.stamp, LogError::Read(errno)))), Some(last)),
        }
    }
    let Some(stamp) = due::left_over(ledger, config.settings.thresholds, now.map(|now| now.unix), |_| complete) else {
        return (None, None);
    };
    let stamp = clock::local(stamp);
    let form = *log.form();
    log.set_directory_and_form(config.settings.log_dir, Form::of(ledger));
    let rows = ledger.rows();
    let written = log.append(stamp, &mut rows.iter().map(|(service, columns)| (service.as_str(), *columns)), ledger);
    log.set_directory_and_form(config.settings.log_dir, form);
    if written.is_ok() {
        ledger.mark_reported();
    }
    (Some(written.map(|()| stamp).map_err(|error| (stamp, error))), None)
}

/// The text of the unfinished report; empty if it cannot be formatted again.
fn pending_report(ledger: &Ledger, journal: &Journal) -> String {
    let mut report = String::new();
    let rows = ledger.pending_rows();
    let mut rows = rows.iter().map(|(service, columns)| (service.as_str(), *columns));
    // Writing to a String does not fail.
    let _ = Form::of(ledger).write(&mut report, journal.headed, journal.stamp, &mut rows);
    let is_it = |report: &str| ledger::checksum(report.as_bytes()) == journal.checksum;
    if !is_it(&report) {
        // The file ended in the middle of a line.
        report.insert(0, '\n');
    }
    // A run that could not read the file may have reloaded other targets. Then only the checksum is left
    // to recognise the report.
    if !is_it(&report) {
        report.clear();
    }
    report
}

/// Whether the log has the whole report. If the file ends with a part of the report, cuts it off.
fn search_log(log: &OwnedFd, journal: &Journal, report: &str) -> Result<bool, Errno> {
    let found = if journal.progress == Progress::Torn {
        let end = journal.offset + u64::from(journal.length);
        if file::size(log)? == end { Found::Torn(journal.offset) } else { Found::Nowhere }
    } else {
        find(log, journal.offset, |at| compare(log, at, journal, report.as_bytes()))?
    };
    if let Found::Torn(at) = found {
        file::truncate(log, at)?;
    }
    Ok(found == Found::Whole)
}

/// Calls `compare` with the offset of each line from `offset` on, until it finds the report: other
/// programs may have written lines before it.
fn find(log: &OwnedFd, offset: u64, compare: impl Fn(u64) -> Result<Found, Errno>) -> Result<Found, Errno> {
    let (mut piece, mut at, mut begins) = ([0; 4096], offset, true);
    loop {
        let length = file::read_at(log, &mut piece, at)?;
        if length == 0 {
            return Ok(Found::Nowhere);
        }
        for byte in &piece[..length] {
            if begins {
                let found = compare(at)?;
                if found != Found::Nowhere {
                    return Ok(found);
                }
            }
            begins = *byte == b'\n';
            at += 1;
        }
    }
}

/// How much of the report is at this offset. Without its text only the whole report is recognised, by its checksum.
fn compare(log: &OwnedFd, at: u64, journal: &Journal, report: &[u8]) -> Result<Found, Errno> {
    let (mut piece, mut sum, mut done) = ([0; 4096], ledger::checksum_of_nothing(), 0);
    let has_text = !report.is_empty();
    while done < journal.length as usize {
        let most = piece.len().min(journal.length as usize - done);
        let length = file::read_at(log, &mut piece[..most], at + done as u64)?;
        let piece = &piece[..length];
        if has_text && report.get(done..done + length) != Some(piece) {
            return Ok(Found::Nowhere);
        }
        if length == 0 {
            return Ok(if has_text { Found::Torn(at) } else { Found::Nowhere });
        }
        sum = ledger::extend_checksum(sum, piece);
        done += length;
    }
    Ok(if sum == journal.checksum { Found::Whole } else { Found::Nowhere })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::Text;
    use crate::base::time::Nanos;
    use crate::core::ledger::Memory;
    use crate::model::outcome::Outcome;
    use crate::model::target::Target;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    fn user_id() -> u32 {
        fs::metadata("/proc/self").expect("proc(5) is mounted").uid()
    }

    /// A boundary: 2025-10-09 14:35:00 UTC, whatever the time zone.
    const DUE: i64 = 1_760_020_500;

    fn wall(unix: i64) -> WallTime {
        clock::local(unix)
    }

    /// A log and a ledger as left by a run that was killed while it wrote a report.
    struct Remains {
        dir: tempfile::TempDir,
        config: Config,
        ledger: Ledger,
        report: String,
    }

    impl Remains {
        fn new(before: &str, headed: bool) -> Self {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let mut config = Config::new();
            config.settings.log_dir = Text::format(format_args!("{}", dir.path().display()));
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
            let rows = ledger.rows();
            let mut rows = rows.iter().map(|(service, columns)| (service.as_str(), *columns));
            if !before.is_empty() && !before.ends_with('\n') {
                report.push('\n');
            }
            Form::of(&ledger).write(&mut report, headed, wall(DUE), &mut rows).expect("a String takes everything");
            let remains = Self { dir, config, ledger, report };
            fs::write(remains.file(), before).expect("our own directory");
            let file = Text::copy(&remains.file()).expect("a short path");
            remains.ledger.begin_report(&file, before.len() as u64, remains.report.as_bytes(), wall(DUE), headed);
            remains
        }

        fn file(&self) -> String {
            let date = wall(DUE).to_string()[..10].replace('-', "");
            format!("{}/tcp_stats_{date}.log", self.dir.path().display())
        }

        fn recover(&self, now: i64) -> Option<Overdue> {
            self.recover_or_not(now).0
        }

        fn recover_or_not(&self, now: i64) -> (Option<Overdue>, Option<UnresolvedReport>) {
            recover(&self.ledger, &mut self.log(), &self.config, Some(wall(now)), &mut Console::new(true))
        }

        fn log(&self) -> DailyLog {
            let form = Form::new(self.config.settings.thresholds, self.config.longest_service());
            DailyLog::new(self.config.settings.log_dir, form, self.config.settings.keep)
        }

        fn content(&self) -> String {
            fs::read_to_string(self.file()).expect("text")
        }
    }

    /// Contents of a log before the last report, and whether that report then begins with a header.
    fn befores() -> [(String, bool); 4] {
        let remains = Remains::new("", true);
        let earlier = remains.report.replace(&wall(DUE).to_string(), &wall(DUE - 300).to_string());
        [
            (String::new(), true),
            (earlier.clone(), false),
            (format!("{earlier}# a note\n"), false),
            (format!("{earlier}# a note"), false),
        ]
    }

    #[test]
    fn a_report_killed_at_any_byte_stands_in_the_log_once() {
        for (before, headed) in befores() {
            let length = Remains::new(&before, headed).report.len();
            let stride = if before.is_empty() { 1 } else { 13 };
            for written in (0..length).step_by(stride).chain([length - 1, length]) {
                for others in ["", "# somebody else\n"] {
                    let remains = Remains::new(&before, headed);
                    let expected = format!("{before}{others}{}", remains.report);
                    let part = format!("{before}{others}{}", &remains.report[..written]);
                    fs::write(remains.file(), part).expect("our own file");
                    let again = remains.recover(DUE - 1);
                    assert_eq!(again.is_some(), written < length, "only a missing report is written");
                    // A line of others at the file's start does not count as a header.
                    let content = remains.content();
                    let plain = |content: &str| {
                        let content = content.replace(others, "").replace("# a note\n", "").replace("# a note", "");
                        content.replace("\n\n", "\n")
                    };
                    assert_eq!(plain(&content), plain(&expected));
                    assert!(content.split_inclusive('\n').all(|line| line.matches('|').count() % 8 == 0), "{content}");
                    assert!(remains.ledger.is_reported() && remains.ledger.journal().is_none());
                    assert_eq!(remains.recover(DUE + 1000), None, "a second recovery does nothing");
                }
            }
        }
    }

    #[test]
    fn a_report_that_was_written_is_marked_wherever_the_marking_was_killed() {
        for marked in 0..=3 {
            let remains = Remains::new("", true);
            fs::write(remains.file(), &remains.report).expect("our own file");
            remains.ledger.set_progress(Progress::Written);
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
            assert_eq!(remains.content(), others, "what others wrote stays");
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
        remains.ledger.end_report();
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
    fn while_its_file_cannot_be_read_a_report_is_neither_forgotten_nor_written_again() {
        for written in [0, 100, usize::MAX] {
            let remains = Remains::new("", true);
            let aside = format!("{}.aside", remains.file());
            let part = &remains.report[..written.min(remains.report.len())];
            fs::write(remains.file(), part).expect("our own file");
            fs::rename(remains.file(), &aside).expect("our own file");
            fs::create_dir(remains.file()).expect("its name is free");
            let (due, unresolved) = remains.recover_or_not(DUE + 1000);
            assert!(matches!(due, Some(Err((_, LogError::Read(_))))));
            let mut unresolved = unresolved.expect("the file cannot be read");
            assert!(unresolved.resolve(&remains.ledger, &remains.log()).is_err());
            // Counting goes on meanwhile, and another run finds the same.
            remains.ledger.record(0).count(Outcome::FastFast, 20);
            assert!(remains.recover_or_not(DUE + 1000).1.is_some());
            fs::remove_dir(remains.file()).expect("our own directory");
            fs::rename(&aside, remains.file()).expect("our own file");
            let whole = written == usize::MAX;
            assert_eq!(unresolved.resolve(&remains.ledger, &remains.log()), Ok(whole));
            assert_eq!(remains.content(), if whole { remains.report.as_str() } else { "" });
            let left = remains.ledger.record(0).tally().unreported().columns().total;
            assert_eq!((left, remains.ledger.journal()), (if whole { 13 } else { 20 }, None));
        }
    }

    #[test]
    fn a_file_elsewhere_that_is_not_this_runs_own_is_left_alone() {
        let planted: [fn(&str); 2] = [
            |file| fs::hard_link(file, format!("{file}.2")).expect("its name is free"),
            // Only root can do this.
            |file| std::os::unix::fs::chown(file, Some(1), None).unwrap_or(()),
        ];
        for plant in planted {
            let mut remains = Remains::new("", true);
            let half = &remains.report[..remains.report.len() / 2];
            fs::write(remains.file(), half).expect("our own file");
            // As if `log_dir` had been changed since.
            remains.config.settings.log_dir.append(format_args!("/new"));
            plant(&remains.file());
            let is_own = fs::metadata(remains.file()).is_ok_and(|file| (file.nlink(), file.uid()) == (1, user_id()));
            let (due, unresolved) = remains.recover_or_not(DUE + 1000);
            assert_eq!(matches!(due, Some(Err((_, LogError::Read(_))))), !is_own);
            assert_eq!(unresolved.is_some(), !is_own);
            assert!(is_own || remains.content() == half);
        }
    }

    #[test]
    fn a_report_of_targets_that_are_no_longer_configured_is_recognised_by_its_checksum() {
        for whole in [true, false] {
            let remains = Remains::new("", true);
            let part =
                if whole { remains.report.clone() } else { remains.report.replace("192", "193").replace('7', "6") };
            fs::write(remains.file(), format!("# a note\n{part}")).expect("our own file");
            // Another run had another order of targets.
            remains.ledger.record(0).set_order(9);
            remains.ledger.record(1).count(Outcome::FastFast, 50);
            let due = remains.recover(DUE - 1);
            assert_eq!(due.is_none(), whole);
            let left = remains.ledger.record(1).tally().unreported().columns().total;
            assert_eq!(left, if whole { 42 } else { 0 });
        }
    }

    #[test]
    fn a_report_is_found_whole_in_part_or_not_at_all() {
        let report = b"a 1\nb 2\n";
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("tcp_stats_20251009.log");
        let long = [b"x 7\n".repeat(5000), report.to_vec()].concat();
        let (length, checksum) = (report.len() as u32, ledger::checksum(report));
        let (file, stamp) = (Path::new(), wall(DUE));
        let journal = Journal { progress: Progress::Writing, file, offset: 3, length, stamp, headed: false, checksum };
        for (end, found) in [
            (&b""[..], Found::Nowhere),
            (b"x 7\n", Found::Nowhere),
            (b"a 1\nb 3\n", Found::Nowhere),
            (b"a 1\nb 2\n", Found::Whole),
            (b"a 1\nb 2\nx 7\n", Found::Whole),
            (b"x 7\na 1\nb 2\n", Found::Whole),
            (b"a", Found::Torn(3)),
            (b"a 1\nb 2", Found::Torn(3)),
            (b"x 7\na 1\n", Found::Torn(7)),
            (b"xa 1\nb 2\n", Found::Nowhere),
            (&long, Found::Whole),
            (&long[..long.len() - 1], Found::Torn(20_003)),
        ] {
            fs::write(&path, [b"...", end].concat()).expect("our own directory");
            let log = Directory::open(&dir.path().to_string_lossy())
                .and_then(|directory| file::open_log_again(&directory, "tcp_stats_20251009.log"))
                .expect("it is there");
            let seen = find(&log, 3, |at| compare(&log, at, &journal, report));
            assert_eq!(seen, Ok(found), "{:?}", std::str::from_utf8(end));
        }
    }
}
