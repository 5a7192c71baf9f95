//! The loop: owns the descriptors, waits, stamps the time, hands facts to the monitor and carries out what it asks
//! for. It decides nothing.

mod clocks;
mod connects;
mod reload;
mod reports;

pub(crate) use clocks::read_time_zone;

use core::mem::ManuallyDrop;
use std::os::fd::AsFd;

use clocks::Clocks;
use connects::Connects;
use reports::Reports;

use crate::base::limits;
use crate::base::said::Said;
use crate::base::text::Count;
use crate::base::time::{Instant, Nanos, WallTime};
use crate::core::monitor::{Action, Event, Monitor, Span, TargetId};
use crate::core::probe::{Input, ProbeId};
use crate::model::settings::Config;
use crate::model::target::Address;
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::shell::ledger_file::LedgerFile;
use crate::shell::resolver::Resolver;
use crate::shell::sandbox::Confinement;
use crate::sys;
use crate::sys::poll::{Owner, PollSet, Ready};
use crate::sys::signal::{self, Signals, Wish};
use crate::sys::{clock, descriptor, heap, process};

/// How long a summary that was asked for may hold up the loop if its reader is slow.
const SUMMARY_PATIENCE: Nanos = Nanos::from_millis(20);

/// How long the loop rests after poll itself has failed, which must not become a spin.
const POLL_PAUSE: Nanos = Nanos::from_millis(10);

/// What a run begins with.
#[derive(Debug)]
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// Where it comes from, for a reload.
    pub config_file: ConfigFile,
    /// When the run ends by itself.
    pub span: Span,
    /// `None`: the run keeps nothing and writes no reports, as for a single check.
    pub ledger_file: Option<LedgerFile>,
    /// Where messages go.
    pub console: Console,
    /// How the run is told what to do.
    pub signals: Signals,
}

/// The loop and everything it owns.
#[derive(Debug)]
pub struct EventLoop {
    monitor: Monitor,
    config_file: ConfigFile,
    confinement: Confinement,
    /// Where a reload builds the next configuration.
    next: Config,
    console: Console,
    signals: Signals,
    polls: PollSet,
    helpers: Resolver,
    connects: Connects,
    clocks: Clocks,
    reports: Reports,
    poll_trouble: Said,
    signal_trouble: Said,
    /// When poll was last asked: whatever was ready by then has been seen.
    seen: Instant,
    /// Attempts started since the answers were last collected.
    batch: usize,
    finished: bool,
}

impl EventLoop {
    /// Everything that a run needs, with all its memory reserved. What the last run left behind is in order, and the
    /// ticks start now. The loop lives as long as its process: the kernel frees all that it owns.
    pub fn new(start: Start) -> ManuallyDrop<Self> {
        let Start { mut config, config_file, span, ledger_file, mut console, signals } = start;
        let mut time_zone = Said::default();
        read_time_zone(&mut time_zone, &mut console);
        heap::keep_from_helpers();
        let started = clock::wall();
        let mut polls = PollSet::new();
        polls.insert(Owner::Signals, signals.as_fd());
        let clocks = Clocks::new(&mut polls, started, time_zone);
        console.never_wait();
        let (reports, ledger, overdue) = Reports::open(ledger_file, &mut config, started, &mut console);
        ledger.set_clocks(clock::monotonic(), started);
        ledger.begin_run(process::own(), started);
        let mut event_loop = ManuallyDrop::new(Self {
            monitor: Monitor::new(&config, span, ledger, limits::BUILT, clock::monotonic(), started),
            config_file,
            confinement: Confinement::default(),
            console,
            signals,
            polls,
            helpers: Resolver::new(limits::HELPERS),
            connects: Connects::new(&config.settings),
            clocks,
            reports,
            next: config,
            poll_trouble: Said::default(),
            signal_trouble: Said::default(),
            seen: clock::monotonic(),
            batch: 0,
            finished: false,
        });
        event_loop.allow_descriptors();
        let EventLoop { reports, monitor, console, .. } = &mut *event_loop;
        reports.begin(overdue, started, monitor, console);
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
            self.helpers.end(&mut self.polls);
            // Signals that came before this are obeyed. From here on a signal may end the last words.
            while let Ok(Some(_)) = self.signals.next() {}
            signal::unblock();
            return false;
        }
        let deadline = self.monitor.next_deadline().min(self.helpers.next_deadline());
        let now = clock::monotonic();
        self.collect((deadline != Instant::NEVER).then(|| deadline.since(now)));
        true
    }

    /// The core, for the caller that shows how a run went.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// The console, for the last words.
    pub fn console(&mut self) -> &mut Console {
        &mut self.console
    }

    /// Prints the table of the whole run, in the log's form; waits for a slow reader so long.
    pub fn print_summary(&mut self, patience: Nanos) {
        self.reports.print_summary(&self.monitor, &mut self.console, patience);
    }

    /// Does everything that was due when poll was last asked: no deadline passes before a possible answer has been
    /// looked for. The core sees one moment for all of it, so that a drain ends however long it takes; what
    /// is measured is stamped where it happens.
    fn drain(&mut self) {
        let now = self.seen;
        self.helpers.shrink(now, &mut self.polls);
        while let Some(action) = self.monitor.poll(now) {
            self.carry_out(action);
            if self.batch >= limits::BATCH {
                self.collect(Some(Nanos::ZERO));
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Lookup(probe, target) => self.look_up(probe, target),
            Action::DropLookup(probe) => self.helpers.drop_lookup(&mut self.polls, probe),
            Action::Connect(probe, target, address) => self.connect(probe, target, address),
            Action::DropConnect(probe) => self.connects.drop(&mut self.polls, probe),
            Action::ReadClock => self.read_clock(),
            Action::Report(stamp) => self.report(stamp),
            Action::Round => self.console.dot(),
            Action::SaySkipped(ticks, shortage) => self.console.say(
                "probes",
                format_args!("{} skipped ({shortage}), no target is blamed and probing goes on", Count(ticks, "tick")),
            ),
            Action::SayHeld(wall) => self.say_held(wall),
            Action::Finish => {
                self.say_left();
                self.finished = true;
            }
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        self.monitor.handle(clock::monotonic(), event);
    }

    /// Waits for something to happen, at most so long, and hands over all that has.
    fn collect(&mut self, limit: Option<Nanos>) {
        self.batch = 0;
        let ready = self.polls.wait(limit);
        let now = clock::monotonic();
        match ready {
            Ok(0) => self.seen = now,
            Ok(_) => {
                self.seen = now;
                self.poll_trouble = Said::default();
                // Backwards: see `PollSet::ready`. The signals are the first entry, and so obeyed last.
                for at in (0..self.polls.len()).rev() {
                    if let Some((owner, ready)) = self.polls.ready(at) {
                        self.hand_over(now, at, owner, ready);
                    }
                }
            }
            Err(errno) => {
                // Nothing was looked for, so no deadline passes, and nothing is blamed.
                if self.poll_trouble.begins() {
                    self.console.say("poll", format_args!("{}, trying again", sys::describe(errno)));
                }
                self.heed_signals();
                clock::rest(POLL_PAUSE);
            }
        }
    }

    /// Hands over what the descriptor at this position of the poll set has to say.
    fn hand_over(&mut self, now: Instant, at: usize, owner: Owner, ready: Ready) {
        match owner {
            Owner::Attempt(slot) => {
                self.polls.remove_at(at);
                if let Some((probe, attempt)) = self.connects.end(now, slot, ready) {
                    self.monitor.handle(now, Event::AttemptEnded(probe, attempt));
                }
            }
            Owner::Helper(number) => self.hear(now, number),
            Owner::Clock if self.clocks.was_set(&mut self.polls) => self.read_clock(),
            Owner::Clock => {}
            // A descriptor that is ready and gives nothing must not become a spin.
            Owner::Signals if !self.heed_signals() => clock::rest(POLL_PAUSE),
            Owner::Signals => {}
        }
    }

    /// Obeys the signals that have come. Returns whether one had.
    fn heed_signals(&mut self) -> bool {
        let mut any = false;
        loop {
            match self.signals.next() {
                Ok(Some(wish)) => {
                    any = true;
                    self.signal_trouble = Said::default();
                    self.obey(wish);
                }
                Ok(None) => return any,
                Err(errno) => {
                    if self.signal_trouble.begins() {
                        let why = sys::describe(errno);
                        self.console.say("signals", format_args!("cannot be read ({why}), trying again"));
                    }
                    return any;
                }
            }
        }
    }

    fn obey(&mut self, wish: Wish) {
        match wish {
            Wish::Stop => self.tell(Event::Stop),
            Wish::Report => self.tell(Event::ReportNow),
            Wish::Summary => self.print_summary(SUMMARY_PATIENCE),
            Wish::Child => self.helpers.reap(),
            Wish::Reload => self.reload(),
        }
    }

    fn look_up(&mut self, probe: ProbeId, target: TargetId) {
        let target = self.monitor.target(target);
        match self.helpers.ask(clock::monotonic(), &mut self.polls, probe, target) {
            Ok(forked) => {
                self.tell(Event::Probe(probe, Input::LookupStarted));
                // A fork takes long enough for the answers of others to come in.
                self.batch += if forked { limits::BATCH } else { 1 };
            }
            Err(shortage) => self.tell(Event::Probe(probe, Input::FellShort(shortage))),
        }
    }

    #[inline(never)] // LLVM would hoist its constants into the caller's loop.
    fn hear(&mut self, now: Instant, number: u16) {
        let mut reply = None;
        if let Some((probe, input)) = self.helpers.hear(now, &mut self.polls, number, &mut reply) {
            self.monitor.handle(now, Event::Probe(probe, input));
        }
    }

    fn connect(&mut self, probe: ProbeId, target: TargetId, address: Address) {
        self.batch += 1;
        let target = self.monitor.target(target);
        let (started, end) = self.connects.start(&mut self.polls, probe, target, address);
        self.monitor.handle(started, Event::Probe(probe, Input::ConnectStarted));
        if let Some(attempt) = end {
            self.monitor.handle(attempt.seen, Event::AttemptEnded(probe, attempt));
        }
    }

    fn read_clock(&mut self) {
        let wall = self.clocks.read(&mut self.console);
        self.tell(Event::Clock(wall));
    }

    fn report(&mut self, stamp: WallTime) {
        let superseded = self.reports.check_ledger(&mut self.monitor, &mut self.console);
        let written = self.reports.write(stamp, &mut self.monitor, &mut self.console);
        self.tell(Event::Reported { written });
        if superseded {
            self.tell(Event::Stop);
        }
    }

    /// Reports wait for the clock, which reads this, to be set.
    fn say_held(&mut self, wall: WallTime) {
        if self.reports.are_logged() {
            let most = limits::CLOCK_WAIT.secs() / 60;
            self.console.say(
                "clock",
                format_args!(
                    "{wall} is before this program was built, reports wait for it to be set, {most} minutes at most"
                ),
            );
        }
    }

    /// The run ends. Says what is left for the next run because the clock was not set.
    fn say_left(&mut self) {
        let left = self.monitor.unreported();
        let is_kept = self.monitor.ledger().is_present();
        if self.reports.are_logged() && self.monitor.is_held() && is_kept && left > 0 {
            let left = Count(left, "probe");
            self.console.say(
                "clock",
                format_args!(
                    "was not set, the run ends without its last report of {left}; the ledger keeps it for the next run"
                ),
            );
        }
    }

    /// Makes room for as many descriptors as the configuration can need, or says that there is not enough.
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

    /// Forks the first helper, if a target has a name to look up.
    fn warm_up(&mut self) {
        if self.next.targets.iter().all(|target| target.literal.is_some()) {
            return;
        }
        if let Err(shortage) = self.helpers.warm_up(clock::monotonic(), &mut self.polls) {
            self.console.say("helpers", format_args!("{shortage}, it is tried again at the next lookup"));
        }
    }
}
