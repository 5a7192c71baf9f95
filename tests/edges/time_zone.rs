//! Local time: where the time zone comes from, and that `date` gives the same time for it.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::core::boundaries::Boundaries;
use tcpmon::sys::{clock as clocks, time_zone};

use crate::clock::wait_until;
use crate::listener::Accepting;
use crate::namespace::{self, Disk};
use crate::running::{RunDir, Running};

/// Rules from OpenWrt's list of time zones, and some rare ones.
const RULES: [&str; 23] = [
    "UTC0",
    "GMT0BST,M3.5.0/1,M10.5.0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "EET-2EEST,M3.5.0/3,M10.5.0/4",
    "EST5EDT,M3.2.0,M11.1.0",
    "PST8PDT,M3.2.0,M11.1.0",
    "HST10",
    "<+04>-4",
    "<-03>3",
    "<+0330>-3:30",
    "<+0545>-5:45",
    "IST-5:30",
    "ACST-9:30ACDT,M10.1.0,M4.1.0/3",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "NZST-12NZDT,M9.5.0,M4.1.0/3",
    "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
    "<+14>-14",
    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    "IST-2IDT,M3.4.4/26,M10.5.0",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
    "EET-2EEST,M3.4.4/50,M10.4.4/50",
    "AAA3BBB,J60/2,300/2",
];

/// The starts of the tested periods of two years, in seconds since 1970: 1969, 2026, 2038, 2100.
const YEARS: [i64; 4] = [-31_536_000, 1_767_225_600, 2_145_916_800, 4_102_444_800];

const DAY: i64 = 86_400;

/// Every six hours of those years, and the seconds around each change of local time.
fn instants(years: &[i64]) -> Vec<i64> {
    let mut instants = vec![i64::from(i32::MAX), i64::from(i32::MAX) + 1, 8_589_934_592];
    for year in years {
        let mut before = clocks::local(*year).offset;
        for second in (*year..*year + 2 * 366 * DAY).step_by(900) {
            let now = clocks::local(second).offset;
            if now != before {
                instants.extend([second - 901, second - 900, second - 1, second, second + 1]);
                before = now;
            }
            if (second - year) % (DAY / 4) == 0 {
                instants.push(second);
            }
        }
    }
    instants
}

/// The output of `date` for these instants in this time zone, a line each.
fn dates(time_zone: &str, instants: &[i64]) -> Vec<String> {
    let mut date = Command::new("date");
    date.args(["-f", "-", "+%Y-%m-%d %H:%M:%S %z"]).env("TZ", time_zone).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut date = date.spawn().expect("there is a date");
    let lines = instants.iter().fold(String::new(), |mut lines, instant| {
        let _ = writeln!(lines, "@{instant}");
        lines
    });
    let mut stdin = date.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = date.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads all");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_string).collect()
}

fn shown(wall: WallTime) -> String {
    let (sign, minutes) = (if wall.offset < 0 { '-' } else { '+' }, wall.offset.unsigned_abs() / 60);
    format!("{wall} {sign}{:02}{:02}", minutes / 60, minutes % 60)
}

/// Mounts an empty /etc and removes `TZ`.
fn empty_etc() -> Disk {
    // SAFETY: in its namespace the test has the process for itself.
    unsafe { env::remove_var("TZ") };
    Disk::mounted(Path::new("/etc"), "1m")
}

#[test]
fn local_time_by_etc_tz_is_what_date_says() {
    namespace::within(|| {
        let _etc = empty_etc();
        for rule in RULES {
            fs::write("/etc/TZ", format!("{rule}\n")).unwrap();
            assert_eq!(time_zone::apply(), None, "{rule}");
            let summer = rule.contains(',');
            // Before 1971 glibc ignores the summer time of a rule (`compute_change` in time/tzset.c).
            let years = if summer { &YEARS[1..] } else { &YEARS };
            let instants = instants(years);
            let expected = dates(rule, &instants);
            assert_eq!(expected.len(), instants.len(), "date has a line for each instant");
            for (instant, expected) in instants.iter().zip(expected) {
                assert_eq!(shown(clocks::local(*instant)), expected, "{rule} at {instant}");
            }
            let changes = instants.len() - 3 - years.len() * 2 * 366 * 4;
            assert_eq!(changes >= 5 * 12, summer, "{rule}");
        }
    });
}

#[test]
fn the_time_zone_is_that_of_tz_else_etc_localtime_else_etc_tz_else_utc() {
    namespace::within(|| {
        let _etc = empty_etc();
        let offset = || {
            let wrong = time_zone::apply();
            (clocks::local(1_767_225_600).offset, wrong.map(|(origin, time_zone)| (origin, time_zone.to_string())))
        };
        let wrong = |time_zone: &str| (0, Some(("/etc/TZ", time_zone.to_string())));
        assert_eq!(offset(), (0, None));
        fs::write("/etc/TZ", "<+04>-4").unwrap();
        assert_eq!(offset(), (4 * 3600, None));
        fs::write("/etc/TZ", "  <-03>3  \n<+04>-4\n").unwrap();
        assert_eq!(offset(), (-3 * 3600, None));
        for bad in ["CET-1CEST,M3.5.0", "Nowhere/City", "../../../etc/TZ", "\u{1}"] {
            fs::write("/etc/TZ", bad).unwrap();
            assert_eq!(offset(), wrong(bad.trim()));
        }
        for empty in ["\n", "UTC\n", "GMT"] {
            fs::write("/etc/TZ", empty).unwrap();
            assert_eq!(offset(), (0, None), "{empty}");
        }
        fs::write("/etc/TZ", "<-03>3").unwrap();
        // The C library accepts neither a text nor a broken link as /etc/localtime.
        fs::write("/etc/localtime", "<+04>-4").unwrap();
        assert_eq!(offset(), (-3 * 3600, None));
        fs::remove_file("/etc/localtime").unwrap();
        std::os::unix::fs::symlink("/tmp/localtime", "/etc/localtime").unwrap();
        assert_eq!(offset(), (-3 * 3600, None));
        fs::remove_file("/etc/localtime").unwrap();
        if Path::new("/usr/share/zoneinfo/Asia/Tokyo").exists() {
            fs::write("/etc/TZ", "Asia/Tokyo").unwrap();
            assert_eq!(offset(), (9 * 3600, None));
            for (city, hours) in [("Asia/Tokyo", 9), ("America/Lima", -5), ("Asia/Tokyo", 9)] {
                fs::copy(Path::new("/usr/share/zoneinfo").join(city), "/etc/localtime").unwrap();
                fs::write("/etc/TZ", "<-03>3").unwrap();
                assert_eq!(offset(), (hours * 3600, None), "{city}");
            }
            fs::remove_file("/etc/localtime").unwrap();
            assert_eq!(offset(), (-3 * 3600, None));
        } else {
            namespace::skip("the_time_zone_is_that_of_tz", "there is no /usr/share/zoneinfo");
        }
        for (zone, hours, is_known) in [
            ("<+05>-5", 5, true),
            ("UTC", 0, true),
            ("", 0, true),
            ("EST5EDT,M3.2.0,M11.1.0", -5, true),
            (":/tmp/nowhere", 0, false),
            ("Nowhere/City", 0, false),
        ] {
            // SAFETY: as above.
            unsafe { env::set_var("TZ", zone) };
            assert_eq!(offset(), (hours * 3600, (!is_known).then(|| ("TZ", zone.to_string()))), "{zone}");
        }
    });
}

/// Asks for a report, and returns the offset of its stamp from UTC, in hours.
fn hours(dir: &RunDir, run: &Running) -> i64 {
    let before = dir.rows().len();
    let now = clocks::wall().unix;
    run.signal(Signal::SIGUSR1);
    wait_until("the report is there", || dir.rows().len() > before);
    let stamp = dir.rows().pop().expect("a row").stamp;
    let reads = |hours: i64| {
        (0..30).any(|late| {
            WallTime { unix: now + late, nanos: 0, offset: 0 }.at(now + late + hours * 3600).to_string() == stamp
        })
    };
    (-12..=14).find(|hours| reads(*hours)).unwrap_or_else(|| panic!("{stamp}"))
}

#[test]
fn a_run_uses_etc_tz_and_sighup_re_reads_it() {
    namespace::within(|| {
        let web = Accepting::new();
        let _etc = empty_etc();
        fs::write("/etc/TZ", "<+04>-4\n").unwrap();
        let dir = RunDir::new();
        let mut command = Command::new("env");
        command.args(["-u", "TZ", env!("CARGO_BIN_EXE_tcpmon"), "-q", "--report", "24h"]);
        command.arg(format!("web={}", web.address));
        let run = dir.spawn(command, Stdio::piped());
        wait_until("it probes", || !web.accepted().is_empty());
        // The last row is the newest only within one file.
        let hours = || {
            dir.logs().iter().for_each(|log| fs::remove_file(log).unwrap());
            hours(&dir, &run)
        };
        assert_eq!(hours(), 4);
        let rules = [("<-05>5", -5), ("nonsense", 0), ("nonsense", 0), ("UTC-3", 3)];
        for (said, (rule, expected)) in rules.into_iter().enumerate() {
            fs::write("/etc/TZ", rule).unwrap();
            run.signal(Signal::SIGHUP);
            wait_until("the signal was handled", || {
                run.stderr().matches("there is no file to re-read").count() == said + 1
            });
            assert_eq!(hours(), expected, "{rule}");
        }
        let ended = run.end();
        assert_eq!(
            ended.stderr.matches("tcpmon: clock: \"nonsense\" in /etc/TZ is no time zone, local time is UTC\n").count(),
            1
        );
    });
}

/// Reads the clock of a box in the applied time zone when the boundaries ask for it, for so many days. Checks that each
/// promised boundary has its report, and that each day has one.
fn walk(zone: &str, every: u64, begin: i64, days: i64) {
    let at = |unix: i64| Instant::from_nanos((unix - begin) as u64 * 1_000_000_000);
    let mut boundaries = Boundaries::new(Nanos::from_secs(every), at(begin), clocks::local(begin));
    let (mut unix, mut wall) = (begin, clocks::local(begin));
    let mut reported = vec![wall.day()];
    while unix < begin + days * DAY {
        let promised = wall.at(boundaries.due());
        unix = begin + boundaries.next().secs() as i64;
        wall = clocks::local(unix);
        let stamp = boundaries.read(at(unix), wall);
        if unix == promised.unix {
            assert_eq!(stamp.map(shown), Some(shown(wall)), "{zone}, report {every}s, promised {promised}");
        }
        if let Some(stamp) = stamp {
            reported.push(stamp.day());
        }
        let recent = reported.iter().rev().take(500);
        assert!(recent.clone().any(|day| *day == wall.day()), "{zone}, report {every}s: {wall} has no report");
    }
}

#[test]
fn every_promised_boundary_has_its_report_and_every_day_its_file_in_zones_of_every_kind() {
    if !Path::new("/usr/share/zoneinfo/Europe/Berlin").exists() {
        return namespace::skip("every_promised_boundary_has_its_report", "there is no /usr/share/zoneinfo");
    }
    namespace::within(|| {
        let zones = [
            ("Europe/Berlin", YEARS[1]),
            ("Africa/Cairo", YEARS[1]),
            ("America/Havana", YEARS[1]),
            ("Asia/Beirut", YEARS[1]),
            ("Australia/Lord_Howe", YEARS[1]),
            ("Antarctica/Troll", YEARS[1]),
            ("America/Nuuk", YEARS[1]),
            // 2011, without 2011-12-30.
            ("Pacific/Apia", 1_293_840_000),
            // Until 2011 at one minute past midnight.
            ("America/St_Johns", 1_230_768_000),
        ];
        for (zone, begin) in zones {
            // SAFETY: in its namespace the test has the process for itself.
            unsafe { env::set_var("TZ", zone) };
            assert_eq!(time_zone::apply(), None);
            let offset = clocks::local(begin).offset;
            assert!((0..366).any(|day| clocks::local(begin + day * DAY).offset != offset), "{zone} has no change");
            for every in [7 * 60, 1800, 3600, 7200, 3 * 3600, 5 * 3600, 86_400] {
                // From local midnight on.
                walk(zone, every, begin - i64::from(clocks::local(begin).second_of_day()), 2 * 366);
            }
        }
    });
}

#[test]
fn a_run_reports_a_boundary_that_summer_time_leaves_out() {
    let web = Accepting::new();
    let dir = RunDir::new();
    // In six seconds it is 02:00:00 there, which becomes 03:00:00.
    let soon = clocks::wall().unix + 6;
    let utc = WallTime { unix: soon, nanos: 0, offset: 0 };
    let west = i64::from(utc.second_of_day()) - 2 * 3600;
    let (sign, by) = (if west < 0 { '-' } else { '+' }, west.unsigned_abs());
    let date = utc.civil();
    let rule = format!(
        "AAA{sign}{}:{:02}:{:02}BBB,M{}.{}.{}/2,J{}",
        by / 3600,
        by / 60 % 60,
        by % 60,
        date.month,
        (date.day - 1) / 7 + 1,
        (utc.day() + 4) % 7,
        if date.month == 1 { 200 } else { 1 }
    );
    let mut command = Command::new("env");
    command.args([&format!("TZ={rule}"), env!("CARGO_BIN_EXE_tcpmon"), "-q", "--report", "2h", "--interval", "500ms"]);
    command.arg(format!("web={}", web.address));
    let run = dir.spawn(command, Stdio::piped());
    wait_until("the report is there", || !dir.rows().is_empty());
    let stamp = utc.at(soon).to_string()[..10].to_string() + " 03:00:00";
    assert_eq!(dir.rows()[0].stamp, stamp, "{rule}");
    assert_eq!(run.end().outcome(), "exit 0");
}
