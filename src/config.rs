//! Configuration: text to [`Config`]. Every mistake is found in one run and told to the caller,
//! one line each: where, what is wrong, and what would be right.
//!
//! A configuration is built in the place the caller gives, so that re-reading one needs no heap.

mod directive;

use core::fmt;
use core::net::IpAddr;

pub use directive::Directive;

use crate::keep::Keep;
use crate::limits;
use crate::path::{self, Path};
use crate::tally::Thresholds;
use crate::target::{Family, Target};
use crate::text::Text;
use crate::time::Nanos;

/// The sample configuration: what `tcpmon sample` prints, and the source of the targets that are
/// watched when there are none.
pub const SAMPLE: &str = include_str!("tcpmon.conf");

/// How a connection that was accepted is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Close {
    /// The normal way.
    #[default]
    Fin,
    /// With a reset, which leaves no state on either side (`SO_LINGER` of zero, socket(7)).
    Rst,
}

/// What holds for all targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often each target is probed.
    pub interval: Nanos,
    /// The limits that sort a phase's time.
    pub thresholds: Thresholds,
    /// How often rows are appended to the daily log.
    pub report: Nanos,
    /// The daily log's directory.
    pub log_dir: Text<{ limits::DIRECTORY }>,
    /// How long old logs are kept.
    pub keep: Keep,
    /// The ledger's file; one without a slash is in the log's directory.
    pub ledger: Text<{ limits::DIRECTORY }>,
    /// Whether the targets' ticks are spread over the interval.
    pub spread: bool,
    /// How connections are closed.
    pub close: Close,
    /// Most helpers at a time.
    pub helpers: u8,
    /// The user that a run which root has started becomes; [`NOBODY`] where it stays root.
    pub user: Text<{ limits::USER }>,
    /// Whether a run closes to itself what it does not need.
    pub sandbox: bool,
}

/// In place of a user.
pub const NOBODY: &str = "-";

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Nanos::from_secs(2),
            thresholds: Thresholds { slow: Nanos::from_secs(1), timeout: Nanos::from_secs(5) },
            report: Nanos::from_secs(300),
            log_dir: Text::format(format_args!(".")),
            keep: Keep::ALL,
            ledger: Text::format(format_args!("tcpmon.ledger")),
            spread: false,
            close: Close::Fin,
            helpers: limits::HELPERS as u8,
            user: Text::format(format_args!("{NOBODY}")),
            sandbox: true,
        }
    }
}

impl Settings {
    /// A target's interval: its own, or the one for all.
    pub fn interval_of(&self, target: &Target) -> Nanos {
        target.interval.unwrap_or(self.interval)
    }

    /// The ledger's file.
    pub fn ledger_path(&self) -> Path {
        match self.ledger.as_str() {
            ledger if ledger.contains('/') => Text::format(format_args!("{ledger}")),
            ledger => path::within(self.log_dir.as_str(), ledger),
        }
    }

    /// A setting as a configuration has it.
    pub fn value(&self, directive: Directive) -> Path {
        match directive {
            Directive::Interval => Text::format(format_args!("{}", self.interval)),
            Directive::Timeout => Text::format(format_args!("{}", self.thresholds.timeout)),
            Directive::Slow => Text::format(format_args!("{}", self.thresholds.slow)),
            Directive::Report => Text::format(format_args!("{}", self.report)),
            Directive::LogDir => Text::format(format_args!("{}", self.log_dir)),
            Directive::Keep => Text::format(format_args!("{}", self.keep)),
            Directive::Ledger => self.ledger_path(),
            Directive::Spread => Text::format(format_args!("{}", if self.spread { "on" } else { "off" })),
            Directive::Close => Text::format(format_args!("{}", if self.close == Close::Rst { "rst" } else { "fin" })),
            Directive::Helpers => Text::format(format_args!("{}", self.helpers)),
            Directive::User => Text::format(format_args!("{}", self.user)),
            Directive::Sandbox => Text::format(format_args!("{}", if self.sandbox { "on" } else { "off" })),
        }
    }

    /// How many probes of a target can be in flight: a new one every interval, each for at most
    /// two phases.
    pub fn in_flight(&self, target: &Target) -> u64 {
        self.thresholds.timeout.times(2).cover(self.interval_of(target))
    }
}

/// Targets and settings, complete.
#[derive(Debug)]
pub struct Config {
    /// What holds for all targets.
    pub settings: Settings,
    /// The targets in their order; never more than [`limits::TARGETS`].
    pub targets: Vec<Target>,
}

impl Config {
    /// No targets, and the default settings. The only allocation of a configuration.
    pub fn new() -> Self {
        Self { settings: Settings::default(), targets: Vec::with_capacity(limits::TARGETS) }
    }

    /// Characters of the longest service.
    pub fn longest_service(&self) -> usize {
        self.targets.iter().map(|target| target.service.as_str().chars().count()).max().unwrap_or(0)
    }

    /// How many probes can be in flight.
    pub fn in_flight(&self) -> u64 {
        self.targets.iter().map(|target| self.settings.in_flight(target)).fold(0, u64::saturating_add)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a piece of configuration stands.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// `--interval` or a target on the command line.
    CommandLine,
    /// A line of the file, counted from 1; line 0 is the file as a whole.
    File(&'a str, u32),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::CommandLine => f.write_str("command line"),
            Place::File(name, 0) => f.write_str(name),
            Place::File(name, line) => write!(f, "{name}:{line}"),
        }
    }
}

/// Builds a configuration from the command line and a file, in this order: a setting of the
/// command line wins over the file's.
pub struct Reader<'a> {
    config: &'a mut Config,
    tell: &'a mut dyn FnMut(fmt::Arguments<'_>),
    mistakes: usize,
    set: [Option<Place<'a>>; Directive::ALL.len()],
    /// Settings whose value was wrong: what is in force for them says nothing.
    wrong: [bool; Directive::ALL.len()],
    last: Place<'a>,
}

impl<'a> Reader<'a> {
    /// Starts anew in `config`. `tell` gets every mistake, a line without its newline.
    pub fn new(config: &'a mut Config, tell: &'a mut dyn FnMut(fmt::Arguments<'_>)) -> Self {
        config.settings = Settings::default();
        config.targets.clear();
        Self {
            config,
            tell,
            mistakes: 0,
            set: [None; Directive::ALL.len()],
            wrong: [false; Directive::ALL.len()],
            last: Place::CommandLine,
        }
    }

    /// A setting of the command line.
    pub fn option(&mut self, directive: Directive, value: &str) {
        self.set_one(Place::CommandLine, directive, value);
    }

    /// A target of the command line: `SERVICE=HOST:PORT`, or `HOST:PORT` where the host is the
    /// label too; options of the target may follow after blanks.
    pub fn argument(&mut self, argument: &str) {
        let (service, rest) = match argument.split_once('=') {
            Some((service, rest)) => (Some(service), rest),
            None => (None, argument),
        };
        let mut words = rest.split_whitespace();
        let place = words.next().unwrap_or_default();
        let Some((host, port)) =
            place.rsplit_once(':').filter(|(host, _)| host.starts_with('[') || !host.contains(':'))
        else {
            return self.tell(
                Place::CommandLine,
                format_args!(
                    "target \"{argument}\" has no port, write SERVICE=HOST:PORT, with an IPv6 address in brackets"
                ),
            );
        };
        self.target(Place::CommandLine, service.unwrap_or(host), host, port, words);
    }

    /// A whole file. `name` is how messages call it.
    pub fn file(&mut self, name: &'a str, content: &[u8]) {
        self.last = Place::File(name, 0);
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let place = Place::File(name, number as u32 + 1);
            match core::str::from_utf8(line) {
                Ok(line) => self.line(place, line.strip_suffix('\r').unwrap_or(line)),
                Err(_) => self.tell(place, format_args!("this line is not UTF-8, save the file as UTF-8")),
            }
        }
    }

    /// A mistake that was found elsewhere, such as a file that cannot be read.
    pub fn mistake(&mut self, what: fmt::Arguments<'_>) {
        self.mistakes += 1;
        (self.tell)(what);
    }

    /// Looks for the user that is to be taken. Gives what was found.
    pub fn user<T>(&mut self, find: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let name = self.config.settings.user;
        if name.as_str() == NOBODY || self.is_wrong(&[Directive::User]) {
            return None;
        }
        let found = find(name.as_str());
        if found.is_none() {
            let place = self.place_of(&[Directive::User]);
            self.tell(place, format_args!("user \"{name}\" is not in /etc/passwd, write a name that is there"));
        }
        found
    }

    /// The targets of the sample, where there are none.
    pub fn default_targets(&mut self) {
        let (settings, set) = (self.config.settings, self.set);
        self.file("sample", SAMPLE.as_bytes());
        (self.config.settings, self.set) = (settings, set);
    }

    /// Checks what only the whole shows. Returns how many mistakes there were.
    pub fn finish(mut self) -> usize {
        let Settings { thresholds: Thresholds { slow, timeout }, interval, .. } = self.config.settings;
        if slow >= timeout && !self.is_wrong(&[Directive::Slow, Directive::Timeout]) {
            let place = self.place_of(&[Directive::Slow, Directive::Timeout]);
            self.tell(
                place,
                format_args!("slow {slow} is not below timeout {timeout}, a slow phase would have failed"),
            );
        }
        if self.config.targets.is_empty() && self.mistakes == 0 {
            self.tell(self.last, format_args!("no target, add a line such as: target web www.example.com 443"));
        }
        let needed = self.config.in_flight();
        if needed > limits::IN_FLIGHT as u64 && !self.is_wrong(&[Directive::Interval, Directive::Timeout]) {
            let targets = self.config.targets.len();
            let place = self.place_of(&[Directive::Interval, Directive::Timeout]);
            self.tell(
                place,
                format_args!(
                    "{targets} targets at interval {interval} and timeout {timeout} need {needed} probes in flight, \
                     {} fit: use a longer interval, a shorter timeout or fewer targets",
                    limits::IN_FLIGHT
                ),
            );
        }
        self.mistakes
    }

    fn line(&mut self, place: Place<'a>, line: &str) {
        let line = without_comment(line).trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        if word.is_empty() {
            return;
        }
        if word == "target" {
            let mut words = rest.split_whitespace();
            return match (words.next(), words.next(), words.next()) {
                (Some(service), Some(host), Some(port)) => self.target(place, service, host, port, words),
                _ => self.tell(place, format_args!("a target needs three words, write: target SERVICE HOST PORT")),
            };
        }
        match Directive::ALL.into_iter().find(|directive| directive.name() == word) {
            Some(directive) => self.set_one(place, directive, rest),
            None => self.tell(
                place,
                format_args!(
                    "unknown directive \"{word}\", known are: interval timeout slow report log_dir keep ledger spread close helpers user sandbox target"
                ),
            ),
        }
    }

    fn set_one(&mut self, place: Place<'a>, directive: Directive, value: &str) {
        let mut scratch = self.config.settings;
        if let Err(error) = apply(&mut scratch, directive, value) {
            self.wrong[directive as usize] = true;
            return self.tell(place, format_args!("{} \"{value}\" {error}", directive.name()));
        }
        match (self.set[directive as usize], place) {
            (Some(Place::CommandLine), Place::File(..)) => {}
            (Some(earlier), _) => self.tell(
                place,
                format_args!("{} is set a second time, keep one: it was set by {earlier}", directive.name()),
            ),
            (None, _) => {
                self.set[directive as usize] = Some(place);
                self.config.settings = scratch;
            }
        }
    }

    fn target<'w>(
        &mut self,
        place: Place<'a>,
        service: &str,
        host: &str,
        port: &str,
        mut options: impl Iterator<Item = &'w str>,
    ) {
        let before = self.mistakes;
        // A port that is no number is as wrong as port 0.
        let port = if port.bytes().all(|b| b.is_ascii_digit()) { port.parse().unwrap_or(0) } else { 0 };
        // Each part is tried with others that are right, so that every mistake is told.
        let tries =
            [Target::new(service, "host", 1), Target::new("service", host, 1), Target::new("service", "host", port)];
        for error in tries.iter().filter_map(|result| result.as_ref().err()) {
            self.tell(place, format_args!("target \"{service}\" at \"{host}\": {error}"));
        }
        let [with_service, with_host, _] = tries;
        let target = Target::new(service, host, port).or(with_host).or(with_service);
        let Ok(mut target) = target.or_else(|_| Target::new("service", "host", 1)) else { return };
        while let Some(option) = options.next() {
            self.target_option(place, service, &mut target, option, &mut options);
        }
        if self.mistakes == before
            && let Some(error) = contradiction(&target)
        {
            self.tell(place, format_args!("target \"{service}\": {error}"));
        }
        if self.mistakes > before {
            return;
        }
        if self.config.targets.len() == limits::TARGETS {
            self.tell(place, format_args!("target \"{service}\" is one too many, at most {} fit", limits::TARGETS));
        } else {
            self.config.targets.push(target);
        }
    }

    fn target_option<'w>(
        &mut self,
        place: Place<'a>,
        service: &str,
        target: &mut Target,
        option: &str,
        values: &mut impl Iterator<Item = &'w str>,
    ) {
        let mut value = || values.next().unwrap_or_default();
        match option {
            "inet" | "inet6" => {
                let family = if option == "inet" { Family::Inet } else { Family::Inet6 };
                if target.family != Family::Any && target.family != family {
                    self.tell(place, format_args!("target \"{service}\" asks for inet and inet6, keep one"));
                }
                target.family = family;
            }
            "source" => {
                let value = value();
                target.source = value.parse().ok();
                if target.source.is_none() {
                    self.tell(
                        place,
                        format_args!(
                            "target \"{service}\": source \"{value}\" is no IP address, write one of this box's own"
                        ),
                    );
                }
            }
            "device" => {
                let value = value();
                match Text::copy(value).filter(|name| !name.is_empty() && !value.contains(|c: char| c == '/' || c.is_control())) {
                    Some(name) => target.device = name,
                    None => self.tell(
                        place,
                        format_args!(
                            "target \"{service}\": device \"{value}\" is no network device, write a name of 1 to {} bytes like eth0",
                            limits::DEVICE
                        ),
                    ),
                }
            }
            "interval" => {
                let value = value();
                match bounded(value, limits::INTERVAL) {
                    Ok(interval) => target.interval = Some(interval),
                    Err(error) => self.tell(place, format_args!("target \"{service}\": interval \"{value}\" {error}")),
                }
            }
            _ => self.tell(
                place,
                format_args!(
                    "target \"{service}\": unknown option \"{option}\", known are: inet, inet6, source ADDRESS, device NAME, interval DURATION"
                ),
            ),
        }
    }

    fn is_wrong(&self, directives: &[Directive]) -> bool {
        directives.iter().any(|directive| self.wrong[*directive as usize])
    }

    fn place_of(&self, directives: &[Directive]) -> Place<'a> {
        directives.iter().find_map(|directive| self.set[*directive as usize]).unwrap_or(self.last)
    }

    fn tell(&mut self, place: Place<'_>, what: fmt::Arguments<'_>) {
        self.mistakes += 1;
        (self.tell)(format_args!("{place}: {what}"));
    }
}

/// What is wrong with a value, and what would be right.
enum ValueError {
    NoDuration,
    OutOfRange(Nanos, Nanos),
    NotWhole,
    NoDirectory,
    NoDays,
    NoFile,
    NotOneOf(&'static str, &'static str),
    NoCount(usize),
    NoUser,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueError::NoDuration => f.write_str("is no duration, write one like 500ms, 2s, 5m or 1h"),
            ValueError::OutOfRange(least, most) => write!(f, "is out of range, use {least} to {most}"),
            ValueError::NotWhole => f.write_str("has a fraction of a second, use whole seconds"),
            ValueError::NoDirectory => {
                write!(f, "is no directory, write a path of 1 to {} bytes", limits::DIRECTORY)
            }
            ValueError::NoDays => write!(f, "is no number of days, write 1d to {}d, or all", limits::KEEP),
            ValueError::NoFile => write!(
                f,
                "is no file, write a path of 1 to {} bytes, or a name of 1 to {} for one in log_dir",
                limits::DIRECTORY,
                limits::LEDGER_NAME
            ),
            ValueError::NotOneOf(a, b) => write!(f, "is neither \"{a}\" nor \"{b}\", write one of them"),
            ValueError::NoUser => {
                write!(f, "is no user, write a name of 1 to {} bytes, or {NOBODY} for whoever starts it", limits::USER)
            }
            ValueError::NoCount(most) => write!(f, "is out of range, use 1 to {most}"),
        }
    }
}

fn apply(settings: &mut Settings, directive: Directive, value: &str) -> Result<(), ValueError> {
    match directive {
        Directive::Interval => settings.interval = bounded(value, limits::INTERVAL)?,
        Directive::Timeout => settings.thresholds.timeout = bounded(value, limits::TIMEOUT)?,
        Directive::Slow => settings.thresholds.slow = bounded(value, (Nanos::from_millis(1), limits::TIMEOUT.1))?,
        Directive::Report => {
            let report = bounded(value, limits::REPORT)?;
            if report.subsec_nanos() != 0 {
                return Err(ValueError::NotWhole);
            }
            settings.report = report;
        }
        Directive::LogDir => {
            settings.log_dir = path_of(value).ok_or(ValueError::NoDirectory)?;
        }
        Directive::Keep => settings.keep = Keep::parse(value).ok_or(ValueError::NoDays)?,
        Directive::Ledger => {
            // Beside it there is room for its name with a suffix.
            let fits = |path: &Text<_>| path.as_str().contains('/') || path.as_str().len() <= limits::LEDGER_NAME;
            let path = path_of(value).filter(|path| fits(path) && !value.ends_with('/'));
            settings.ledger = path.ok_or(ValueError::NoFile)?;
        }
        Directive::Spread => settings.spread = one_of(value, "on", "off")?,
        Directive::Close => settings.close = if one_of(value, "rst", "fin")? { Close::Rst } else { Close::Fin },
        Directive::Helpers => {
            let count = value.parse().ok().filter(|n| (1..=limits::HELPERS).contains(&usize::from(*n)));
            settings.helpers = count.ok_or(ValueError::NoCount(limits::HELPERS))?;
        }
        Directive::User => {
            let fits = |c: char| c.is_ascii_graphic() && c != ':';
            let user = Text::copy(value).filter(|name| !name.is_empty() && value.chars().all(fits));
            settings.user = user.ok_or(ValueError::NoUser)?;
        }
        Directive::Sandbox => settings.sandbox = one_of(value, "on", "off")?,
    }
    Ok(())
}

fn path_of(value: &str) -> Option<Text<{ limits::DIRECTORY }>> {
    Text::copy(value).filter(|path| !path.is_empty() && !value.contains(char::is_control))
}

fn bounded(value: &str, (least, most): (Nanos, Nanos)) -> Result<Nanos, ValueError> {
    let duration = Nanos::parse(value).ok_or(ValueError::NoDuration)?;
    if duration < least || duration > most {
        return Err(ValueError::OutOfRange(least, most));
    }
    Ok(duration)
}

fn one_of(value: &str, yes: &'static str, no: &'static str) -> Result<bool, ValueError> {
    if value == yes {
        Ok(true)
    } else if value == no {
        Ok(false)
    } else {
        Err(ValueError::NotOneOf(yes, no))
    }
}

/// What a target asks for that cannot be had together.
fn contradiction(target: &Target) -> Option<&'static str> {
    let ip_family = |ip: IpAddr| if ip.is_ipv4() { Family::Inet } else { Family::Inet6 };
    let host = target.literal.map_or(target.family, |address| ip_family(address.ip));
    if target.family != Family::Any && host != target.family {
        return Some("its address is of the other family than it asks for, leave inet or inet6 out");
    }
    if matches!(target.source, Some(IpAddr::V6(ip)) if ip.is_unicast_link_local()) {
        return Some("a link-local source needs a device, use device NAME instead");
    }
    match target.source.map(ip_family) {
        Some(_) if host == Family::Any => Some("with a source a name needs a family, add inet or inet6"),
        Some(source) if source != host => Some("source and host are of different families, use two of the same"),
        Some(_) | None => None,
    }
}

/// A comment runs from a `#` at the start or after a blank to the end.
fn without_comment(line: &str) -> &str {
    let start =
        line.char_indices().find(|(at, c)| *c == '#' && (*at == 0 || line[..*at].ends_with(char::is_whitespace)));
    start.map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
mod tests;
