//! The loop: owns the descriptors, waits, stamps the time, hands events to the monitor and
//! carries out what it asks for. No policy.

mod clocks;
mod connects;
mod reload;
mod reports;

pub(crate) use clocks::read_time_zone;

use core::mem::ManuallyDrop;
use std::os::fd::AsFd;

use connects::Connection;

use crate::base::limits;
use crate::base::text::Count;
use crate::base::time::{Instant, Nanos, WallTime};
use crate::core::clock_trust::Confidence;
use crate::core::ledger::Ledger;
use crate::core::monitor::{Action, Event, Monitor, Span, TargetId};
use crate::core::probe::{Input, ProbeId};
use crate::core::steps::Steps;
use crate::model::settings::Config;
use crate::render::table::Form;
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::shell::daily_log::DailyLog;
use crate::shell::ledger_file::LedgerFile;
use crate::shell::recovery::{self, Unresolved};
use crate::shell::resolver::Resolver;
use crate::shell::sandbox::Confinement;
use crate::sys;
use crate::sys::clock::{self, ClockChanges};
use crate::sys::descriptor;
use crate::sys::heap;
use crate::sys::poll::PollSet;
use crate::sys::process;
use crate::sys::signal::{self, Signals, Wish};

/// Places of the poll set: signals, the wall clock, the helpers, and then one for each connect.
const SIGNALS: usize = 0;
const CLOCK: usize = 1;
const HELPERS: usize = 2;
const CONNECTS: usize = HELPERS + limits::HELPERS;

/// How long a summary that was asked for may hold up the loop where its reader is slow.
const SUMMARY_PATIENCE: Nanos = Nanos::from_millis(20);

/// How long the loop rests after poll itself has failed, which must not become a spin.
const POLL_PAUSE: Nanos = Nanos::from_millis(10);

/// The loop and everything it owns.
#[derive(Debug)]
pub struct EventLoop {
    monitor: Monitor,
    config_file: ConfigFile,
    confinement: Confinement,
    /// Where a reload builds the next configuration.
    next: Config,
    resolver: Resolver,
    /// `None`: nothing is logged, as for a single check.
    log: Option<DailyLog>,
    /// `None`: the counts are kept in this process alone.
    ledger_file: Option<LedgerFile>,
    unresolved: Option<Unresolved>,
    /// Another run has taken our place.
    superseded: bool,
    log_failing: bool,
    link_failing: bool,
    keep_failing: bool,
    zone_failing: bool,
    poll_failing: bool,
    signals_failing: bool,
    console: Console,
    signals: Signals,
    clock_watch: Option<ClockChanges>,
    steps: Steps,
    confidence: Confidence,
    /// The day, since 1970, on which old logs were last looked for.
    swept: Option<i64>,
    polls: PollSet,
    /// The connects, in the order of their places in the poll set.
    connections: Vec<Connection>,
    /// Where the connect of each probe slot stands among them, if it has one.
    places: Box<[u16]>,
    /// When poll was last asked: whatever is ready by then has been seen.
    seen: Instant,
    /// Connects made since the answers were last collected.
    batch: usize,
    started: WallTime,
    finished: bool,
    summary: String,
}

impl EventLoop {
    /// Everything that a run needs, with all its memory reserved; what the last run left behind is
    /// in order, and the ticks start now. A loop that is not `logged` writes no reports. It lives as
    /// long as its process, with which the kernel takes back all that it owns.
    pub fn new(
        mut config: Config,
        config_file: ConfigFile,
        span: Span,
        logged: bool,
        mut ledger_file: Option<LedgerFile>,
        mut console: Console,
        signals: Signals,
    ) -> ManuallyDrop<Self> {
        let zone_failing = clocks::read_time_zone(false, &mut console);
        heap::keep_from_helpers();
        let started = clock::wall();
        let steps = Steps::new(clock::since_boot(), started);
        let mut polls = PollSet::new(CONNECTS, limits::PROBES);
        polls.place(SIGNALS, Some(signals.as_fd()));
        // Without it, a clock that is set is noticed at the next boundary.
        let clock_watch = ClockChanges::new().ok();
        polls.place(CLOCK, clock_watch.as_ref().map(AsFd::as_fd));
        console.never_wait();
        let ledger = match &mut ledger_file {
            Some(file) => file.load(&config.targets, started, &mut console),
            None => Ledger::absent(),
        };
        let mut log = logged.then(|| DailyLog::new(config.settings.log_dir, form(&config)));
        if let (Some(log), Some(file)) = (&mut log, &ledger_file) {
            log.lies_beside(file.path());
        }
        let (due, unresolved) = match &mut log {
            Some(log) => {
                let now = Some(started).filter(|started| started.unix >= limits::BUILT);
                recovery::recover(&ledger, log, &config, now, &mut console)
            }
            None => (None, None),
        };
        let owner = process::own();
        if !ledger.is_reported() && ledger.thresholds() != config.settings.thresholds {
            // What is counted must not stand in one row with what was sorted otherwise.
            config.settings.thresholds = ledger.thresholds();
            console.say(
                "configuration",
                format_args!("slow and timeout stay as they were until the log can be written, reload it then"),
            );
            if let Some(log) = &mut log {
                log.change(config.settings.log_dir, form(&config));
            }
        }
        ledger.set_clocks(clock::monotonic(), started);
        ledger.begin_run(owner, started);
        let mut event_loop = ManuallyDrop::new(Self {
            log,
            monitor: Monitor::new(&config, span, ledger, limits::BUILT, clock::monotonic(), started),
            ledger_file,
            unresolved,
            superseded: false,
            config_file,
            confinement: Confinement::default(),
            next: config,
            resolver: Resolver::new(HELPERS),
            log_failing: false,
            link_failing: false,
            keep_failing: false,
            zone_failing,
            poll_failing: false,
            signals_failing: false,
            console,
            signals,
            clock_watch,
            steps,
            confidence: Confidence::new(limits::BUILT),
            swept: None,
            polls,
            connections: Vec::with_capacity(limits::PROBES),
            places: vec![0; limits::PROBES].into(),
            seen: clock::monotonic(),
            batch: 0,
            started,
            finished: false,
            summary: String::with_capacity((limits::TARGETS + 2) * limits::ROW),
        });
        event_loop.allow_descriptors();
        match due {
            Some(Ok(stamp)) => event_loop.tell_of_report(stamp),
            Some(Err((stamp, error))) => event_loop.tell_of_trouble(stamp, error),
            None => event_loop.prepare_log(),
        }
        event_loop.delete_old(started);
        event_loop.warm_up();
        event_loop
    }

    /// What this process has given up, for a reload that would need it.
    pub fn is_confined(&mut self, confinement: Confinement) {
        self.confinement = confinement;
    }

    /// Runs to the end.
    pub fn run(&mut self) {
        while self.turn() {}
    }

    /// One turn: do what is due, then wait for the next thing. Returns false at the end of the run.
    pub fn turn(&mut self) -> bool {
        self.drain();
        if self.finished {
            self.resolver.end(&mut self.polls);
            // Whoever is tired of the last words may end them; what was said before is obeyed.
            while let Ok(Some(_)) = self.signals.next() {}
            signal::unblock();
            return false;
        }
        let deadline = self.monitor.next_deadline().min(self.resolver.next_deadline());
        let now = clock::monotonic();
        self.collect((deadline != Instant::NEVER).then(|| deadline.since(now)));
        true
    }

    /// The decision-making core, for who wants to know how it went.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// The console, for the last words.
    pub fn console(&mut self) -> &mut Console {
        &mut self.console
    }

    /// Does everything that was due when poll was last asked: no deadline passes before the answer
    /// that may be there has been looked for. The core sees one moment for all of it, so that a
    /// drain ends however long it takes; what is measured is stamped where it happens.
    fn drain(&mut self) {
        let now = self.seen;
        self.resolver.shrink(now, &mut self.polls);
        while let Some(action) = self.monitor.poll(now) {
            self.carry_out(action);
            if self.batch >= limits::BATCH {
                self.collect(Some(Nanos::ZERO));
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Lookup(probe, watch) => self.look_up(probe, watch),
            Action::DropLookup(probe) => self.resolver.drop_lookup(&mut self.polls, probe),
            Action::Connect(probe, watch, address) => self.connect(probe, watch, address),
            Action::DropConnect(probe) => self.drop_connect(probe),
            Action::ReadClock => self.read_clock(),
            Action::Report(stamp) => {
                let written = self.report(stamp);
                self.tell(Event::Reported { written });
                if core::mem::take(&mut self.superseded) {
                    self.tell(Event::Stop);
                }
            }
            Action::Round => self.console.dot(),
            Action::SaySkipped(ticks, shortage) => self.console.say(
                "probes",
                format_args!("{} skipped ({shortage}), no target is blamed and probing goes on", Count(ticks, "tick")),
            ),
            Action::SayHeld(wall) => self.tell_of_hold(wall),
            Action::Finish => {
                self.tell_of_the_rest();
                self.finished = true;
            }
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        self.monitor.handle(clock::monotonic(), event);
    }

    fn tell_probe(&mut self, at: Instant, probe: ProbeId, input: Input<'_>) {
        self.monitor.handle(at, Event::Probe(probe, input));
    }

    /// Waits for something to happen, at most so long, and takes in all that has.
    fn collect(&mut self, limit: Option<Nanos>) {
        self.batch = 0;
        let ready = self.polls.wait(limit);
        let now = clock::monotonic();
        match ready {
            Ok(ready) => {
                self.seen = now;
                if ready == 0 {
                    return;
                }
                self.poll_failing = false;
            }
            Err(errno) => {
                // Nothing was looked for, so no deadline passes: nobody is blamed for it.
                if !core::mem::replace(&mut self.poll_failing, true) {
                    self.console.say("poll", format_args!("{}, trying again", sys::describe(errno)));
                }
                self.heed_signals();
                clock::rest(POLL_PAUSE);
                return;
            }
        }
        // Backwards: the entry that takes the place of one that ends has been seen already.
        for place in (CONNECTS..self.polls.len()).rev() {
            let ready = self.polls.ready(place);
            if ready.any() {
                self.end_connect(now, place - CONNECTS, ready.is_connected());
            }
        }
        for index in 0..limits::HELPERS {
            if self.polls.ready(HELPERS + index).any() {
                self.hear(now, index);
            }
        }
        if self.polls.ready(CLOCK).any() {
            self.clock_was_set();
        }
        // What is ready and gives nothing must not become a spin.
        if self.polls.ready(SIGNALS).any() && !self.heed_signals() {
            clock::rest(POLL_PAUSE);
        }
    }

    /// Obeys the signals that have come. Returns whether one had.
    fn heed_signals(&mut self) -> bool {
        let mut any = false;
        loop {
            match self.signals.next() {
                Ok(Some(wish)) => {
                    any = true;
                    self.signals_failing = false;
                    self.obey(wish);
                }
                Ok(None) => return any,
                Err(errno) => {
                    if !core::mem::replace(&mut self.signals_failing, true) {
                        self.console
                            .say("signals", format_args!("cannot be read ({}), trying again", sys::describe(errno)));
                    }
                    return any;
                }
            }
        }
    }

    fn look_up(&mut self, probe: ProbeId, watch: TargetId) {
        let target = self.monitor.target(watch);
        match self.resolver.ask(clock::monotonic(), &mut self.polls, probe, target) {
            Ok(forked) => {
                self.tell(Event::Probe(probe, Input::LookupStarted));
                // A fork takes long enough for others' answers to come in.
                self.batch += if forked { limits::BATCH } else { 1 };
            }
            Err(shortage) => self.tell(Event::Probe(probe, Input::FellShort(shortage))),
        }
    }

    // Apart, as is `reload`: the loop around it would make its constants ready each time.
    #[inline(never)]
    fn hear(&mut self, now: Instant, index: usize) {
        let mut reply = None;
        if let Some((probe, input)) = self.resolver.hear(now, &mut self.polls, index, &mut reply) {
            self.tell_probe(now, probe, input);
        }
    }

    fn clock_was_set(&mut self) {
        if self.clock_watch.as_ref().is_some_and(ClockChanges::was_set) {
            self.read_clock();
        } else {
            self.polls.place(CLOCK, None);
            self.clock_watch = None;
        }
    }

    fn obey(&mut self, wish: Wish) {
        match wish {
            Wish::Stop => self.tell(Event::Stop),
            Wish::Report => self.tell(Event::ReportNow),
            Wish::Summary => self.print_summary(SUMMARY_PATIENCE),
            Wish::Child => self.resolver.reap(),
            Wish::Reload => self.reload(),
        }
    }

    /// Makes room for as many descriptors as the configuration can need, or says that there is
    /// not enough.
    fn allow_descriptors(&mut self) {
        let needed = self.next.in_flight() + (limits::HELPERS + limits::OWN_DESCRIPTORS) as u64;
        match descriptor::raise_descriptor_limit(needed) {
            Ok(limit) if limit >= needed => {}
            Ok(limit) => self.console.say(
                "descriptors",
                format_args!(
                    "{limit} may be open and {needed} can be needed when targets hang, ticks beyond are skipped; raise it with ulimit -n"
                ),
            ),
            Err(errno) => self.console.say(
                "descriptors",
                format_args!("the limit is not known ({}), ticks beyond it are skipped", sys::describe(errno)),
            ),
        }
    }

    fn warm_up(&mut self) {
        if self.next.targets.iter().all(|target| target.literal.is_some()) {
            return;
        }
        if let Err(shortage) = self.resolver.warm_up(clock::monotonic(), &mut self.polls) {
            self.console.say("helpers", format_args!("{shortage}, it is tried again at the next lookup"));
        }
    }
}

fn form(config: &Config) -> Form {
    Form::new(config.settings.thresholds, config.longest_service())
}
