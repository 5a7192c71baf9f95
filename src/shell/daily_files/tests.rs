//! Tests of the daily files: two runs, other programs and a wrong clock at the same files.

use super::*;
use crate::base::time::Nanos;
use crate::core::ledger::Memory;
use crate::model::outcome::{Columns, Thresholds};
use crate::render::table::Form;
use std::fs;
use std::path::PathBuf;

/// A temporary directory, removed when it is dropped.
struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> Self {
        let dir = Self(std::env::temp_dir().join(format!("tcpmon-log-{name}-{}", std::process::id())));
        let _ = fs::remove_dir_all(&dir.0);
        dir
    }

    fn log(&self, timeout: u64) -> Log {
        self.log_that_keeps(timeout, Keep::ALL)
    }

    fn log_that_keeps(&self, timeout: u64, keep: Keep) -> Log {
        Log { files: self.files(keep), form: form(timeout) }
    }

    fn files(&self, keep: Keep) -> DailyFiles {
        DailyFiles::new(Text::format(format_args!("{}", self.0.display())), keep)
    }

    fn content(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    /// The days of the files, as in their names.
    fn days(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut days: Vec<_> = names.map(|name| name["tcp_stats_".len()..].replace(".log", "")).collect();
        days.sort();
        days
    }

    /// The first 19 characters of each line, without trailing spaces: a row's stamp, or `Timestamp` for a
    /// header.
    fn lines(&self, day: &str) -> Vec<String> {
        let content = fs::read_to_string(self.0.join(format!("tcp_stats_{day}.log"))).unwrap();
        content.lines().map(|line| line[..19].trim().to_string()).collect()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A run's daily log of counts.
struct Log {
    files: DailyFiles,
    form: Form,
}

fn form(timeout: u64) -> Form {
    Form::new(Thresholds { slow: Nanos::from_secs(1), timeout: Nanos::from_secs(timeout) }, 3)
}

/// `seconds` after 2025-10-09 23:55:00 UTC.
fn stamp(seconds: i64) -> WallTime {
    WallTime { unix: 1_760_054_100 + seconds, nanos: 0, offset: 0 }
}

fn append(log: &mut Log, seconds: i64) -> Result<(), LogError> {
    append_row(log, seconds, "web")
}

fn append_row(log: &mut Log, seconds: i64, service: &str) -> Result<(), LogError> {
    let (stamp, form) = (stamp(seconds), log.form);
    let mut rows = [(service, Columns::default())].into_iter();
    let body = &mut |out: &mut dyn fmt::Write| form.write(out, false, stamp, &mut rows);
    let lines = Lines { kind: Kind::Stats, stamp, header: &form.header(), body, covers: 0 };
    log.files.append(lines, &Ledger::absent())
}

/// Appends this text with this header.
fn append_text(files: &mut DailyFiles, kind: Kind, header: &str, text: &str, ledger: &Ledger) -> Result<(), LogError> {
    let body = &mut |out: &mut dyn fmt::Write| out.write_str(text);
    files.append(Lines { kind, stamp: stamp(0), header: &header, body, covers: 7 }, ledger)
}

#[test]
fn a_new_file_begins_with_the_header_and_midnight_begins_a_new_file() {
    let dir = TempDir::new("midnight");
    let mut log = dir.log(5);
    for seconds in [-300, 0, 300, 600] {
        assert_eq!(append(&mut log, seconds), Ok(()));
    }
    assert_eq!(dir.lines("20251009"), ["Timestamp", "2025-10-09 23:50:00", "2025-10-09 23:55:00"]);
    assert_eq!(dir.lines("20251010"), ["Timestamp", "2025-10-10 00:00:00", "2025-10-10 00:05:00"]);
}

#[test]
fn a_second_run_goes_on_below_the_header_and_one_with_other_thresholds_brings_its_own() {
    let dir = TempDir::new("restart");
    append(&mut dir.log(5), -300).unwrap();
    append(&mut dir.log(5), -200).unwrap();
    append(&mut dir.log(3), -100).unwrap();
    append(&mut dir.log(3), -90).unwrap();
    append(&mut dir.log(5), -80).unwrap();
    append(&mut dir.log(3), -70).unwrap();
    let headers: Vec<_> = dir.lines("20251009").iter().map(|line| line == "Timestamp").collect();
    assert_eq!(headers, [true, false, false, true, false, false, true, false, true, false]);
}

/// The lines that are rows of a run, each with the end of the phase that the headings above it name.
fn rows_and_headings(dir: &TempDir) -> Vec<(String, String)> {
    let content = fs::read_to_string(dir.0.join("tcp_stats_20251009.log")).unwrap_or_default();
    let (mut heading, mut rows) = (String::new(), Vec::new());
    for line in content.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match cells[..] {
            ["Timestamp", _, _, slow, .., "Total"] => heading = slow.replace("Conn1-", "run-"),
            [stamp, service, .., _, _, _, _, total] if stamp.len() == 19 && !total.is_empty() => {
                rows.push((service.to_string(), heading.clone()));
            }
            _ => {}
        }
    }
    rows
}

fn append_as(log: &mut Log, seconds: i64, service: &str) {
    append_row(log, seconds, service).unwrap();
}

#[test]
fn rows_of_two_runs_in_one_file_stand_below_their_own_headings() {
    let dir = TempDir::new("two");
    let (mut five, mut three) = (dir.log(5), dir.log(3));
    for run in [5, 3, 5, 5, 3, 3, 3, 5] {
        append_as(if run == 5 { &mut five } else { &mut three }, -300, &format!("run-{run}s"));
    }
    let headers: Vec<_> = dir.lines("20251009").iter().map(|line| line == "Timestamp").collect();
    assert_eq!(headers, [true, false, true, false, true, false, false, true, false, false, false, true, false]);
    assert!(rows_and_headings(&dir).iter().all(|(run, heading)| run == heading), "{:?}", rows_and_headings(&dir));
}

#[test]
fn whatever_others_do_to_the_file_no_row_stands_below_the_headings_of_another_run_or_in_another_line() {
    let dir = TempDir::new("others");
    fs::create_dir(&dir.0).unwrap();
    let file = dir.0.join("tcp_stats_20251009.log");
    let mut random: u64 = 1;
    let mut below = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut logs = [dir.log(5), dir.log(3), dir.log(5)];
    for turn in 0..3000 {
        let others = |what: &str| {
            let content = fs::read_to_string(&file).unwrap_or_default();
            fs::write(&file, content + what).unwrap();
        };
        match below(12) {
            0 => others("# a note\n"),
            1 => others("# a note"),
            2 => others("Timestamp"),
            3 => others("\n"),
            4 => drop(fs::remove_file(&file)),
            5 => fs::write(&file, "").unwrap(),
            6 => {
                let content = fs::read(&file).unwrap_or_default();
                fs::write(&file, &content[..below(content.len() as u64 + 1) as usize]).unwrap();
            }
            run => {
                let run = (run % 3) as usize;
                let (before, service) = (rows_and_headings(&dir), ["run-5s", "run-3s", "run-5s"][run]);
                append_as(&mut logs[run], turn / 100 - 300, service);
                let rows = rows_and_headings(&dir);
                assert_eq!(rows.len(), before.len() + 1, "a row for itself in turn {turn}");
                assert_eq!(rows.last(), Some(&(service.to_string(), service.to_string())), "turn {turn}");
            }
        }
    }
}

#[test]
fn two_runs_that_report_at_the_same_moment_do_not_come_between_each_others_look_and_write() {
    let dir = TempDir::new("race");
    std::thread::scope(|scope| {
        for (timeout, service) in [(5, "run-5s"), (3, "run-3s")] {
            let mut log = dir.log(timeout);
            scope.spawn(move || {
                for _ in 0..200 {
                    append_as(&mut log, -300, service);
                    clock::rest(Nanos::from_millis(1));
                }
            });
        }
    });
    let rows = rows_and_headings(&dir);
    assert_eq!(rows.len(), 400);
    assert!(rows.iter().all(|(run, heading)| run == heading), "{rows:?}");
}

#[test]
fn a_line_without_its_end_is_ended_and_a_note_needs_no_new_header() {
    let dir = TempDir::new("note");
    let mut log = dir.log(5);
    let file = dir.0.join("tcp_stats_20251009.log");
    for note in ["# a whole line of notes\n", "# a line without an end"] {
        append(&mut log, -300).unwrap();
        fs::write(&file, fs::read_to_string(&file).unwrap() + note).unwrap();
    }
    append(&mut log, -300).unwrap();
    append(&mut dir.log(5), -300).unwrap();
    let lines = dir.lines("20251009");
    let row = "2025-10-09 23:50:00";
    assert_eq!(lines, ["Timestamp", row, "# a whole line of n", row, "# a line without an", row, row]);
}

#[test]
fn a_lock_that_is_held_delays_a_report_a_little_and_is_waited_for() {
    let dir = TempDir::new("lock");
    let mut log = dir.log(5);
    append(&mut log, -300).unwrap();
    let again = || file::open_log_again(&Directory::open(dir.0.to_str().unwrap()).unwrap(), "tcp_stats_20251009.log");
    let other = again().unwrap();
    file::lock(&other).unwrap();
    let begun = clock::monotonic();
    append(&mut log, -200).unwrap();
    // On a busy machine each pause may be longer.
    assert!((35..1000).contains(&clock::monotonic().since(begun).millis()));
    assert_eq!(file::lock(&other), Ok(()), "still held by the other one");
    drop(other);
    append(&mut log, -100).unwrap();
    let other = again().unwrap();
    assert_eq!((dir.lines("20251009").len(), file::lock(&other)), (4, Ok(())), "it is not held after a report");
}

#[test]
fn the_last_header_is_found_wherever_it_lies_in_a_long_file() {
    let dir = TempDir::new("long");
    for run in 0..40 {
        append(&mut dir.log(3), run * 10 - 400).unwrap();
        append(&mut dir.log(5), run * 10 - 395).unwrap();
        append(&mut dir.log(5), run * 10 - 394).unwrap();
    }
    let headers = dir.lines("20251009").iter().filter(|line| *line == "Timestamp").count();
    assert_eq!(headers, 80, "one for each change of the thresholds");
}

#[test]
fn a_reload_with_other_thresholds_brings_a_new_header_once() {
    let dir = TempDir::new("reload");
    let mut log = dir.log(5);
    append(&mut log, -300).unwrap();
    log.form = form(3);
    append(&mut log, -200).unwrap();
    append(&mut log, -100).unwrap();
    log.form = form(5);
    append(&mut log, 0).unwrap();
    let headers = dir.lines("20251009").iter().filter(|line| *line == "Timestamp").count();
    assert_eq!(headers, 3);
}

#[test]
fn a_file_that_was_removed_is_begun_anew_and_its_directory_too() {
    let dir = TempDir::new("removed");
    let mut log = dir.log(5);
    append(&mut log, -300).unwrap();
    fs::remove_dir_all(&dir.0).unwrap();
    append(&mut log, -200).unwrap();
    assert_eq!(dir.lines("20251009"), ["Timestamp", "2025-10-09 23:51:40"]);
}

#[test]
fn a_clock_that_was_wrong_costs_one_file_for_each_wrong_day_and_the_one_just_begun_stays() {
    const DAY: i64 = 86_400;
    let dir = TempDir::new("keep");
    let mut log = dir.log_that_keeps(5, Keep::parse("3d").unwrap());
    for day in 0..4 {
        append(&mut log, day * DAY).unwrap();
        assert_eq!(log.files.deleted(), Some(Ok(())));
    }
    assert_eq!(dir.days(), ["20251010", "20251011", "20251012"]);
    // Eight years ahead, twice on the same day, and back again.
    append(&mut log, 3000 * DAY).unwrap();
    append(&mut log, 3000 * DAY + 60).unwrap();
    assert_eq!(dir.days(), ["20251011", "20251012", "20331226"]);
    append(&mut log, 3 * DAY + 300).unwrap();
    append(&mut log, 4 * DAY).unwrap();
    assert_eq!(dir.days(), ["20251012", "20251013", "20331226"]);
    // In 1970: its file stays until the next is begun.
    append(&mut log, -1_760_054_100).unwrap();
    assert_eq!(dir.days(), ["19700101", "20251013", "20331226"]);
    append(&mut log, 5 * DAY).unwrap();
    assert_eq!(dir.days(), ["20251013", "20251014", "20331226"]);
    // Nothing is deleted by a new number alone, nor by a report in a file that is there.
    log.files.set_keep(Keep::parse("1d").unwrap());
    log.files.deleted();
    append(&mut log, 5 * DAY + 60).unwrap();
    assert_eq!((log.files.deleted(), dir.days().len()), (None, 3));
    append(&mut log, 6 * DAY).unwrap();
    assert_eq!(dir.days(), ["20251015"]);
}

#[test]
fn a_planted_link_is_not_followed() {
    let dir = TempDir::new("planted");
    let mut log = dir.log(5);
    fs::create_dir(&dir.0).unwrap();
    let victim = dir.0.join("victim");
    fs::write(&victim, "untouched").unwrap();
    std::os::unix::fs::symlink(&victim, dir.0.join("tcp_stats_20251009.log")).unwrap();
    let error = append(&mut log, 0).unwrap_err();
    assert_eq!(error.to_string(), "cannot be opened (it is a symbolic link, and none is followed)");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
}

#[test]
fn the_latest_link_follows_the_day_and_leaves_a_foreign_file_alone() {
    let dir = TempDir::new("latest");
    let mut log = dir.log(5);
    let link = dir.0.join("tcp_stats_latest.log");
    for (seconds, file) in [(0, "tcp_stats_20251009.log"), (300, "tcp_stats_20251010.log")] {
        append(&mut log, seconds).unwrap();
        assert_eq!(log.files.link_latest(Kind::Stats, stamp(seconds)), Ok(()));
        assert_eq!(fs::read_link(&link).unwrap().to_str(), Some(file));
    }
    fs::remove_file(&link).unwrap();
    fs::write(&link, "mine").unwrap();
    assert_eq!(log.files.link_latest(Kind::Stats, stamp(300)), Err(Errno::EEXIST));
    assert_eq!(fs::read_to_string(&link).unwrap(), "mine");
}

/// What each kind writes: its file, a header, and lines.
const WRITTEN: [(Kind, &str, &str, &str); 4] = [
    (Kind::Stats, "tcp_stats_20251009.log", "Timestamp | Total\n", "2025-10-09 23:55:00 | 1\n"),
    (Kind::Times, "tcp_times_20251009.log", "Timestamp | Why\n", "2025-10-09 23:55:00 | -\n"),
    (Kind::Events, "tcp_events_20251009.log", "", "2025-10-09T23:55:00+00:00 | start | - | - | tcpmon\n"),
    (Kind::Samples, "tcp_samples_20251009.csv", "time,service\n", "2025-10-09T23:55:00.000+00:00,web\n"),
];

#[test]
fn each_kind_has_its_own_file_header_and_link() {
    let dir = TempDir::new("kinds");
    let (mut files, mut other) = (dir.files(Keep::ALL), dir.files(Keep::ALL));
    for _ in 0..2 {
        for (kind, name, header, lines) in WRITTEN {
            for files in [&mut files, &mut other] {
                append_text(files, kind, header, lines, &Ledger::absent()).unwrap();
            }
            files.link_latest(kind, stamp(0)).unwrap();
            assert_eq!(dir.content(kind.latest()), dir.content(name));
        }
    }
    for (_, name, header, lines) in WRITTEN {
        assert_eq!(dir.content(name), format!("{header}{}", lines.repeat(4)), "{name}");
    }
}

#[test]
fn a_line_without_its_end_is_ended_in_every_kind() {
    let dir = TempDir::new("ended");
    for (kind, name, header, lines) in WRITTEN {
        let mut files = dir.files(Keep::ALL);
        append_text(&mut files, kind, header, lines, &Ledger::absent()).unwrap();
        for note in ["2025", "# a note\n"] {
            fs::write(dir.0.join(name), dir.content(name) + note).unwrap();
            append_text(&mut files, kind, header, lines, &Ledger::absent()).unwrap();
        }
        // Of another run, which knows nothing of the file.
        append_text(&mut dir.files(Keep::ALL), kind, header, lines, &Ledger::absent()).unwrap();
        let expected = format!("{header}{lines}2025\n{lines}# a note\n{lines}{lines}");
        assert_eq!(dir.content(name), expected);
    }
}

#[test]
fn a_header_that_changes_is_written_again_and_samples_never_look_behind_the_begin() {
    let dir = TempDir::new("changes");
    let mut files = dir.files(Keep::ALL);
    for header in ["Timestamp | A\n", "Timestamp | B\n", "Timestamp | B\n", "Timestamp | A\n"] {
        append_text(&mut files, Kind::Times, header, "2025 | x\n", &Ledger::absent()).unwrap();
    }
    let headers: String = dir.content("tcp_times_20251009.log").replace("2025 | x\n", "-").replace("Timestamp | ", "");
    assert_eq!(headers, "A\n-B\n--A\n-");
    let name = "tcp_samples_20251009.csv";
    for (before, headed) in [("", true), ("time\n", false), ("time\n1\nold\n2\n", false), ("old\n1\n", true)] {
        fs::write(dir.0.join(name), before).unwrap();
        let mut files = dir.files(Keep::ALL);
        for _ in 0..2 {
            append_text(&mut files, Kind::Samples, "time\n", "3\n", &Ledger::absent()).unwrap();
        }
        assert_eq!(dir.content(name), format!("{before}{}3\n3\n", if headed { "time\n" } else { "" }));
    }
}

#[test]
fn a_file_that_cannot_be_written_holds_up_none_of_the_other_kinds() {
    for (blocked, name, header, lines) in WRITTEN {
        let dir = TempDir::new("blocked");
        let mut files = dir.files(Keep::ALL);
        fs::create_dir_all(dir.0.join(name)).unwrap();
        for (kind, name, header, lines) in WRITTEN {
            let appended = append_text(&mut files, kind, header, lines, &Ledger::absent());
            assert_eq!(appended.is_err(), kind == blocked, "{name}");
        }
        fs::remove_dir(dir.0.join(name)).unwrap();
        append_text(&mut files, blocked, header, lines, &Ledger::absent()).unwrap();
        assert!(WRITTEN.iter().all(|(_, name, header, lines)| dir.content(name) == format!("{header}{lines}")));
    }
}

#[test]
fn a_part_that_could_not_be_cut_off_is_cut_off_before_the_next_lines_of_its_kind() {
    let dir = TempDir::new("torn");
    let ledger = Ledger::create(Memory::own(1), 1, stamp(0));
    let mut files = dir.files(Keep::ALL);
    for (kind, _, header, lines) in WRITTEN {
        append_text(&mut files, kind, header, lines, &ledger).unwrap();
        ledger.mark_written(kind, 7);
    }
    // As after short writes that could not be undone.
    for (kind, name, _, lines) in WRITTEN {
        let (before, part) = (dir.content(name), &lines[..lines.len() - 2]);
        fs::write(dir.0.join(name), before.clone() + part).unwrap();
        let log = file::open_log_again(&Directory::open(dir.0.to_str().unwrap()).unwrap(), name).unwrap();
        let begin = before.len() as u64;
        ledger.tear(kind, begin, part.len());
        files.written[kind.index()].torn = Some((log, begin, begin + part.len() as u64));
    }
    for (at, (kind, name, header, lines)) in WRITTEN.into_iter().enumerate() {
        append_text(&mut files, kind, header, lines, &ledger).unwrap();
        assert_eq!(dir.content(name), format!("{header}{lines}{lines}"));
        let torn = Kind::ALL.map(|kind| ledger.progress(kind) == Some(Progress::Torn));
        assert_eq!(torn, core::array::from_fn(|kind| kind > at), "those of the others are still there");
        assert_eq!(ledger.progress(kind), Some(Progress::Written));
    }
}

#[test]
fn lines_are_journalled_in_the_record_of_their_kind() {
    let dir = TempDir::new("journal");
    let ledger = Ledger::create(Memory::own(1), 1, stamp(0));
    let mut files = dir.files(Keep::ALL);
    for (kind, name, header, lines) in WRITTEN {
        for (offset, headed) in [(0, !header.is_empty()), (header.len() + lines.len(), false)] {
            append_text(&mut files, kind, header, lines, &ledger).unwrap();
            let journal = ledger.journal(kind).unwrap();
            let written = format!("{}{lines}", if headed { header } else { "" });
            assert_eq!((journal.progress, journal.covers), (Progress::Written, 7));
            assert_eq!((journal.offset, journal.length as usize), (offset as u64, written.len()));
            let checksum = if kind == Kind::Samples { 0 } else { ledger::checksum(written.as_bytes()) };
            assert_eq!((journal.headed, journal.checksum), (headed, checksum));
            assert_eq!((path::name(journal.file.as_str()), journal.stamp), (name, stamp(0)));
            ledger.mark_written(kind, journal.covers);
            assert!(Kind::ALL.iter().all(|kind| ledger.journal(*kind).is_none()));
        }
    }
}
