//! What a run does at its start with what the last run did not finish: the lines that it was writing to the daily files
//! when it was killed, and a report that became due while no run was there. Afterwards the files and the ledger agree.

use core::fmt::{self, Write};
use std::os::fd::OwnedFd;

use crate::base::limits;
use crate::base::path::{self, Path};
use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::core::due;
use crate::core::ledger::{self, Journal, Ledger, Progress};
use crate::model::log_names::Kind;
use crate::model::outcome::Columns;
use crate::model::settings::Config;
use crate::render::events;
use crate::render::table::Form;
use crate::render::times;
use crate::shell::console::Console;
use crate::shell::daily_files::{DailyFiles, Lines, LogError, PIECE};
use crate::sys::directory::Directory;
use crate::sys::{self, Errno, clock, file};

/// What a search for lines in their file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing of them is there.
    Nowhere,
    /// All of them are there.
    Whole,
    /// The file ends with a part of them, which begins at this offset.
    Torn(u64),
}

/// The result of a report that was due at the start: its stamp, and the error if it is not in the log.
pub type Overdue = Result<WallTime, (WallTime, LogError)>;

/// The last run's unfinished writes whose files cannot be read, in the order of [`Kind::ALL`].
pub type Unresolved = [Option<UnresolvedWrite>; Kind::ALL.len()];

/// The last run's unfinished write to a daily file, as long as that cannot be read. Until it can, nothing of this kind may
/// be written: the file may have the lines already.
#[derive(Debug)]
pub struct UnresolvedWrite {
    kind: Kind,
    file: Path,
    /// The directory of its file, as soon as that can be opened: its path may lead elsewhere later.
    directory: Option<Directory>,
    /// Its text; empty if that is not known.
    text: String,
}

impl UnresolvedWrite {
    fn new(kind: Kind, ledger: &Ledger, journal: &Journal, files: &DailyFiles) -> Self {
        let text = pending_text(kind, ledger, journal);
        Self { kind, file: files.resolve_path(&journal.file), directory: None, text }
    }

    /// Its file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Searches the file again, and marks the write in the ledger as finished. Returns whether all of it is in the file.
    pub fn resolve(&mut self, ledger: &Ledger, files: &DailyFiles) -> Result<bool, Errno> {
        let Some(journal) = ledger.journal(self.kind) else { return Ok(false) };
        let complete = self.search_file(&journal, files)?;
        if complete {
            ledger.mark_written(self.kind, journal.covers);
        } else {
            ledger.end_write(self.kind);
        }
        Ok(complete)
    }

    /// Opens the file and searches it, see [`search_file`].
    fn search_file(&mut self, journal: &Journal, files: &DailyFiles) -> Result<bool, Errno> {
        if journal.progress == Progress::Written {
            return Ok(true);
        }
        match self.open(files) {
            Ok(file) => search_file(&file, self.kind, journal, &self.text),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Opens the file. `EPERM` if it is another user's and lies outside the log's directory: the ledger names it, and
    /// nobody else says that lines are to be cut off there.
    fn open(&mut self, files: &DailyFiles) -> Result<OwnedFd, Errno> {
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => Directory::open(path::parent(self.file.as_str()))?,
        };
        let directory = self.directory.insert(directory);
        let file = file::open_log_again(directory, path::name(self.file.as_str()))?;
        if files.is_in(directory) || file::is_own(&file)? { Ok(file) } else { Err(Errno::EPERM) }
    }
}

/// Brings the daily files and the ledger into agreement. Then writes the report that is due by `now`, or that must be
/// written before counts are sorted by other thresholds. `now` is `None` if the clock is wrong, see
/// [`due::left_over`]. Says so if the last run did not end cleanly. What could not be written stays in the ledger.
pub fn recover(
    ledger: &Ledger,
    files: &mut DailyFiles,
    config: &Config,
    now: Option<WallTime>,
    console: &mut Console,
) -> (Option<Overdue>, Unresolved) {
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
    let mut unresolved = Unresolved::default();
    for kind in [Kind::Times, Kind::Events, Kind::Samples] {
        if let Some(journal) = ledger.journal(kind) {
            let mut last = UnresolvedWrite::new(kind, ledger, &journal, files);
            if last.resolve(ledger, files).is_err() {
                unresolved[kind.index()] = Some(last);
            }
        }
    }
    let mut complete = false;
    if let Some(journal) = ledger.journal(Kind::Stats) {
        let mut last = UnresolvedWrite::new(Kind::Stats, ledger, &journal, files);
        match last.search_file(&journal, files) {
            Ok(found) => complete = found,
            Err(errno) => {
                unresolved[Kind::Stats.index()] = Some(last);
                return (Some(Err((journal.stamp, LogError::Read(errno)))), unresolved);
            }
        }
    }
    let Some(stamp) = due::left_over(ledger, config.settings.thresholds, now.map(|now| now.unix), |_| complete) else {
        return (None, unresolved);
    };
    let stamp = clock::local(stamp);
    let (form, rows) = (Form::of(ledger), ledger.rows());
    let lines = Lines {
        kind: Kind::Stats,
        stamp,
        header: &form.header(),
        body: &mut |out| write_rows(out, &form, false, stamp, &rows),
        covers: 0,
    };
    let written = files.append(lines, ledger);
    if written.is_ok() {
        ledger.mark_reported();
    }
    if unresolved[Kind::Times.index()].is_none() {
        write_times(ledger, files, config.settings.times, stamp);
    }
    (Some(written.map(|()| stamp).map_err(|error| (stamp, error))), unresolved)
}

/// Writes the rows of times that belong to an overdue report, if they are wanted. What cannot be written is in the next ones.
fn write_times(ledger: &Ledger, files: &mut DailyFiles, are_wanted: bool, stamp: WallTime) {
    ledger.records().for_each(|(_, record)| record.begin_row());
    let (form, records) = (times::Form::of(ledger), ledger.in_order());
    let lines = Lines {
        kind: Kind::Times,
        stamp,
        header: &form.header(),
        body: &mut |out| form.write(out, false, stamp, &mut records.iter().copied()),
        covers: 0,
    };
    if !are_wanted {
        // Without a write there is no journal, so its progress stays as it is.
        ledger.mark_times_written();
    } else if files.append(lines, ledger).is_ok() {
        ledger.mark_written(Kind::Times, 0);
    }
}

/// The text of the unfinished write; empty if it cannot be formatted again.
fn pending_text(kind: Kind, ledger: &Ledger, journal: &Journal) -> String {
    let mut text = String::new();
    match kind {
        Kind::Stats => {
            // Writing to a String does not fail.
            let _ = write_rows(&mut text, &Form::of(ledger), journal.headed, journal.stamp, &ledger.pending_rows());
        }
        Kind::Times => {
            let records = &mut ledger.in_order().into_iter();
            let _ = times::Form::of(ledger).write(&mut text, journal.headed, journal.stamp, records);
        }
        Kind::Events => {
            let covered = (ledger.first_event(), journal.covers);
            let _ = events::write(&mut text, ledger, covered, clock::local, sys::describe_number);
        }
        // They are kept nowhere.
        Kind::Samples => return text,
    }
    let is_it = |text: &str| ledger::checksum(text.as_bytes()) == journal.checksum;
    if !is_it(&text) {
        // The file ended in the middle of a line.
        text.insert(0, '\n');
    }
    // A run that could not read the file may have reloaded other targets. Then only the checksum is left
    // to recognise the lines.
    if !is_it(&text) {
        text.clear();
    }
    text
}

/// Writes the rows of a report, below a header if it is `headed`.
#[inline(never)] // Called from two paths.
fn write_rows(
    out: &mut dyn Write,
    form: &Form,
    headed: bool,
    stamp: WallTime,
    rows: &[(Text<{ limits::SERVICE }>, Columns)],
) -> fmt::Result {
    form.write(out, headed, stamp, &mut rows.iter().map(|(service, columns)| (service.as_str(), *columns)))
}

/// Whether the file has all the lines. If it ends with a part of them, cuts that off: of samples, whose text is not known,
/// the last line that has no end.
fn search_file(log: &OwnedFd, kind: Kind, journal: &Journal, text: &str) -> Result<bool, Errno> {
    let found = if journal.progress == Progress::Torn {
        let end = journal.offset + u64::from(journal.length);
        if file::size(log)? == end { Found::Torn(journal.offset) } else { Found::Nowhere }
    } else {
        match kind {
            Kind::Stats | Kind::Times | Kind::Events => {
                find(log, journal.offset, &mut |at| compare(log, at, journal, text.as_bytes()))?
            }
            Kind::Samples => find_half_line(log, journal.offset)?,
        }
    };
    if let Found::Torn(at) = found {
        file::truncate(log, at)?;
    }
    Ok(found == Found::Whole)
}

/// Finds the last line of the file that has no end, if it begins at `offset` or behind.
fn find_half_line(log: &OwnedFd, offset: u64) -> Result<Found, Errno> {
    let (mut piece, mut at, mut begin) = ([0; PIECE], offset, offset);
    loop {
        let length = file::read_at(log, &mut piece, at)?;
        if length == 0 {
            return Ok(if begin < at { Found::Torn(begin) } else { Found::Nowhere });
        }
        for byte in &piece[..length] {
            at += 1;
            if *byte == b'\n' {
                begin = at;
            }
        }
    }
}

/// Calls `compare` with the offset of each line from `offset` on, until it finds the text: other programs may
/// have written lines before it.
fn find(log: &OwnedFd, offset: u64, compare: &mut dyn FnMut(u64) -> Result<Found, Errno>) -> Result<Found, Errno> {
    let (mut piece, mut at, mut begins) = ([0; PIECE], offset, true);
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

/// How much of the text is at this offset. If it is not known, only all of it is recognised, by its checksum.
fn compare(log: &OwnedFd, at: u64, journal: &Journal, text: &[u8]) -> Result<Found, Errno> {
    let (mut piece, mut sum, mut done) = ([0; PIECE], ledger::checksum_of_nothing(), 0);
    let has_text = !text.is_empty();
    while done < journal.length as usize {
        let most = piece.len().min(journal.length as usize - done);
        let length = file::read_at(log, &mut piece[..most], at + done as u64)?;
        let piece = &piece[..length];
        if has_text && text.get(done..done + length) != Some(piece) {
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
            let (offset, report) = (before.len() as u64, remains.report.as_bytes());
            remains.ledger.begin_write(Kind::Stats, &file, offset, report, wall(DUE), headed, 0);
            remains
        }

        fn file(&self) -> String {
            let date = wall(DUE).to_string()[..10].replace('-', "");
            format!("{}/tcp_stats_{date}.log", self.dir.path().display())
        }

        fn recover(&self, now: i64) -> Option<Overdue> {
            self.recover_or_not(now).0
        }

        fn recover_or_not(&self, now: i64) -> (Option<Overdue>, Option<UnresolvedWrite>) {
            let (due, [unresolved, ..]) = self.recover_all(now);
            (due, unresolved)
        }

        fn recover_all(&self, now: i64) -> (Option<Overdue>, Unresolved) {
            recover(&self.ledger, &mut self.files(), &self.config, Some(wall(now)), &mut Console::new(true))
        }

        fn files(&self) -> DailyFiles {
            DailyFiles::new(self.config.settings.log_dir, self.config.settings.keep)
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
                    assert!(remains.ledger.is_reported() && remains.ledger.journal(Kind::Stats).is_none());
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
            remains.ledger.set_progress(Kind::Stats, Progress::Written);
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
                remains.ledger.tear(Kind::Stats, before.len() as u64, written);
                remains.ledger.record(0).count(Outcome::FastFast, 99);
                assert_eq!(remains.recover(DUE - 1), None);
                assert_eq!(remains.content(), before);
                assert_eq!(remains.ledger.record(0).tally().unreported().columns().total, 99);
            }
            let remains = Remains::new(&before, headed);
            let others = format!("{before}{}# a note\n", &remains.report[..length / 2]);
            fs::write(remains.file(), &others).expect("our own file");
            remains.ledger.tear(Kind::Stats, before.len() as u64, length / 2);
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
            assert!(unresolved.resolve(&remains.ledger, &remains.files()).is_err());
            // Counting goes on meanwhile, and another run finds the same.
            remains.ledger.record(0).count(Outcome::FastFast, 20);
            assert!(remains.recover_or_not(DUE + 1000).1.is_some());
            fs::remove_dir(remains.file()).expect("our own directory");
            fs::rename(&aside, remains.file()).expect("our own file");
            let whole = written == usize::MAX;
            assert_eq!(unresolved.resolve(&remains.ledger, &remains.files()), Ok(whole));
            assert_eq!(remains.content(), if whole { remains.report.as_str() } else { "" });
            let left = remains.ledger.record(0).tally().unreported().columns().total;
            assert_eq!((left, remains.ledger.journal(Kind::Stats)), (if whole { 13 } else { 20 }, None));
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

    /// Lines of a kind that were being written at the kill: what their file had before, and the lines.
    fn killed_while_writing(kind: Kind, before: &str, lines: &str) -> (Remains, String) {
        let remains = Remains::new("", true);
        remains.ledger.mark_reported();
        let file = format!("{}/{}", remains.dir.path().display(), kind.name(wall(DUE)));
        let path = Text::copy(&file).expect("a short path");
        remains.ledger.begin_write(kind, &path, before.len() as u64, lines.as_bytes(), wall(DUE), false, 2);
        (remains, file)
    }

    #[test]
    fn lines_of_other_kinds_are_recognised_by_their_checksum_among_those_of_others() {
        let (before, lines) = ("2025 a\n", "2025 b\n2025 c\n");
        for kind in [Kind::Times, Kind::Events] {
            for (others, content) in [("", lines), ("# a note\n", lines), ("", "2025 b\n2025 d\n"), ("", "2025 b\n20")]
            {
                let (remains, file) = killed_while_writing(kind, before, lines);
                let content = format!("{before}{others}{content}");
                fs::write(&file, &content).expect("our own directory");
                let journal = remains.ledger.journal(kind).expect("it is unfinished");
                let mut last = UnresolvedWrite::new(kind, &remains.ledger, &journal, &remains.files());
                let found = last.search_file(&journal, &remains.files());
                assert_eq!(found, Ok(content.contains(lines)), "{content}");
                let (due, unresolved) = remains.recover_all(DUE - 1);
                assert!(due.is_none() && unresolved.iter().all(Option::is_none));
                assert_eq!(remains.ledger.journal(kind), None);
                assert_eq!(fs::read_to_string(&file).expect("text"), content, "what is not known stays");
            }
        }
    }

    #[test]
    fn of_samples_killed_at_any_byte_whole_lines_stay_and_none_is_torn() {
        for (before, lines) in [
            ("", "time,service\n2025,\"a, \"\"b\"\"\"\n2025,c\n"),
            ("time,service\n2025,z\n", "2025,a\n2025,b\n"),
            ("time,service\n2025,z", "\n2025,a\n2025,b\n"),
        ] {
            for written in 0..=lines.len() {
                let (remains, file) = killed_while_writing(Kind::Samples, before, lines);
                fs::write(&file, format!("{before}{}", &lines[..written])).expect("our own directory");
                assert!(remains.recover_all(DUE - 1).1.iter().all(Option::is_none));
                let whole = lines[..written].rfind('\n').map_or(0, |at| at + 1);
                assert_eq!(fs::read_to_string(&file).expect("text"), format!("{before}{}", &lines[..whole]));
                assert_eq!(remains.ledger.journal(Kind::Samples), None);
            }
        }
        let (remains, file) = killed_while_writing(Kind::Samples, "", "2025,a\n");
        let long = "2025,x\n".repeat(3000);
        fs::write(&file, format!("{long}2025")).expect("our own directory");
        remains.recover_all(DUE - 1);
        assert_eq!(fs::read_to_string(&file).expect("text"), long);
    }

    #[test]
    fn a_part_of_any_kind_that_could_not_be_cut_off_is_cut_off() {
        for kind in Kind::ALL {
            let (remains, file) = killed_while_writing(kind, "2025 a\n", "2025 b\n");
            remains.ledger.tear(kind, 7, 3);
            fs::write(&file, "2025 a\n202").expect("our own directory");
            assert!(remains.recover_all(DUE - 1).1.iter().all(Option::is_none));
            assert_eq!(fs::read_to_string(&file).expect("text"), "2025 a\n");
            assert_eq!(remains.ledger.journal(kind), None);
        }
    }

    #[test]
    fn a_kind_whose_file_cannot_be_read_waits_and_the_others_do_not() {
        for blocked in Kind::ALL {
            let (remains, file) = killed_while_writing(blocked, "", "2025 a\n2025 b\n");
            for kind in Kind::ALL.into_iter().filter(|kind| *kind != blocked) {
                let path = Text::format(format_args!("{}/{}", remains.dir.path().display(), kind.name(wall(DUE))));
                remains.ledger.begin_write(kind, &path, 0, b"", wall(DUE), false, 0);
            }
            let _ = fs::remove_file(&file);
            fs::create_dir(&file).expect("its name is free");
            let (_, mut unresolved) = remains.recover_all(DUE - 1);
            for kind in Kind::ALL {
                assert_eq!(unresolved[kind.index()].is_some(), kind == blocked);
                assert_eq!(remains.ledger.journal(kind).is_some(), kind == blocked);
            }
            let last = unresolved[blocked.index()].as_mut().expect("the file cannot be read");
            assert_eq!(last.file().as_str(), file);
            assert!(last.resolve(&remains.ledger, &remains.files()).is_err());
            fs::remove_dir(&file).expect("our own directory");
            fs::write(&file, "2025 a\n2025 b\n").expect("its name is free");
            assert_eq!(last.resolve(&remains.ledger, &remains.files()), Ok(blocked != Kind::Samples));
            assert_eq!(remains.ledger.journal(blocked), None);
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
        let progress = Progress::Writing;
        let journal = Journal { progress, file, offset: 3, length, stamp, headed: false, checksum, covers: 0 };
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
            let seen = find(&log, 3, &mut |at| compare(&log, at, &journal, report));
            assert_eq!(seen, Ok(found), "{:?}", std::str::from_utf8(end));
        }
    }
}
