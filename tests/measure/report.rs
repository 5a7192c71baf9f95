//! A report of a year of 20 targets: how long it takes beside a mawk that only sums the same columns of the same files, both in
//! one run, and how much memory it needs, also with a year of times and events.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tcpmon::base::time::WallTime;

use crate::{Result, cannot_run, name_of, scratch};

const TARGETS: usize = 20;
const DAYS: i64 = 365;

/// Rows of a target and a day.
const ROWS: i64 = 288;

/// How many times as fast as mawk a report is at least, in tenths, and its most memory in KB.
const FASTER: u128 = 30;
const MEMORY: u64 = 8 << 10;

/// How often both are run; the fastest counts.
const RUNS: usize = 5;

/// 2025-10-09 00:00:00 UTC.
const END: i64 = 1_759_968_000;

/// What both sum up: the seven columns of each service, in mawk's fastest form.
const AWK: &str = "!/^T/ {a[$2] += $3; b[$2] += $4; c[$2] += $5; d[$2] += $6; e[$2] += $7; f[$2] += $8; g[$2] += $9}
END {for (s in g) print s, a[s], b[s], c[s], d[s], e[s], f[s], g[s]}";

/// Prints the figures. `Err` if one exceeds its bound, or nothing could be measured.
pub fn measure(binary: &Path) -> Result {
    let dir = scratch::temporary().map_err(|error| format!("no temporary directory: {error}"))?;
    let mut bytes = 0;
    for day in 0..DAYS {
        bytes += write_day(dir.path(), day, false)?;
    }
    let files = fs::read_dir(dir.path()).map_err(|error| error.to_string())?;
    let files: Vec<_> = files.flatten().map(|entry| entry.path()).collect();
    let mut report = Command::new(binary);
    report.args(["report", "-j"]).arg(dir.path());
    let mut mawk = Command::new("mawk");
    mawk.args(["-F|", AWK]).args(files);
    let (mut fastest, mut memory) = ([u128::MAX; 2], 0);
    for _ in 0..RUNS {
        for (time, command) in fastest.iter_mut().zip([&mut report, &mut mawk]) {
            let (took, kilobytes) = run(command)?;
            *time = took.min(*time);
            if kilobytes > 0 && command.get_program() == binary {
                memory = memory.max(kilobytes);
            }
        }
    }
    for day in 0..DAYS {
        write_day(dir.path(), day, true)?;
    }
    let (_, with_all) = run(&mut report)?;
    let [ours, others] = fastest;
    let faster = others * 10 / ours.max(1);
    println!(
        "{}: a year of {TARGETS} targets, {} MB: {} ms, mawk {} ms, {}.{} times as fast (at least {}.{})",
        name_of(binary),
        bytes >> 20,
        ours / 1000,
        others / 1000,
        faster / 10,
        faster % 10,
        FASTER / 10,
        FASTER % 10
    );
    println!("memory {memory} KB, with times and events {with_all} KB (at most {MEMORY} KB)");
    if faster < FASTER || memory.max(with_all) > MEMORY {
        return Err("a bound is exceeded".into());
    }
    Ok(())
}

/// Runs a command to its end. Returns how long it took, in microseconds, and the most memory that it had, in KB: `VmHWM`
/// (proc(5)) as GNU time tells it.
fn run(command: &mut Command) -> Result<(u128, u64)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = std::time::Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().map_err(|error| cannot_run(&program, &program, &error))?;
    let mut kilobytes = 0;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let high = high.and_then(|high| high.split_whitespace().next()?.parse().ok());
        kilobytes = high.unwrap_or(0).max(kilobytes);
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    if !status.success() {
        return Err(format!("{program} failed: {status}"));
    }
    Ok((started.elapsed().as_micros(), kilobytes))
}

/// Writes the counts of a day, or its times and events. Returns how many bytes they have.
fn write_day(dir: &Path, day: i64, others: bool) -> Result<u64> {
    let begin = END - (DAYS - day) * 86_400;
    let at = |unix| WallTime { unix, nanos: 0, offset: 0 };
    let (mut rows, mut events) = (String::new(), String::new());
    if !others {
        rows.push_str(
            "Timestamp           | Service              | Conn<1s | Conn1-5s | DNS<1s |  DNS1-5s | DNSFail | ConnFailed | Total\n",
        );
    }
    for row in 0..ROWS {
        let unix = begin + row * 300;
        let stamp = at(unix);
        for target in 0..TARGETS {
            // Some of them fail, and some are down for two hours.
            let number = (row * 31 + day * 7 + target as i64 * 13) % 97;
            let failed =
                if (target as i64 + day) % 9 == 0 && (40..64).contains(&row) { 150 } else { (number == 5).into() };
            let slow = if failed == 0 { number % 3 } else { 0 };
            let fast = 150 - failed - slow;
            let _ = if others {
                let name = format!("host-{target}.example:443");
                let [a, b] = [number % 10, 10 + number % 7];
                writeln!(
                    rows,
                    "{stamp} | service-{target:<12} | {name:<21} | {:>8} | {:>8} | {:>8} | {:>8} | {:>8} | {:>8} | {slow:>11} | {:>7} | {}",
                    format!("0.{a}"),
                    format!("1.{a}"),
                    format!("2.{a}"),
                    format!("{b}.0"),
                    format!("{b}.5"),
                    format!("{}.5", b * 9),
                    0,
                    if failed > 0 { "connect refused 8" } else { "-" }
                )
            } else {
                writeln!(
                    rows,
                    "{stamp} | service-{target:<12} | {fast:>7} | {slow:>8} | {:>6} | {:>8} | {:>7} | {failed:>10} | {:>5}",
                    150, 0, 0, 150
                )
            };
            let is_change = others && (target as i64 + day) % 9 == 0;
            if is_change && row == 40 {
                let since = at(unix - 200).as_moment();
                let _ = writeln!(
                    events,
                    "{} | down | service-{target} | host-{target}.example:443 | connect refused by 192.0.2.7, since {since}, 3 failed",
                    at(unix - 196).as_moment()
                );
            } else if is_change && row == 64 {
                let since = at(begin + 40 * 300 - 200).as_moment();
                let _ = writeln!(
                    events,
                    "{} | up | service-{target} | host-{target}.example:443 | connected to 192.0.2.7 in 11.1 ms, down for 7200 s since {since}, 3600 failed",
                    at(unix).as_moment()
                );
            }
        }
    }
    let date = at(begin).to_string()[..10].replace('-', "");
    let kind = if others { "times" } else { "stats" };
    for (kind, text) in [(kind, &rows), ("events", &events)] {
        if !text.is_empty() {
            let path = dir.join(format!("tcp_{kind}_{date}.log"));
            fs::write(path, text).map_err(|error| format!("the files of a day: {error}"))?;
        }
    }
    Ok(rows.len() as u64)
}
