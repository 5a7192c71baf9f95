//! A configuration with every setting in force and where it was set, as a file that can be read.

use core::fmt;

use crate::base::text::{Buffer, Text};
use crate::base::{limits, words};
use crate::model::directive::Directive;
use crate::model::reader::Location;
use crate::model::settings::Config;
use crate::model::target::{Address, Family, Target};

/// Bytes of the longest line before its comment: a directive and a path, or a target with all its options.
const LINE: usize = limits::MESSAGE - limits::PATH;

/// Writes each setting and each target of a configuration that was read from `file`, a line each, by `write`.
#[inline(never)]
pub fn write(config: &Config, file: &str, write: &mut dyn FnMut(fmt::Arguments<'_>)) {
    let mut text = Text::<LINE>::new();
    for directive in Directive::ALL {
        let value = config.settings.value(directive);
        // A name without a slash stays one: it follows log_dir.
        let value: &Buffer = if directive == Directive::Ledger { &config.settings.ledger } else { &value };
        text.clear();
        text.append(format_args!("{} {value}", directive.name()));
        put(&text, config.set[directive as usize], file, write);
    }
    for (target, line) in config.targets.iter().zip(&config.lines) {
        text.clear();
        write_target(target, &mut text);
        put(&text, Some(*line), file, write);
    }
}

#[inline(never)]
fn put(text: &Buffer, line: Option<u32>, file: &str, write: &mut dyn FnMut(fmt::Arguments<'_>)) {
    let origin = Location::of(line, file, "default");
    write(format_args!("{text:<40} # {origin}"));
}

/// Appends the line of a target.
#[inline(never)]
fn write_target(target: &Target, line: &mut Buffer) {
    let Target { service, host, scope, port, family, source, device, interval, down_after, up_after, .. } = target;
    line.push("target");
    // The command line may have a service of several words, or one that would begin a comment.
    let (mut rest, mut before) = (service.as_str(), if service.as_bytes().starts_with(b"#") { " _" } else { " " });
    while !rest.is_empty() {
        line.push(before);
        line.push(words::next_word(&mut rest));
        before = "_";
    }
    let percent = if scope.is_empty() { "" } else { "%" };
    let family = match family {
        Family::Any => "",
        Family::Inet => " inet",
        Family::Inet6 => " inet6",
    };
    line.append(format_args!(" {host}{percent}{scope} {port}{family}"));
    if let Some(ip) = *source {
        option(line, "source", &Address::new(ip));
    }
    if !device.is_empty() {
        option(line, "device", device);
    }
    if let Some(interval) = interval {
        option(line, "interval", interval);
    }
    for (name, count) in [("down_after", down_after), ("up_after", up_after)] {
        if let Some(count) = count {
            option(line, name, count);
        }
    }
}

#[inline(never)]
fn option(line: &mut Buffer, name: &str, value: &dyn fmt::Display) {
    line.append(format_args!(" {name} {value}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reader::Reader;

    /// Reads options of the command line and a file.
    fn read(options: &[(Directive, &str)], targets: &[&str], file: &str) -> Config {
        let mut config = Config::new();
        let mut tell = |mistake: fmt::Arguments<'_>| panic!("{mistake}");
        let mut reader = Reader::new(&mut config, &mut tell);
        options.iter().for_each(|(directive, value)| reader.option(*directive, value));
        targets.iter().for_each(|target| reader.argument(target));
        reader.file("a.conf", file.as_bytes());
        assert_eq!(reader.finish(true), 0);
        config
    }

    fn written(config: &Config) -> String {
        let mut text = String::new();
        write(config, "a.conf", &mut |line| text += &format!("{line}\n"));
        text
    }

    #[test]
    fn every_setting_and_target_is_written_with_its_origin_and_reads_as_the_same() {
        let file = "timeout 3s\n\nlog_dir /var/log/x\nkeep 14d 8M\nledger led\nclose rst\nuser nobody\nevents on\n\
                    target v6 fe80::1%eth0 443 device eth0 interval 1500ms down_after 1\n\
                    target b b.test 25 inet source 192.0.2.7 up_after 9\ntarget c [2001:db8::5] 1 source 2001:db8::1\n";
        let config = read(&[(Directive::Report, "1h")], &["#my #1=h.test:80 inet6"], file);
        let text = written(&config);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        assert_eq!(line("interval"), "interval 2s                              # default");
        assert_eq!(line("timeout"), "timeout 3s                               # a.conf:1");
        assert_eq!(line("report"), "report 1h                                # command line");
        assert_eq!(line("ledger"), "ledger led                               # a.conf:5");
        assert_eq!(line("target _#my"), "target _#my_#1 h.test 80 inet6           # command line");
        assert_eq!(line("target v6"), "target v6 fe80::1%eth0 443 device eth0 interval 1500ms down_after 1 # a.conf:9");
        let again = read(&[], &[], &text);
        assert_eq!(again.settings, config.settings);
        assert_eq!(again.targets[1..], config.targets[1..]);
        assert_eq!(again.targets[0].service.as_str(), "_#my_#1");
        let names: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names[..Directive::ALL.len()], Directive::ALL.map(Directive::name));
        // All but the origin stays, however often it is written.
        let bare = |text: &str| text.lines().map(|line| line.split('#').next().map(str::to_owned)).collect::<Vec<_>>();
        assert_eq!(bare(&written(&again)), bare(&text));
    }
}
