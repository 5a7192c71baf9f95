//! System calls per probe in the steady state, for literals and for names.
//!
//! Start and end cancel out in the difference between a long and a short run of the same kind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::run_dir::RunDir;
use crate::{Result, TARGETS, idle, listeners, name_of, strace, untraced};

/// Bound of calls per probe of an IP literal: socket, connect, TCP_INFO, close and a shared poll.
const LITERAL_BOUND: f64 = 4.3;
/// Bound of additional calls for a name: the request, its answer, and a poll.
const NAME_BOUND: f64 = 3.0;

/// Long enough for all probes of a tick under strace, where a call needs about 40 us.
const INTERVAL: Duration = Duration::from_millis(250);
/// With this timeout 1,024 targets at that interval fit into the table of probes. No report within a
/// run: it would not cancel out.
pub const SETTINGS: &str = "--report 24h --slow 500ms --timeout 1s";
/// Rounds of the short and of the long run.
const SHORT: u64 = 4;
const LONG: u64 = 24;

/// A kind of run, and its calls per probe by name.
struct Kind {
    name: &'static str,
    calls: BTreeMap<String, f64>,
}

/// Prints the calls per probe. `Err` if a bound is exceeded or nothing could be measured.
pub fn measure(binary: &Path) -> Result {
    let ports = listeners::open(TARGETS)?;
    let literals = Kind::measure("literals", binary, &ports, "127.0.0.1", "-q")?;
    let names = Kind::measure("names", binary, &ports, "localhost", "-q")?;
    let dots = Kind::measure("with dots", binary, &ports, "127.0.0.1", "")?;
    println!(
        "system calls of {} per probe: {TARGETS} targets every {INTERVAL:?}, {LONG} rounds minus {SHORT}",
        name_of(binary)
    );
    print_table(&[&literals, &names, &dots]);

    let more = names.total() - literals.total();
    let a_round = (dots.total() - literals.total()) * TARGETS as f64;
    println!("\na literal: {:.3} calls a probe (bound {LITERAL_BOUND})", literals.total());
    println!("a name:    {more:.3} calls more (bound {NAME_BOUND})");
    println!("a dot:     {a_round:.1} calls a round, to a pipe");
    let idle = idle::measure(binary, ports[0]);
    print_untraced(binary, &ports)?;

    let mut wrong = Vec::new();
    if literals.total() > LITERAL_BOUND {
        wrong.push(format!("a literal costs {:.3} calls a probe, the bound is {LITERAL_BOUND}", literals.total()));
    }
    if more > NAME_BOUND {
        wrong.push(format!("a name costs {more:.3} calls more than a literal, the bound is {NAME_BOUND}"));
    }
    wrong.extend(idle.err());
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\nmeasure: ")) }
}

impl Kind {
    /// Makes a short and a long run with this host for every target.
    fn measure(name: &'static str, binary: &Path, ports: &[u16], host: &str, words: &str) -> Result<Self> {
        let run = |rounds: u64| {
            let dir = RunDir::new(ports.iter().map(|port| (host, *port)))?;
            let interval = INTERVAL.as_millis();
            let words = format!("{words} {SETTINGS} --interval {interval}ms --rounds {rounds}");
            let calls = strace::count(binary, &dir, &words)?;
            Ok::<_, String>((calls, dir.probes()?))
        };
        let ((short, few), (long, many)) = (run(SHORT)?, run(LONG)?);
        if many <= few {
            return Err(format!(
                "{few} probes in {SHORT} rounds and {many} in {LONG}: nothing can be computed from that"
            ));
        }
        let probes = (many - few) as f64;
        let calls = long.since(&short).into_iter().map(|(call, count)| (call, count as f64 / probes));
        Ok(Self { name, calls: calls.collect() })
    }

    fn total(&self) -> f64 {
        self.calls.values().sum()
    }

    fn of(&self, call: &str) -> f64 {
        self.calls.get(call).copied().unwrap_or(0.0)
    }
}

/// Prints a row for each call, the most frequent first.
fn print_table(kinds: &[&Kind]) {
    print!("{:<16}", "");
    kinds.iter().for_each(|kind| print!(" {:>10}", kind.name));
    println!();
    let calls: BTreeSet<&String> = kinds.iter().flat_map(|kind| kind.calls.keys()).collect();
    let mut calls: Vec<(&String, f64)> =
        calls.into_iter().map(|call| (call, kinds.iter().map(|kind| kind.of(call)).sum())).collect();
    calls.sort_by(|one, other| other.1.total_cmp(&one.1));
    for (call, _) in calls {
        print!("{call:<16}");
        kinds.iter().for_each(|kind| print!(" {:>10.3}", kind.of(call)));
        println!();
    }
    print!("{:<16}", "total");
    kinds.iter().for_each(|kind| print!(" {:>10.3}", kind.total()));
    println!();
}

/// Prints figures without bounds: they depend on the machine and its load.
fn print_untraced(binary: &Path, ports: &[u16]) -> Result {
    println!("\nwithout strace, per probe    sleeps     CPU us");
    for (what, host, targets) in [
        ("16 literals", "127.0.0.1", 16),
        ("256 literals", "127.0.0.1", 256),
        ("1024 literals", "127.0.0.1", 1024),
        ("256 names", "localhost", 256),
    ] {
        let dir = RunDir::new(ports.iter().cycle().take(targets).map(|port| (host, *port)))?;
        match untraced::measure(binary, &dir, targets, INTERVAL) {
            Ok(cost) => println!("{what:<24} {:>10.3} {:>10.1}", cost.sleeps, cost.cpu),
            Err(why) => println!("{what:<24} {why}"),
        }
    }
    Ok(())
}
