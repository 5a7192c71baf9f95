//! The error of the reported connect times, compared with a capture of the same connects.
//!
//! All targets start in one tick: the first connects are answered while the last are still being
//! made. So the error shows what the loop's own batch adds to a time.

use std::collections::HashMap;
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::capture::Capture;
use crate::distribution::{Distribution, HEADING};
use crate::run_dir::RunDir;
use crate::{Result, TARGETS, cannot_run, far_peer, listeners, name_of};

/// The first argument of the process inside the namespace.
pub const INSIDE: &str = "accuracy-in-namespace";

const RUNS: usize = 20;

/// How often a measurement is made if it exceeds a bound.
const TRIES: usize = 3;

/// Processes that only compute, beside the second half of the runs.
const BUSY: usize = 4;

/// The most that a reported time may differ from the captured one, of 99 in 100 and of all, in nanoseconds.
const BOUNDS: (i64, i64) = (50_000, 1_000_000);

/// One connect: nanoseconds from SYN to answer in the capture, and as reported.
struct Connect {
    wire: i64,
    reported: i64,
}

/// Measures in a user and network namespace: there capture is allowed, and no other process sends.
pub fn measure(binary: &Path) -> Result {
    const FORMS: [&[&str]; 2] = [&["--user", "--map-root-user", "--net"], &["--net"]];
    let mut works = None;
    for form in FORMS {
        let trial = Command::new("unshare").args(form).arg("true").stderr(Stdio::null()).status();
        if trial.map_err(|error| cannot_run("unshare", "util-linux", &error))?.success() {
            works = Some(form);
            break;
        }
    }
    let form = works.ok_or("no network namespace can be made here, nothing was measured")?;
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new("unshare").args(form).arg(this).args([INSIDE.as_ref(), binary.as_os_str()]).status();
    let status = status.map_err(|error| cannot_run("unshare", "util-linux", &error))?;
    // The process inside has printed what was wrong.
    if status.success() { Ok(()) } else { Err(String::new()) }
}

/// The measurement itself.
pub fn measure_inside(binary: &Path) -> Result {
    far_peer::ip("link set lo up")?;
    let capture = Capture::start()?;
    let ports = listeners::open(TARGETS)?;
    println!(
        "connect times that {} reports, against a capture: ms, {RUNS} runs of {TARGETS} targets in one tick",
        name_of(binary)
    );
    let mut hosts = vec![("127.0.0.1", "loopback".to_owned())];
    match far_peer::start() {
        Ok(()) => {
            hosts.extend(far_peer::PEERS.map(|(host, delay)| (host, format!("a peer that answers after {delay:?}"))))
        }
        Err(why) => println!("\npeers that answer after a while: left out ({why})"),
    }
    let mut wrong = Vec::new();
    for busy in [0, BUSY] {
        let loops = Loops::start(busy);
        let beside = if busy > 0 { format!(", {busy} busy loops") } else { String::new() };
        for (host, what) in &hosts {
            let what = format!("{what}{beside}");
            let measured =
                || measure_host(binary, &capture, &ports, host).and_then(|connects| report(&what, &connects));
            // A CPU that the machine's host takes away between the kernel's stamp and the capture's makes the capture
            // late. That is shown, and measured again.
            let result = (1..TRIES).fold(measured(), |result, _| {
                result.or_else(|late| {
                    println!("{late}: once more");
                    measured()
                })
            });
            wrong.extend(result.err());
        }
        drop(loops);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\nmeasure: ")) }
}

/// Threads that only compute, until this is dropped.
struct Loops(Arc<AtomicBool>);

impl Loops {
    fn start(count: usize) -> Self {
        let loops = Self(Arc::new(AtomicBool::new(true)));
        for _ in 0..count {
            let goes_on = Arc::clone(&loops.0);
            thread::spawn(move || while goes_on.load(Ordering::Relaxed) {});
        }
        loops
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn measure_host(binary: &Path, capture: &Capture, ports: &[u16], host: &str) -> Result<Vec<Connect>> {
    let dir = RunDir::new(ports.iter().map(|port| (host, *port)))?;
    // Not counted: the kernel starts to stamp packets with a delay.
    run(binary, &dir)?;
    thread::sleep(Duration::from_millis(100));
    capture.drain()?;
    let mut connects = Vec::new();
    for _ in 0..RUNS {
        let reported = run(binary, &dir)?;
        // A run with lost packets is left out, and missing from the printed number of connects.
        let Some(wire) = capture.drain()? else { continue };
        for (port, reported) in reported {
            connects.extend(wire.get(&port).map(|wire| Connect { wire: *wire, reported }));
        }
    }
    Ok(connects)
}

/// Probes every target once. Returns the reported nanoseconds of those that connected, by port.
fn run(binary: &Path, dir: &RunDir) -> Result<HashMap<u16, i64>> {
    let output =
        dir.run(Command::new(binary).arg("once")).map_err(|error| format!("the program does not run: {error}"))?;
    let table = String::from_utf8_lossy(&output.stdout);
    let connected = table.lines().filter_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, target, _, millis, result] = cells[..] else { return None };
        if !result.starts_with("connected") {
            return None;
        }
        let (_, port) = target.rsplit_once(':')?;
        Some((port.parse().ok()?, (millis.parse::<f64>().ok()? * 1e6).round() as i64))
    });
    let connected: HashMap<u16, i64> = connected.collect();
    if connected.is_empty() {
        let complaints = String::from_utf8_lossy(&output.stderr);
        return Err(format!("no target connected ({}), nothing was measured\n{table}{complaints}", output.status));
    }
    Ok(connected)
}

/// Prints the distributions. `Err` if a bound is exceeded, or if there is no time.
fn report(what: &str, connects: &[Connect]) -> Result {
    println!("\n{what:<36}\n{:<36}{HEADING}", "");
    if connects.is_empty() {
        return Err(format!("{what}: the capture saw none of the connects, nothing was measured"));
    }
    let wire = Distribution::new(connects.iter().map(|connect| connect.wire));
    let reported = Distribution::new(connects.iter().map(|connect| connect.reported));
    let error = Distribution::new(connects.iter().map(|connect| connect.reported - connect.wire));
    println!("{:<36}{}", "SYN to answer in the capture", wire.row());
    println!("{:<36}{}", "reported connect time", reported.row());
    println!("{:<36}{}", "error", error.row());
    let size = Distribution::new(connects.iter().map(|connect| (connect.reported - connect.wire).abs()));
    println!("{:<36}{}", "its size", size.row());
    let (seen, made, largest) = (connects.len(), RUNS * TARGETS, millis(reported.percentile(100)));
    println!("{seen} connects of {made}; the largest reported time is {largest:.3} ms");
    if seen < made {
        println!("left out: connects that failed, and runs of which the capture lost packets");
    }
    let (p99, most) = (size.percentile(99), size.percentile(100));
    if p99 > BOUNDS.0 || most > BOUNDS.1 {
        return Err(format!("{what}: the error is {:.3} ms at p99 and {:.3} ms at most", millis(p99), millis(most)));
    }
    Ok(())
}

fn millis(nanos: i64) -> f64 {
    nanos as f64 / 1e6
}
