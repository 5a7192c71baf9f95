//! The configuration reader: text to [`Config`]. It finds every mistake in one run and tells the caller of
//! each in one line: where, what is wrong, and what is right.
//!
//! The caller lends the [`Config`] that is filled, so that a reload needs no heap.

use core::fmt;
use core::net::IpAddr;

use super::directive::Directive;
use super::outcome::Thresholds;
use super::settings::{Config, NO_USER, Settings, Wrong, set_count, set_duration};
use super::target::{self, Address, Family, Target};
use crate::base::text::{Count, Pieces, Text};
use crate::base::time::Nanos;
use crate::base::{limits, words};

/// The sample configuration: `tcpmon sample` prints it, and it is installed. Its targets are examples in comments: nobody
/// shall probe other people's services unasked.
pub const SAMPLE: &str = include_str!("../tcpmon.conf");

/// The targets of a run that has neither a configuration nor targets on its command line: a first try at a terminal.
const DEFAULT_TARGETS: &str =
    "target cloudflare one.one.one.one 443\ntarget google dns.google 443\ntarget quad9 dns.quad9.net 443";

/// The location of a piece of configuration.
#[derive(Clone, Copy)]
pub struct Location<'a> {
    /// The file, or [`COMMAND_LINE`].
    name: &'a str,
    /// From 1; 0 for the command line, and [`WHOLE`] for a file as a whole.
    line: u32,
}

impl<'a> Location<'a> {
    /// A line of `file` as a [`Config`] has it, which is 0 for the command line; `otherwise` without a line.
    pub fn of(line: Option<u32>, file: &'a str, otherwise: &'a str) -> Self {
        match line {
            None => Self { name: otherwise, line: 0 },
            Some(0) => COMMAND_LINE,
            Some(line) => Self { name: file, line },
        }
    }
}

const COMMAND_LINE: Location<'_> = Location { name: "command line", line: 0 };

/// The line of a file as a whole, of which is told last.
const WHOLE: u32 = u32::MAX;

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if matches!(self.line, 0 | WHOLE) { Ok(()) } else { write!(f, ":{}", self.line) }
    }
}

/// Mistakes that are found in the end and have a line: a first reading finds them, and a second one tells them among the
/// mistakes of the other lines.
#[derive(Debug, Default)]
pub struct Late {
    /// Whether the first reading is over.
    pub is_found: bool,
    /// Each with its line.
    mistakes: [(u32, Text<{ limits::MESSAGE }>); 3],
}

/// Builds a configuration from the command line and then a file: a setting of the command line wins over
/// that of the file.
pub struct Reader<'a> {
    config: &'a mut Config,
    tell: &'a mut dyn FnMut(fmt::Arguments<'_>),
    late: Option<&'a mut Late>,
    mistakes: usize,
    /// Settings whose value was invalid: the value in force is not the configured one, so no other mistake may be derived from it.
    wrong: [bool; Directive::ALL.len()],
    /// Whether there was a word that is no directive.
    has_unknown: bool,
    /// The line that is being read; between files the last file as a whole.
    location: Location<'a>,
}

impl<'a> Reader<'a> {
    /// Clears `config` and starts. `tell` gets every mistake, a line without its newline: those that are found in the end
    /// come last, unless [`Reader::with_late`] is used.
    pub fn new(config: &'a mut Config, tell: &'a mut dyn FnMut(fmt::Arguments<'_>)) -> Self {
        config.settings = Settings::default();
        config.targets.clear();
        config.set = [None; Directive::ALL.len()];
        config.lines.clear();
        Self {
            config,
            tell,
            late: None,
            mistakes: 0,
            wrong: [false; Directive::ALL.len()],
            has_unknown: false,
            location: COMMAND_LINE,
        }
    }

    /// Tells the mistakes that are found in the end in the order of their lines, if everything is read twice, the second
    /// time with [`Late::is_found`].
    pub fn with_late(self, late: &'a mut Late) -> Self {
        Self { late: Some(late), ..self }
    }

    /// Reads a setting. Those of the command line come before a file.
    pub fn option(&mut self, directive: Directive, value: &str) {
        let at = directive as usize;
        // A setting that is already set stays, but a second value is checked all the same.
        let mut unused = Settings::default();
        let settings = if self.config.set[at].is_none() { &mut self.config.settings } else { &mut unused };
        if !settings.set(directive, value) {
            self.wrong[at] = true;
            return self.tell(format_args!("{} \"{value}\" {}", directive.name(), Wrong(directive, value)));
        }
        match self.config.set[at] {
            None => self.config.set[at] = Some(self.location.line),
            // The command line wins.
            Some(0) if self.location.line > 0 => {}
            earlier => {
                let earlier = Location::of(earlier, self.location.name, "");
                self.tell(format_args!("{} is set a second time, keep one: it was set by {earlier}", directive.name()))
            }
        }
    }

    /// Reads a target of the command line, before a file: `SERVICE=HOST:PORT`, or `HOST:PORT` where the
    /// host is also the label. Options of the target may follow after blanks.
    pub fn argument(&mut self, argument: &str) {
        let (service, mut rest) = match words::split_once(argument, b'=') {
            Some((service, rest)) => (Some(service), rest),
            None => (None, argument),
        };
        let word = words::next_word(&mut rest);
        // An IPv6 address has colons of its own.
        let is_six = |text: &str| words::contains(text, b':') && target::literal(text).is_some();
        match words::rsplit_once(word, b':') {
            Some((host, port)) if !word.ends_with(']') && !is_six(word) && !is_six(host) => {
                self.target(service.unwrap_or(host), host, port, rest);
            }
            Some(_) | None => self.tell(format_args!(
                "target \"{argument}\" has no port, write SERVICE=HOST:PORT, with an IPv6 address in brackets"
            )),
        }
    }

    /// Reads a whole file. `name` stands for it in messages.
    pub fn file(&mut self, name: &'a str, content: &[u8]) {
        let content = match content {
            [0xef, 0xbb, 0xbf, content @ ..] => content,
            content => content,
        };
        self.tell_late(0);
        self.location = Location { name, line: 0 };
        for line in content.split(|byte| *byte == b'\n') {
            self.location.line += 1;
            match words::utf8(line) {
                Some(line) => self.line(line),
                None => self.tell(format_args!("this line is not UTF-8, save the file as UTF-8")),
            }
            self.tell_late(self.location.line);
        }
        self.location.line = WHOLE;
    }

    /// Tells those mistakes of the first reading that are found up to this line.
    fn tell_late(&mut self, line: u32) {
        let Some(late) = self.late.as_mut().filter(|late| late.is_found) else { return };
        for (at, what) in &mut late.mistakes {
            if *at <= line && !what.is_empty() {
                self.mistakes += 1;
                (self.tell)(format_args!("{what}"));
                what.clear();
            }
        }
    }

    /// Counts and tells a mistake that the caller has found, such as a file that cannot be read.
    pub fn mistake(&mut self, what: fmt::Arguments<'_>) {
        self.mistakes += 1;
        (self.tell)(what);
    }

    /// Whether it is known where log and ledger are: their values are valid, and an unknown word cannot stand for one.
    pub fn has_place(&self) -> bool {
        let [log_dir, ledger] = [Directive::LogDir as usize, Directive::Ledger as usize];
        let is_set = self.config.set[log_dir].is_some() || self.config.set[ledger].is_some();
        !self.wrong[log_dir] && !self.wrong[ledger] && (is_set || !self.has_unknown)
    }

    /// Looks up the user of the settings with `find`. `None` if there is none to change to, or it is unknown,
    /// which is a mistake.
    pub fn user<T>(&mut self, find: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let name = self.config.settings.user;
        if name.as_str() == NO_USER || self.wrong[Directive::User as usize] {
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

    /// Adds the default targets.
    pub fn default_targets(&mut self) {
        self.file("default targets", DEFAULT_TARGETS.as_bytes());
    }

    /// Whether there is no target, and no mistake that could be the cause.
    pub fn lacks_targets(&self) -> bool {
        self.config.targets.is_empty() && self.mistakes == 0
    }

    /// Checks what only the whole configuration shows. Returns how many mistakes there were. That there is no target is
    /// a mistake that need not be told.
    pub fn finish(mut self, tell_lack: bool) -> usize {
        self.tell_late(WHOLE);
        let Settings { thresholds: Thresholds { slow, timeout }, interval, .. } = &mut self.config.settings;
        if self.config.set[Directive::Slow as usize].is_none() && *timeout <= *slow {
            *slow = Nanos::from_millis((timeout.millis() as u32 / 5).into());
        }
        let (slow, timeout, interval) = (*slow, *timeout, *interval);
        if slow >= timeout {
            self.tell_of(
                &[Directive::Slow, Directive::Timeout],
                format_args!("slow {slow} is not below timeout {timeout}, a slow phase would have failed"),
            );
        }
        if self.lacks_targets() {
            if !tell_lack {
                return 1;
            }
            self.tell(format_args!("no target, add a line such as: target web www.example.com 443"));
        }
        let needed = self.config.in_flight();
        if needed > limits::IN_FLIGHT as u64 {
            let targets = Count(self.config.targets.len() as u64, "target");
            let need = if targets.0 == 1 { "needs" } else { "need" };
            self.tell_of(
                &[Directive::Interval, Directive::Timeout],
                format_args!(
                    "{targets} at interval {interval} and timeout {timeout} {need} {needed} probes in flight, \
                     {} fit: use a longer interval, a shorter timeout or fewer targets",
                    limits::IN_FLIGHT
                ),
            );
        }
        self.mistakes
    }

    fn line(&mut self, line: &str) {
        let line = words::trim(without_comment(line));
        let mut rest = line;
        let word = words::next_word(&mut rest);
        if word == "target" {
            self.target_line(line, rest);
        } else if !word.is_empty() {
            match Directive::of_name(word) {
                Some(directive) => self.option(directive, words::trim(rest)),
                None => {
                    self.has_unknown = true;
                    self.tell_unknown(format_args!("unknown directive"), word, Directive::WORDS);
                }
            }
        }
    }

    /// Reads the line of a target; `rest` is what stands behind its first word.
    fn target_line(&mut self, line: &str, mut rest: &str) {
        let [service, host, port] = core::array::from_fn(|_| words::next_word(&mut rest));
        let is_number = |word| words::leading_number(word).is_some_and(|(_, rest)| rest.is_empty());
        let is_quoted = [service, host].iter().any(|word| matches!(word.as_bytes(), [b'"' | b'\'', ..]));
        // A blank within service or host, or a colon for the one between host and port.
        let is_shifted = is_number(words::next_word(&mut { rest })) || words::contains(host, b':');
        // An IPv6 address has more than one.
        let has_port = words::split_once(host, b':').is_some_and(|(_, port)| !words::contains(port, b':'));
        if port.is_empty() || is_quoted || has_port || (is_shifted && !is_number(port)) {
            let quotes = if is_quoted { " without quotes" } else { "" };
            self.tell(format_args!("\"{line}\": write target SERVICE HOST PORT, three words{quotes}"));
        } else {
            self.target(service, host, port, rest);
        }
    }

    fn target(&mut self, service: &str, host: &str, port: &str, mut options: &str) {
        let before = self.mistakes;
        let mut target = Target::default();
        let number = words::number(port, u16::MAX.into()).unwrap_or(0) as u16;
        for (part, value, result) in [
            ("service", service, target.set_service(service)),
            ("host", host, target.set_host(host).and_then(|()| target.check_host())),
            ("port", port, target.set_port(number)),
        ] {
            if let Err(error) = result {
                self.tell(format_args!("target \"{service}\": {part} \"{value}\" {error}"));
            }
        }
        let mut seen = 0_u32;
        loop {
            let word = words::next_word(&mut options);
            if word.is_empty() {
                break;
            }
            let Some(at) = OPTIONS.iter().position(|option| *option == word) else {
                self.tell_unknown(format_args!("target \"{service}\": unknown option"), word, &OPTIONS);
                // What follows may be its value.
                break;
            };
            // The first two are one option.
            let bit = 1 << at.max(1);
            if seen & bit != 0 {
                self.tell(format_args!(
                    "target \"{service}\": {word} repeats or contradicts an option before it, keep one"
                ));
            }
            seen |= bit;
            self.target_option(service, &mut target, at, &mut options);
        }
        if self.mistakes > before {
            return;
        }
        if let Some(Address { ip, .. }) = target.literal {
            if target.family != Family::Any && target.family != family_of(ip) {
                let (is, says) = if ip.is_ipv4() { ("IPv4", "inet6") } else { ("IPv6", "inet") };
                let host = &target.host;
                return self
                    .tell(format_args!("target \"{service}\": {host} is an {is} address, but the target says {says}"));
            }
        }
        if let Some(error) = contradiction(&target) {
            return self.tell(format_args!("target \"{service}\": {error}"));
        }
        if self.config.targets.len() == limits::TARGETS {
            self.tell(format_args!("target \"{service}\" is one too many, at most {} fit", limits::TARGETS));
        } else {
            self.config.targets.push(target);
            self.config.lines.push(self.location.line);
        }
    }

    /// Reads an option of a target, by its position in [`OPTIONS`].
    fn target_option(&mut self, service: &str, target: &mut Target, at: usize, rest: &mut &str) {
        match at {
            0 => target.family = Family::Inet,
            1 => target.family = Family::Inet6,
            2 => {
                let value = words::next_word(rest);
                target.source = target::literal(value);
                if target.source.is_none() {
                    self.tell(format_args!(
                        "target \"{service}\": source \"{value}\" is no IP address, write one of this box's own"
                    ));
                }
            }
            3 => {
                let value = words::next_word(rest);
                if value.is_empty() || !words::is_clean(value, b'/') || !target.device.set(value) {
                    self.tell(format_args!(
                        "target \"{service}\": device \"{value}\" is no network device, write a name of 1 to 15 bytes like eth0"
                    ));
                }
            }
            4 => self.own_setting(service, target, Directive::Interval, rest),
            5 => self.own_setting(service, target, Directive::DownAfter, rest),
            _ => self.own_setting(service, target, Directive::UpAfter, rest),
        }
    }

    /// Reads a setting of a target's own: its interval, or one of the two counts.
    fn own_setting(&mut self, service: &str, target: &mut Target, directive: Directive, rest: &mut &str) {
        let value = words::next_word(rest);
        let is_valid = if directive == Directive::Interval {
            set_duration(target.interval.insert(Nanos::ZERO), directive, value)
        } else {
            let own = if directive == Directive::DownAfter { &mut target.down_after } else { &mut target.up_after };
            set_count(own.insert(0), directive, value)
        };
        if !is_valid {
            let (name, wrong) = (directive.name(), Wrong(directive, value));
            self.tell(format_args!("target \"{service}\": {name} \"{value}\" {wrong}"));
        }
    }

    /// Tells that a word is unknown, and which one was meant, or where the known ones are.
    fn tell_unknown(&mut self, subject: fmt::Arguments<'_>, word: &str, known: &[&'static str]) {
        let hint = match words::nearest(word, known, |word| word) {
            Some(near) => ["did you mean ", near, "?"],
            None => ["tcpmon sample shows all", "", ""],
        };
        self.tell(format_args!("{subject} \"{word}\", {}", Pieces(&hint)));
    }

    /// Tells a mistake at the line that is being read.
    fn tell(&mut self, what: fmt::Arguments<'_>) {
        let location = self.location;
        self.mistake(format_args!("{location}: {what}"));
    }

    /// Tells a mistake of these settings together, at the first of them that is set. Nothing is told if the
    /// value of one of them was invalid.
    fn tell_of(&mut self, directives: &[Directive], what: fmt::Arguments<'_>) {
        if directives.iter().any(|directive| self.wrong[*directive as usize]) {
            return;
        }
        let set = directives.iter().find_map(|directive| self.config.set[*directive as usize]);
        let location = Location::of(set.or(Some(self.location.line)), self.location.name, "");
        self.keep_late(location.line, format_args!("{location}: {what}"));
    }

    /// Tells a mistake of this line that is found in the end; with [`Late`], keeps it for the second reading.
    fn keep_late(&mut self, line: u32, what: fmt::Arguments<'_>) {
        match &mut self.late {
            None => self.mistake(what),
            Some(late) if late.is_found => {}
            Some(late) => {
                self.mistakes += 1;
                if let Some(free) = late.mistakes.iter_mut().find(|(_, what)| what.is_empty()) {
                    *free = (line, Text::format(what));
                }
            }
        }
    }
}

/// The words that begin an option of a target.
static OPTIONS: [&str; 7] = ["inet", "inet6", "source", "device", "interval", "down_after", "up_after"];

fn family_of(ip: IpAddr) -> Family {
    if ip.is_ipv4() { Family::Inet } else { Family::Inet6 }
}

/// What is wrong with a target's family and source for its host, if anything.
fn contradiction(target: &Target) -> Option<&'static str> {
    let host = target.literal.map_or(target.family, |address| family_of(address.ip));
    if matches!(target.source, Some(IpAddr::V6(ip)) if ip.is_unicast_link_local()) {
        return Some("a link-local source needs a device, use device NAME instead");
    }
    match target.source.map(family_of) {
        Some(_) if host == Family::Any => Some("with a source a name needs a family, add inet or inet6"),
        Some(source) if source != host => Some("source and host are of different families, use two of the same"),
        Some(_) | None => None,
    }
}

/// The line without its comment, which begins with a `#` at the start or after a blank.
fn without_comment(line: &str) -> &str {
    let mut after_blank = true;
    for (at, c) in line.char_indices() {
        if c == '#' && after_blank {
            return &line[..at];
        }
        after_blank = words::is_blank(c);
    }
    line
}

#[cfg(test)]
mod tests;
