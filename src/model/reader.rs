//! The configuration reader: text to [`Config`]. Every mistake is found in one run and told to the caller,
//! one line each: where, what is wrong, and what would be right.
//!
//! A configuration is built in the place the caller gives, so that re-reading one needs no heap.

use core::fmt;
use core::net::IpAddr;

use super::directive::Directive;
use super::outcome::Thresholds;
use super::settings::{Config, NOBODY, Settings, Wrong, set_duration};
use super::target::{self, Family, Target};
use crate::base::time::Nanos;
use crate::base::{limits, words};

/// The sample configuration: what `tcpmon sample` prints, and the source of the targets that are
/// watched when there are none.
pub const SAMPLE: &str = include_str!("../tcpmon.conf");

/// Where a piece of configuration stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The file, or [`COMMAND_LINE`].
    name: &'a str,
    /// Counted from 1; 0 where it is no line of a file, or the file as a whole.
    line: u32,
}

/// `--interval` or a target on the command line.
const COMMAND_LINE: Place<'_> = Place { name: "command line", line: 0 };

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if self.line == 0 { Ok(()) } else { write!(f, ":{}", self.line) }
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
    /// Whether only targets are taken from what is read.
    targets_only: bool,
    /// Where what is being read stands; afterwards the whole of what was read last.
    place: Place<'a>,
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
            targets_only: false,
            place: COMMAND_LINE,
        }
    }

    /// A setting. Those of the command line come before a file is read.
    pub fn option(&mut self, directive: Directive, value: &str) {
        let at = directive as usize;
        // One that is set already stays, but its mistakes are told all the same.
        let mut unused = Settings::default();
        let settings = if self.set[at].is_none() { &mut self.config.settings } else { &mut unused };
        if !settings.set(directive, value) {
            self.wrong[at] = true;
            return self.tell(format_args!("{} \"{value}\" {}", directive.name(), Wrong(directive, value)));
        }
        match self.set[at] {
            None => self.set[at] = Some(self.place),
            // The command line wins.
            Some(earlier) if earlier.line == 0 && self.place.line > 0 => {}
            Some(earlier) => {
                self.tell(format_args!("{} is set a second time, keep one: it was set by {earlier}", directive.name()))
            }
        }
    }

    /// A target of the command line, before a file is read: `SERVICE=HOST:PORT`, or `HOST:PORT`
    /// where the host is the label too; options of the target may follow after blanks.
    pub fn argument(&mut self, argument: &str) {
        let (service, mut rest) = match words::split_once(argument, b'=') {
            Some((service, rest)) => (Some(service), rest),
            None => (None, argument),
        };
        match words::rsplit_once(words::next_word(&mut rest), b':') {
            Some((host, port)) if host.starts_with('[') || !words::contains(host, b':') => {
                self.target(service.unwrap_or(host), host, port, rest);
            }
            Some(_) | None => self.tell(format_args!(
                "target \"{argument}\" has no port, write SERVICE=HOST:PORT, with an IPv6 address in brackets"
            )),
        }
    }

    /// A whole file. `name` is how messages call it.
    pub fn file(&mut self, name: &'a str, content: &[u8]) {
        let content = match content {
            [0xef, 0xbb, 0xbf, content @ ..] => content,
            content => content,
        };
        self.place = Place { name, line: 0 };
        for line in content.split(|byte| *byte == b'\n') {
            self.place.line += 1;
            match core::str::from_utf8(line) {
                Ok(line) => self.line(line),
                Err(_) => self.tell(format_args!("this line is not UTF-8, save the file as UTF-8")),
            }
        }
        self.place.line = 0;
    }

    /// A mistake that was found elsewhere, such as a file that cannot be read.
    pub fn mistake(&mut self, what: fmt::Arguments<'_>) {
        self.mistakes += 1;
        (self.tell)(what);
    }

    /// Looks for the user that is to be taken. Gives what was found.
    pub fn user<T>(&mut self, find: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let name = self.config.settings.user;
        if name.as_str() == NOBODY || self.wrong[Directive::User as usize] {
            return None;
        }
        let found = find(name.as_str());
        if found.is_none() {
            self.tell_of(
                &[Directive::User],
                format_args!("user \"{name}\" is not in /etc/passwd, write a name that is there"),
            );
        }
        found
    }

    /// The targets of the sample, where there are none.
    pub fn default_targets(&mut self) {
        self.targets_only = true;
        self.file("sample", SAMPLE.as_bytes());
    }

    /// Checks what only the whole shows. Returns how many mistakes there were.
    pub fn finish(mut self) -> usize {
        let Settings { thresholds: Thresholds { slow, timeout }, interval, .. } = self.config.settings;
        if slow >= timeout {
            self.tell_of(
                &[Directive::Slow, Directive::Timeout],
                format_args!("slow {slow} is not below timeout {timeout}, a slow phase would have failed"),
            );
        }
        if self.config.targets.is_empty() && self.mistakes == 0 {
            self.tell(format_args!("no target, add a line such as: target web www.example.com 443"));
        }
        let needed = self.config.in_flight();
        if needed > limits::IN_FLIGHT as u64 {
            let targets = self.config.targets.len();
            self.tell_of(
                &[Directive::Interval, Directive::Timeout],
                format_args!(
                    "{targets} targets at interval {interval} and timeout {timeout} need {needed} probes in flight, \
                     {} fit: use a longer interval, a shorter timeout or fewer targets",
                    limits::IN_FLIGHT
                ),
            );
        }
        self.mistakes
    }

    fn line(&mut self, line: &str) {
        let mut rest = without_comment(line);
        let word = words::next_word(&mut rest);
        if word == "target" {
            let (service, host, port) =
                (words::next_word(&mut rest), words::next_word(&mut rest), words::next_word(&mut rest));
            if port.is_empty() {
                self.tell(format_args!("a target needs three words, write: target SERVICE HOST PORT"));
            } else {
                self.target(service, host, port, rest);
            }
        } else if !word.is_empty() && !self.targets_only {
            match Directive::ALL.iter().find(|directive| directive.name() == word) {
                Some(directive) => self.option(*directive, words::trim(rest)),
                None => self.tell(format_args!(
                    "unknown directive \"{word}\", known are: interval timeout slow report log_dir keep ledger spread close helpers user sandbox target"
                )),
            }
        }
    }

    fn target(&mut self, service: &str, host: &str, port: &str, mut options: &str) {
        let before = self.mistakes;
        let mut target = Target::default();
        // A port that is no number is as wrong as port 0.
        let port = words::number(port, u16::MAX.into()).unwrap_or(0) as u16;
        for part in [target.set_service(service), target.set_host(host), target.set_port(port)] {
            if let Err(error) = part {
                self.tell(format_args!("target \"{service}\" at \"{host}\": {error}"));
            }
        }
        loop {
            match words::next_word(&mut options) {
                "" => break,
                option => self.target_option(service, &mut target, option, &mut options),
            }
        }
        if self.mistakes > before {
            return;
        }
        if let Some(error) = contradiction(&target) {
            return self.tell(format_args!("target \"{service}\": {error}"));
        }
        if self.config.targets.len() == limits::TARGETS {
            self.tell(format_args!("target \"{service}\" is one too many, at most {} fit", limits::TARGETS));
        } else {
            self.config.targets.push(target);
        }
    }

    fn target_option(&mut self, service: &str, target: &mut Target, option: &str, rest: &mut &str) {
        match option {
            "inet" | "inet6" => {
                let family = if option == "inet" { Family::Inet } else { Family::Inet6 };
                if target.family != Family::Any && target.family != family {
                    self.tell(format_args!("target \"{service}\" asks for inet and inet6, keep one"));
                }
                target.family = family;
            }
            "source" => {
                let value = words::next_word(rest);
                target.source = target::literal(value);
                if target.source.is_none() {
                    self.tell(format_args!(
                        "target \"{service}\": source \"{value}\" is no IP address, write one of this box's own"
                    ));
                }
            }
            "device" => {
                let value = words::next_word(rest);
                if value.is_empty() || !words::is_clean(value, b'/') || !target.device.set(value) {
                    self.tell(format_args!(
                        "target \"{service}\": device \"{value}\" is no network device, write a name of 1 to {} bytes like eth0",
                        limits::DEVICE
                    ));
                }
            }
            "interval" => {
                let value = words::next_word(rest);
                let mut interval = Nanos::ZERO;
                if set_duration(&mut interval, Directive::Interval, value) {
                    target.interval = Some(interval);
                } else {
                    let wrong = Wrong(Directive::Interval, value);
                    self.tell(format_args!("target \"{service}\": interval \"{value}\" {wrong}"));
                }
            }
            _ => self.tell(format_args!(
                "target \"{service}\": unknown option \"{option}\", known are: inet, inet6, source ADDRESS, device NAME, interval DURATION"
            )),
        }
    }

    /// A mistake where what is being read stands.
    fn tell(&mut self, what: fmt::Arguments<'_>) {
        let place = self.place;
        self.mistake(format_args!("{place}: {what}"));
    }

    /// A mistake that shows in these settings together, where the first of them is set; none where
    /// one of them is wrong by itself.
    fn tell_of(&mut self, directives: &[Directive], what: fmt::Arguments<'_>) {
        if directives.iter().any(|directive| self.wrong[*directive as usize]) {
            return;
        }
        let place = directives.iter().find_map(|directive| self.set[*directive as usize]).unwrap_or(self.place);
        self.mistake(format_args!("{place}: {what}"));
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
    let mut after_blank = true;
    for (at, c) in line.char_indices() {
        if c == '#' && after_blank {
            return &line[..at];
        }
        after_blank = c.is_whitespace();
    }
    line
}

#[cfg(test)]
mod tests;
