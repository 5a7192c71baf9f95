//! What a killed run has left in a daily file is completed, cut off or left alone.

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
        let part = if whole { remains.report.clone() } else { remains.report.replace("192", "193").replace('7', "6") };
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
        for (others, content) in [("", lines), ("# a note\n", lines), ("", "2025 b\n2025 d\n"), ("", "2025 b\n20")] {
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
