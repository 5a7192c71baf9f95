//! No heap allocation after start-up: the real loop runs under an allocator that counts, with
//! successes, refusals, timeouts, lookups, helper deaths, reports, times, events, samples, signals and reloads.
//!
//! It runs without the test harness, which allocates in threads of its own: the counter counts for
//! the whole process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says where it failed")]

#[path = "edges/scratch.rs"]
mod scratch;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::signal::{SigHandler, Signal, kill, raise, signal};
use nix::unistd::Pid;
use tcpmon::base::limits;
use tcpmon::base::time::Nanos;
use tcpmon::core::monitor::Span;
use tcpmon::model::cli::Cli;
use tcpmon::model::settings::Config;
use tcpmon::shell::config_file::ConfigFile;
use tcpmon::shell::console::Console;
use tcpmon::shell::event_loop::{EventLoop, Start};
use tcpmon::shell::ledger_file::LedgerFile;
use tcpmon::sys::clock;
use tcpmon::sys::signal::Signals;

struct Counting;

static ARMED: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);

fn count() {
    if ARMED.load(Ordering::Relaxed) {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's guarantees are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's guarantees are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's guarantees are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's guarantees are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The helpers: all children of this process.
fn helpers() -> Vec<Pid> {
    let own = std::process::id();
    let children = fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap();
    children.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}

fn main() -> ExitCode {
    // Under nohup(1) it is ignored, and a run leaves it so. This run is sent one.
    // SAFETY: the default action runs none of our code.
    unsafe { signal(Signal::SIGHUP, SigHandler::SigDfl) }.unwrap();
    let home = scratch::temporary().unwrap();
    let folder = home.path().join("run");
    fs::create_dir(&folder).unwrap();
    let accepting = TcpListener::bind("127.0.0.1:0").unwrap();
    accepting.set_nonblocking(true).unwrap();
    let open = accepting.local_addr().unwrap().port();
    // A listener with a full backlog is silent.
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    nix::sys::socket::listen(&full, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let silent = full.local_addr().unwrap();
    let fillers: Vec<_> = (0..2)
        .map_while(|_| std::net::TcpStream::connect_timeout(&silent, std::time::Duration::from_millis(300)).ok())
        .collect();
    assert!(!fillers.is_empty(), "the backlog has room for one");
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();

    let path = folder.join("tcpmon.conf");
    let config = format!(
        "sandbox off\ninterval 50ms\ntimeout 300ms\nslow 100ms\nreport 1s\nlog_dir {}\n\
         times on\nevents on\nsamples on\nsyslog on\ntarget open 127.0.0.1 {open}\n\
         target refused 127.0.0.1 {refusing}\ntarget silent 127.0.0.1 {}\ntarget name localhost {open}\n\
         target slow-name localhost {open} interval 100ms\n",
        folder.display(),
        silent.port()
    );
    fs::write(&path, &config).unwrap();
    let path: &'static str = String::leak(path.to_string_lossy().into_owned());
    let cli = Cli::parse(["-c", path], &mut |mistake| panic!("{mistake}")).unwrap();
    let mut file = ConfigFile::new(cli);
    let mut config = Config::new();
    file.load(&mut config, &mut |mistake| panic!("{mistake}")).unwrap();
    let span = Span { rounds: None, duration: Some(Nanos::from_secs(4)) };
    let Ok(ledger) = LedgerFile::lock(config.settings.ledger_path()) else { panic!("the ledger is ours") };
    let (ledger_file, console, signals) = (Some(ledger), Console::new(false), Signals::new().unwrap());
    let mut event_loop = EventLoop::new(Start { config, config_file: file, span, ledger_file, console, signals });

    event_loop.keep_times();

    ARMED.store(true, Ordering::Relaxed);
    drop(std::hint::black_box(Box::new(1)));
    ARMED.store(false, Ordering::Relaxed);
    assert_eq!(CALLS.swap(0, Ordering::Relaxed), 2, "the counter counts");

    let begin = clock::monotonic();
    let mut incident = 0;
    let mut killed = 0;
    loop {
        ARMED.store(true, Ordering::Relaxed);
        let goes_on = event_loop.turn();
        ARMED.store(false, Ordering::Relaxed);
        if !goes_on {
            break;
        }
        while accepting.accept().is_ok() {}
        // Incidents from outside, one every 300 ms.
        if clock::monotonic().since(begin) < Nanos::from_millis(300).times(incident + 1) {
            continue;
        }
        incident += 1;
        match incident {
            1 | 4 | 7 => {
                for helper in helpers() {
                    kill(helper, Signal::SIGKILL).unwrap();
                    killed += 1;
                }
            }
            2 => raise(Signal::SIGUSR1).unwrap(),
            3 => raise(Signal::SIGQUIT).unwrap(),
            5 => {
                let mut more = fs::OpenOptions::new().append(true).open(path).unwrap();
                writeln!(more, "target added localhost {open} inet").unwrap();
                // More targets than the ledger has records: it grows.
                for i in 0..20 {
                    writeln!(more, "target added-{i} 127.0.0.1 {open} interval 1s").unwrap();
                }
                raise(Signal::SIGHUP).unwrap();
            }
            6 => {
                fs::write(path, "interval never\n").unwrap();
                raise(Signal::SIGHUP).unwrap();
            }
            8 => fs::rename(&folder, folder.with_extension("moved")).unwrap(),
            9 => {
                fs::remove_dir_all(&folder).ok();
                fs::rename(folder.with_extension("moved"), &folder).unwrap();
            }
            _ => {}
        }
    }
    let calls = CALLS.load(Ordering::Relaxed);
    let columns = |service: &str| {
        let entry = event_loop.monitor().live().find(|entry| entry.target.service.as_str() == service).unwrap();
        entry.tally.counted().columns()
    };
    assert!(columns("open").conn_fast > 40, "successes");
    assert!(columns("refused").conn_failed > 40, "refusals");
    assert!(columns("silent").conn_failed > 20, "timeouts");
    assert!(columns("name").conn_fast > 30, "lookups");
    assert!(columns("added").conn_fast > 20, "the reload took place");
    assert!(killed >= 3, "helpers died");
    let ledger = event_loop.monitor().ledger();
    let kept: u64 = ledger.records().map(|(_, record)| record.tally().counted().columns().total).sum();
    let counted: u64 = event_loop.monitor().live().map(|entry| entry.tally.counted().columns().total).sum();
    assert_eq!(
        (ledger.capacity() > limits::RECORD_BATCH, kept),
        (true, counted),
        "the ledger has grown and has all counts"
    );
    for (kind, least) in [("stats", 15), ("times", 15), ("events", 4), ("samples", 300)] {
        let mut lines = 0;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains(&format!("tcp_{kind}_2")) {
                lines += fs::read_to_string(path).unwrap().lines().count();
            }
        }
        assert!(lines > least, "{kind} were written: {lines} lines");
    }
    let ledger = event_loop.monitor().ledger();
    assert_eq!(ledger.first_event(), ledger.end_of_events(), "all events are written");
    drop((full, fillers));
    let failed = u8::from(calls > 0);
    println!("heap calls after start-up: {calls} (0 allowed)");
    println!("{} passed, {failed} failed", 1 - failed);
    ExitCode::from(failed)
}
