//! The error of a reported connect time, against a capture of the same connects.
//!
//! All targets start in one tick, so that the last connects are still being made while the first
//! are answered: what the loop's own batch adds to a time shows here.

use std::collections::HashMap;
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::capture::Capture;
use crate::distribution::{Distribution, HEADING};
use crate::place::Place;
use crate::{Result, TARGETS, cannot_run, far_peer, listeners, name_of};

/// The word that a process inside the namespace is started with.
pub const INSIDE: &str = "accuracy-in-namespace";

const RUNS: usize = 20;
const DELAY: Duration = Duration::from_millis(20);

/// A time reported shorter than the wire's by more than this is wrong. Below it, it is the
/// difference between two clocks read at two moments.
const TOO_SHORT: i64 = -100_000;

/// One connect: nanoseconds from SYN to answer, and as the program reports it.
struct Connect {
    wire: i64,
    reported: i64,
}

/// Measures in a user and network namespace, in which everybody may capture and nobody else sends.
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
    // What was wrong has been said inside.
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
    let loopback = measure_host(binary, &capture, &ports, "127.0.0.1");
    let loopback = loopback.and_then(|connects| report("loopback", &connects));
    let far = match far_peer::start(DELAY) {
        Ok(()) => measure_host(binary, &capture, &ports, far_peer::ADDRESS)
            .and_then(|connects| report(&format!("a peer that answers after {DELAY:?}"), &connects)),
        Err(why) => {
            println!("\na peer that answers after {DELAY:?}: left out ({why})");
            Ok(())
        }
    };
    loopback.and(far)
}

fn measure_host(binary: &Path, capture: &Capture, ports: &[u16], host: &str) -> Result<Vec<Connect>> {
    let place = Place::new(ports.iter().map(|port| (host, *port)))?;
    // The first run warms up: the kernel takes a moment before it stamps packets.
    run(binary, &place)?;
    thread::sleep(Duration::from_millis(100));
    capture.take()?;
    let mut connects = Vec::new();
    for _ in 0..RUNS {
        let reported = run(binary, &place)?;
        // A run that the capture did not see whole is left out, and missing from the number printed.
        let Some(wire) = capture.take()? else { continue };
        for (port, reported) in reported {
            connects.extend(wire.get(&port).map(|wire| Connect { wire: *wire, reported }));
        }
    }
    Ok(connects)
}

/// Probes every target once; the reported nanoseconds of those that connected, by port.
fn run(binary: &Path, place: &Place) -> Result<HashMap<u16, i64>> {
    let output =
        place.run(Command::new(binary).arg("once")).map_err(|error| format!("the program does not run: {error}"))?;
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

/// Prints the distributions. `Err` where a time was reported shorter than it was, or there is none.
fn report(what: &str, connects: &[Connect]) -> Result {
    println!("\n{what:<36}{HEADING}");
    if connects.is_empty() {
        return Err(format!("{what}: the capture saw none of the connects, nothing was measured"));
    }
    let wire = Distribution::new(connects.iter().map(|connect| connect.wire));
    let reported = Distribution::new(connects.iter().map(|connect| connect.reported));
    let error = Distribution::new(connects.iter().map(|connect| connect.reported - connect.wire));
    println!("{:<36}{}", "SYN to answer in the capture", wire.row());
    println!("{:<36}{}", "reported connect time", reported.row());
    println!("{:<36}{}", "error", error.row());
    let (seen, made, largest) = (connects.len(), RUNS * TARGETS, millis(reported.percentile(100)));
    println!("{seen} connects of {made}; the largest reported time is {largest:.3} ms");
    if seen < made {
        println!("left out: connects that failed, and runs of which the capture lost packets");
    }
    let least = error.percentile(0);
    if least < TOO_SHORT {
        return Err(format!("{what}: a time was reported {:.3} ms shorter than it was", -millis(least)));
    }
    Ok(())
}

fn millis(nanos: i64) -> f64 {
    nanos as f64 / 1e6
}
