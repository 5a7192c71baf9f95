//! The settings: what a configuration says about all targets, and which values are valid.

use core::fmt;

use super::directive::{Directive, Kind};
use super::keep::Keep;
use super::outcome::Thresholds;
use super::target::Target;
use crate::base::path::{self, Path};
use crate::base::text::Text;
use crate::base::time::Nanos;
use crate::base::{limits, words};

/// How an accepted connection is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Close {
    /// The normal way.
    #[default]
    Fin,
    /// With a reset, which leaves no state on either side (`SO_LINGER` of zero, socket(7)).
    Rst,
}

/// How many probes in a row change the state of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hysteresis {
    /// So many failed ones: it is down.
    pub down_after: u16,
    /// So many good ones: it is up again.
    pub up_after: u16,
}

/// What holds for all targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often each target is probed.
    pub interval: Nanos,
    /// The limits that the time of a phase is sorted by.
    pub thresholds: Thresholds,
    /// How often rows are appended to the daily log.
    pub report: Nanos,
    /// The daily log's directory.
    pub log_dir: Text<{ limits::DIRECTORY }>,
    /// How many daily files are kept, and how many bytes.
    pub keep: Keep,
    /// The ledger's file; a name without a slash is in the log's directory.
    pub ledger: Text<{ limits::DIRECTORY }>,
    /// Whether the times of each report are written to a file of their own.
    pub times: bool,
    /// Whether events are written to a file.
    pub events: bool,
    /// Whether every probe is written to a file.
    pub samples: bool,
    /// Whether events are sent to the system log.
    pub syslog: bool,
    /// After how many failed probes in a row a target is down, and after how many good ones it is up again.
    pub hysteresis: Hysteresis,
    /// Whether the targets' ticks are spread over the interval.
    pub spread: bool,
    /// How connections are closed.
    pub close: Close,
    /// An upper bound of helpers at a time: see [`Config::helpers`].
    pub helpers: u16,
    /// The user that a run becomes after root has started it; [`NO_USER`] if it stays root.
    pub user: Text<{ limits::USER }>,
    /// Whether a run gives up the files and system calls that it does not need.
    pub sandbox: bool,
}

/// The value of `user` for a run that changes no user.
pub const NO_USER: &str = "-";

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self {
            interval: Nanos::from_secs(2),
            thresholds: Thresholds { slow: Nanos::from_secs(1), timeout: Nanos::from_secs(5) },
            report: Nanos::from_secs(300),
            log_dir: Text::new(),
            keep: Keep::ALL,
            ledger: Text::new(),
            times: false,
            events: false,
            samples: false,
            syslog: false,
            hysteresis: Hysteresis { down_after: 3, up_after: 2 },
            spread: false,
            close: Close::Fin,
            helpers: limits::HELPERS as u16,
            user: Text::new(),
            sandbox: true,
        };
        settings.log_dir.push(".");
        settings.ledger.push("tcpmon.ledger");
        settings.user.push(NO_USER);
        settings
    }
}

impl Settings {
    /// Whether somebody wants events.
    pub fn has_events(&self) -> bool {
        self.events || self.syslog
    }

    /// A target's interval: its own, or that of the settings.
    pub fn interval_of(&self, target: &Target) -> Nanos {
        target.interval.unwrap_or(self.interval)
    }

    /// A target's hysteresis: its own, or that of the settings.
    pub fn hysteresis_of(&self, target: &Target) -> Hysteresis {
        let Hysteresis { down_after, up_after } = self.hysteresis;
        Hysteresis {
            down_after: target.down_after.unwrap_or(down_after),
            up_after: target.up_after.unwrap_or(up_after),
        }
    }

    /// The path of the ledger's file.
    pub fn ledger_path(&self) -> Path {
        let ledger = self.ledger.as_str();
        path::within(if words::contains(ledger, b'/') { "" } else { self.log_dir.as_str() }, ledger)
    }

    /// A setting as a configuration writes it; the ledger as a whole path.
    pub fn value(&self, directive: Directive) -> Path {
        let switch = |on: bool| -> &dyn fmt::Display { if on { &"on" } else { &"off" } };
        let ledger;
        let value: &dyn fmt::Display = match directive {
            Directive::Interval => &self.interval,
            Directive::Timeout => &self.thresholds.timeout,
            Directive::Slow => &self.thresholds.slow,
            Directive::Report => &self.report,
            Directive::LogDir => &self.log_dir,
            Directive::Keep => &self.keep,
            Directive::Ledger => {
                ledger = self.ledger_path();
                &ledger
            }
            Directive::Times => switch(self.times),
            Directive::Events => switch(self.events),
            Directive::Samples => switch(self.samples),
            Directive::Syslog => switch(self.syslog),
            Directive::DownAfter => &self.hysteresis.down_after,
            Directive::UpAfter => &self.hysteresis.up_after,
            Directive::Spread => switch(self.spread),
            Directive::Close if self.close == Close::Rst => &"rst",
            Directive::Close => &"fin",
            Directive::Helpers => &self.helpers,
            Directive::User => &self.user,
            Directive::Sandbox => switch(self.sandbox),
        };
        Text::format(format_args!("{value}"))
    }

    /// Sets a setting to a value as a configuration writes it. Returns false and changes nothing if the value is invalid.
    pub(super) fn set(&mut self, directive: Directive, value: &str) -> bool {
        match directive {
            Directive::Interval => set_duration(&mut self.interval, directive, value),
            Directive::Timeout => set_duration(&mut self.thresholds.timeout, directive, value),
            Directive::Slow => set_duration(&mut self.thresholds.slow, directive, value),
            Directive::Report => set_duration(&mut self.report, directive, value),
            Directive::LogDir => is_path(value) && self.log_dir.set(value),
            Directive::Keep => Keep::parse(value).map(|keep| self.keep = keep).is_some(),
            Directive::Ledger => {
                // A name with a suffix, as of a damaged ledger, still fits.
                let fits = words::contains(value, b'/') || value.len() <= limits::LEDGER_NAME;
                fits && !value.ends_with('/') && is_path(value) && self.ledger.set(value)
            }
            Directive::Times => set_switch(&mut self.times, value),
            Directive::Events => set_switch(&mut self.events, value),
            Directive::Samples => set_switch(&mut self.samples, value),
            Directive::Syslog => set_switch(&mut self.syslog, value),
            Directive::DownAfter => set_count(&mut self.hysteresis.down_after, directive, value),
            Directive::UpAfter => set_count(&mut self.hysteresis.up_after, directive, value),
            Directive::Spread => set_switch(&mut self.spread, value),
            Directive::Close => {
                self.close = match value {
                    "rst" => Close::Rst,
                    "fin" => Close::Fin,
                    _ => return false,
                };
                true
            }
            Directive::Helpers => set_count(&mut self.helpers, directive, value),
            Directive::User => {
                let fits = |byte: u8| byte.is_ascii_graphic() && byte != b':';
                !value.is_empty() && value.bytes().all(fits) && self.user.set(value)
            }
            Directive::Sandbox => set_switch(&mut self.sandbox, value),
        }
    }

    /// How many probes of a target can be in flight: a new one starts every interval, and each lasts at
    /// most two phases.
    pub fn in_flight(&self, target: &Target) -> u64 {
        self.thresholds.timeout.plus(self.thresholds.timeout).cover(self.interval_of(target))
    }
}

/// A whole configuration: settings and targets.
#[derive(Debug)]
pub struct Config {
    /// What holds for all targets.
    pub settings: Settings,
    /// The targets in the order of a report; never more than [`limits::TARGETS`].
    pub targets: Vec<Target>,
    /// How many helpers this box has memory for.
    pub room: u16,
    /// The line in which each setting was set, 0 for the command line; `None` if it has its default.
    pub set: [Option<u32>; Directive::ALL.len()],
    /// The line of each target, 0 for the command line.
    pub lines: Vec<u32>,
}

impl Config {
    /// No targets, and the default settings. The only allocations of a configuration.
    pub fn new() -> Self {
        Self {
            settings: Settings::default(),
            targets: Vec::with_capacity(limits::TARGETS),
            room: limits::HELPERS as u16,
            set: [None; Directive::ALL.len()],
            lines: Vec::with_capacity(limits::TARGETS),
        }
    }

    /// The length of the longest service in characters.
    pub fn longest_service(&self) -> usize {
        self.targets.iter().map(|target| target.service.characters()).max().unwrap_or(0)
    }

    /// How many probes can be in flight.
    pub fn in_flight(&self) -> u64 {
        self.targets.iter().map(|target| self.settings.in_flight(target)).sum()
    }

    /// How many lookups can be under way while no name server answers: a new one starts every interval, and each lasts
    /// at most one phase.
    pub fn lookups(&self) -> u64 {
        let names = self.targets.iter().filter(|target| target.literal.is_none());
        names.map(|target| self.settings.thresholds.timeout.cover(self.settings.interval_of(target))).sum()
    }

    /// The most helpers at a time: as many as can be needed, within the bounds of the settings and of the memory.
    pub fn helpers(&self) -> u16 {
        let most = self.settings.helpers.min(self.room).max(1);
        self.lookups().min(most.into()) as u16
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

// The texts below have these numbers.
const _: () = assert!(limits::DIRECTORY == 320 && limits::LEDGER_NAME == 32 && limits::USER == 32);
const _: () = assert!(limits::KEEP == 3650 && limits::KEEP_KB.0 == 64 && limits::KEEP_KB.1 == 1024 << 20);

/// Displayed as what is wrong with a value of a directive, and what is right.
pub(super) struct Wrong<'a>(pub Directive, pub &'a str);

impl fmt::Display for Wrong<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            Kind::Duration((least, most)) | Kind::Seconds((least, most)) => match Nanos::parse(self.1) {
                None => f.write_str(NO_DURATION),
                Some(value) if value < *least || value > *most => {
                    write!(f, "is out of range, use {least} to {most}")
                }
                Some(_) => f.write_str("has a fraction of a second, use whole seconds"),
            },
            Kind::Directory | Kind::File if path::is_for_shells(self.1) => f.write_str(path::FOR_SHELLS),
            Kind::Directory => f.write_str("is no directory, write a path of 1 to 320 bytes"),
            Kind::Keep => match words::number(self.1, limits::KEEP.into()) {
                Some(days) if days > 0 => write!(f, "has no unit, write {days}d"),
                Some(_) | None => f.write_str(
                    "is no number of days or bytes, write one like 14d, 8M or 14d 8M (1d to 3650d, 64k to 1024G), or all",
                ),
            },
            Kind::File => {
                f.write_str("is no file, write a path of 1 to 320 bytes, or a name of 1 to 32 for one in log_dir")
            }
            Kind::Switch => f.write_str("is neither \"on\" nor \"off\", write one of them"),
            Kind::Close => f.write_str("is neither \"rst\" nor \"fin\", write one of them"),
            Kind::Count(most) => write!(f, "is out of range, use 1 to {most}"),
            Kind::User => f.write_str("is no user, write a name of 1 to 32 bytes, or - to change no user"),
        }
    }
}

/// What is wrong with a text that is no duration, and what is right.
pub(super) const NO_DURATION: &str = "is no duration, write a number and its unit, like 500ms, 2s, 5m or 1h";

pub(super) fn set_duration(setting: &mut Nanos, directive: Directive, value: &str) -> bool {
    let kind = directive.kind();
    let (Kind::Duration((least, most)) | Kind::Seconds((least, most))) = kind else { return false };
    let Some(value) = Nanos::parse(value) else { return false };
    let is_whole = value.subsec_nanos() == 0 || matches!(kind, Kind::Duration(_));
    let fits = value >= *least && value <= *most && is_whole;
    if fits {
        *setting = value;
    }
    fits
}

pub(super) fn set_count(setting: &mut u16, directive: Directive, value: &str) -> bool {
    let Kind::Count(most) = directive.kind() else { return false };
    let count = words::count(value, most.into());
    count.map(|count| *setting = count as u16).is_some()
}

fn set_switch(setting: &mut bool, value: &str) -> bool {
    match value {
        "on" => *setting = true,
        "off" => *setting = false,
        _ => return false,
    }
    true
}

fn is_path(value: &str) -> bool {
    !value.is_empty() && !path::is_for_shells(value) && words::is_clean(value, b'\0')
}
