//! `tcpmon run`, which watches the targets until it is told to end, and `tcpmon start`, which does the same in
//! the background.

use core::fmt::Write;

use super::{FAILURE, MISTAKES, SUCCESS, boot, exit, fail, load, prepare};
use crate::base::{limits, path, words};
use crate::core::monitor::Span;
use crate::model::cli::Cli;
use crate::model::directive::Directive;
use crate::model::log_names::Kind;
use crate::model::run::Run;
use crate::model::settings::{Config, Settings};
use crate::shell::change_user;
use crate::shell::config_file::{ConfigFile, Source};
use crate::shell::console::Console;
use crate::shell::event_loop::{EventLoop, Start};
use crate::shell::ledger_file::LedgerFile;
use crate::shell::locks::{Lock, Subject};
use crate::shell::place::Place;
use crate::shell::snapshot::Snapshot;
use crate::sys;
use crate::sys::background::{self, Fork, Starter};
use crate::sys::{clock, notify, process};

/// Watches the targets. Exit status: 0 after a normal end, 2 if the configuration is wrong, 1 if the run could not start or
/// its last report could not be written. With `in_background` this is the status of the process that stays in the
/// foreground: 0 if a run probes, or this configuration's runs already.
pub fn run(cli: Cli, mut console: Console, in_background: bool) -> ! {
    process::set_umask();
    let Some(signals) = prepare(&mut console) else { exit(FAILURE) };
    let (span, unless_stopped) = (Span { rounds: cli.rounds, duration: cli.duration }, cli.unless_stopped);
    let hand_over = cli.hand_over;
    let mut file = ConfigFile::new(cli);
    let mut config = Config::new();
    if hand_over {
        // The run itself, which follows, says what is wrong.
        let is_valid = file.load(&mut config, &mut |_| ()).is_ok();
        exit(if is_valid && change_user::give(&config, &file) { SUCCESS } else { FAILURE });
    }
    let source = match load(&mut file, &mut config, &mut console) {
        Ok(source) => source,
        Err(_) if in_background && file.lacks_targets() => {
            exit(if unless_stopped { SUCCESS } else { FAILURE });
        }
        Err(_) => exit(MISTAKES),
    };
    if in_background {
        if has_relative_path(&config, &mut console) {
            exit(MISTAKES);
        }
        file.make_absolute();
    }
    let place = Place::of(&config, &file);
    if unless_stopped && Snapshot::read(&place.ledger).is_ok_and(|snapshot| Some(snapshot.ledger.stopped()) == boot()) {
        exit(SUCCESS);
    }
    if !change_user::become_user(&config, &file, true, &mut console) {
        exit(FAILURE);
    }
    let mut locks = [None, None];
    let ledger_file = match lock(&place, &mut locks, &mut console) {
        Ok(locked) => locked,
        Err(run) => say_busy(run, &place, in_background, &mut console),
    };
    let mut starter = None;
    if in_background {
        starter = Some(leave(&mut console));
    } else {
        greet(&mut console, &config, file.cli(), source);
    }
    locks.iter().flatten().for_each(Lock::hold);
    let mut event_loop =
        EventLoop::new(Start { config, config_file: file, span, ledger_file: Some(ledger_file), console, signals });
    if !in_background && (span.rounds.is_some() || span.duration.is_some()) {
        event_loop.keep_times();
    }
    event_loop.begin();
    if let Some(starter) = starter {
        event_loop.console().go_to_background();
        starter.tell_started();
    }
    notify::ready();
    event_loop.run();
    if !in_background {
        event_loop.print_last_words(limits::LAST_WORDS);
    }
    exit(if event_loop.lost_last_report() { FAILURE } else { SUCCESS })
}

/// Goes to the background. The process that stays in the foreground ends here.
fn leave(console: &mut Console) -> Starter {
    match background::go_to_background() {
        Ok(Fork::Background(starter)) => starter,
        Ok(Fork::Foreground { started: true }) => exit(SUCCESS),
        Ok(Fork::Foreground { started: false }) => {
            fail("start", format_args!("the background process ended before it probed"), console)
        }
        Err(errno) => {
            let why = sys::describe(errno);
            fail("start", format_args!("no background process could be made ({why}), nothing is started"), console)
        }
    }
}

/// Locks the configuration and the ledger. A run that is about to end is waited for. An error is the run that has a lock;
/// `None` if there is none and neither can be locked.
fn lock(place: &Place, locks: &mut [Option<Lock>; 2], console: &mut Console) -> Result<LedgerFile, Option<Run>> {
    let until = clock::monotonic() + limits::STOP_WAIT;
    loop {
        let busy = match try_lock(place, locks, console) {
            Err(Some(run)) => run,
            locked => return locked,
        };
        if clock::monotonic() >= until || !is_ending(place, busy) {
            return Err(Some(busy));
        }
        *locks = [None, None];
        clock::rest(limits::LOOK);
    }
}

/// Whether the run that had a lock is about to end, or has ended since.
fn is_ending(place: &Place, busy: Run) -> bool {
    let found = place.find();
    match found.run {
        Run::None => true,
        Run::Starting => busy != Run::Starting,
        Run::Here(_) | Run::Elsewhere => found.ledger().is_some_and(|snapshot| snapshot.ledger.is_ending()),
    }
}

fn try_lock(place: &Place, locks: &mut [Option<Lock>; 2], console: &mut Console) -> Result<LedgerFile, Option<Run>> {
    if !place.config.is_empty() {
        locks[0] = Some(Lock::take(Subject::Configuration, place.config.as_str(), place.user, console)?);
    }
    locks[1] = Some(Lock::take(Subject::Ledger, place.ledger.as_str(), place.user, console)?);
    let ledger_file = LedgerFile::lock(place.ledger)?;
    if ledger_file.is_missing() && !locks.iter().flatten().any(Lock::is_had) { Err(None) } else { Ok(ledger_file) }
}

/// Says who runs, unless a start is content with that, and ends the command.
fn say_busy(run: Option<Run>, place: &Place, in_background: bool, console: &mut Console) -> ! {
    let Some(run) = run else {
        fail("start", format_args!("neither ledger nor configuration can be locked, nothing is started"), console);
    };
    let (ledger, mut room) = (&place.ledger, [0; limits::PATH]);
    if let Some(other) = place.other_config(&Snapshot::read(ledger), &mut room) {
        fail(
            "start",
            format_args!(
                "{ledger} is used by the run of {other}; give this configuration a log_dir or a ledger of its own"
            ),
            console,
        );
    }
    match run {
        Run::None | Run::Starting => fail(
            "start",
            format_args!("{ledger} is locked by a process that does not say which one it is, nothing is started"),
            console,
        ),
        Run::Here(_) | Run::Elsewhere if in_background => exit(SUCCESS),
        Run::Here(pid) => fail("start", format_args!("already running as pid {pid}"), console),
        Run::Elsewhere => fail("start", format_args!("already running"), console),
    }
}

/// Whether a path is relative, and if so prints why that is wrong. Cron starts its jobs in a directory where no
/// operator looks, and a second start or a `status` in another directory would use another file.
fn has_relative_path(config: &Config, console: &mut Console) -> bool {
    let (log_dir, ledger) = (config.settings.log_dir.as_str(), config.settings.ledger.as_str());
    // A ledger without a slash lies in log_dir.
    let ledger = if words::contains(ledger, b'/') { ledger } else { "/" };
    let mut found = false;
    for (name, path) in [("log_dir", log_dir), ("ledger", ledger)] {
        if !path.starts_with('/') {
            found = true;
            console.complain(format_args!(
                "{name} \"{path}\" is relative, for a run in the background write a path that begins with /"
            ));
        }
    }
    found
}

/// Prints the first lines on the console.
fn greet(console: &mut Console, config: &Config, cli: &Cli, source: Source) {
    let mut words = String::from("Starting TCP Connection Monitor...\n");
    if source == Source::Defaults {
        words.push_str("No targets given: watching the embedded default list of public anycast resolvers\n");
    }
    words.push_str("Monitoring hosts: ");
    for (i, target) in config.targets.iter().enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        // Writing to a String does not fail.
        let _ = write!(words, "{comma}{} ({})", target.service, target.endpoint());
    }
    let Settings { log_dir, report, .. } = &config.settings;
    let log = path::within(log_dir.as_str(), Kind::Stats.latest());
    let _ = write!(words, "\nLogging to {log} every {report}; for more: tcpmon status");
    // With targets on the command line no file is read, but `status` would read one that names another directory.
    let own = if source == Source::CommandLine { Some(log_dir.as_str()) } else { None };
    let set = |wanted| cli.settings.iter().find(|(directive, _)| *directive == wanted).map(|(_, value)| *value);
    for (option, value) in
        [(" -c ", cli.file), (" --log-dir ", set(Directive::LogDir).or(own)), (" --ledger ", set(Directive::Ledger))]
    {
        if let Some(value) = value {
            words.push_str(option);
            words.push_str(value);
        }
    }
    words.push_str("\nPress Ctrl+C to stop\n\n");
    console.lines(&words, limits::LAST_WORDS);
}
