//! tcpmon.conf(5): directives, their defaults and limits, options of a target, the example, and what a reload takes.

use tcpmon::base::limits;
use tcpmon::model::directive::{Directive, Kind as Value};
use tcpmon::model::keep::Keep;
use tcpmon::model::reader::Reader;
use tcpmon::model::settings::{Config, Settings};

use crate::{FORMAT, assert_same, entries, form, plain, section, told};

#[test]
fn the_format_has_every_directive_with_the_form_of_its_value_and_no_other() {
    let known = Directive::ALL.map(|directive| format!("{} {}", directive.name(), form(directive)));
    let known = known.into_iter().chain(["target Ar service host port Op Ar option ...".to_string()]);
    assert_same(entries(section(FORMAT, "DIRECTIVES"), "Ic"), known);
}

#[test]
fn the_format_has_the_default_of_every_directive() {
    for directive in Directive::ALL {
        let default = format!("Default: {}", Settings::default().value(directive));
        let told = told(FORMAT, &format!("Ic {}", directive.name()));
        let is_told = told.contains(&format!("{default}.")) || told.contains(&format!("{default} ("));
        assert!(is_told, "{default}: {told}");
    }
}

#[test]
fn the_format_has_the_limits_of_every_directive() {
    let bytes = |kb: u32| Keep::parse(&format!("{kb}k")).unwrap();
    for directive in Directive::ALL {
        let limits = match directive.kind() {
            Value::Duration((least, most)) | Value::Seconds((least, most)) => format!("{least} to {most}."),
            Value::Directory => format!("1 to {} bytes.", limits::DIRECTORY),
            Value::File => {
                format!("1 to {} bytes; without a slash 1 to {} bytes.", limits::DIRECTORY, limits::LEDGER_NAME)
            }
            Value::Keep => {
                let (least, most) = limits::KEEP_KB;
                format!("1d to {}d, and {} to {}.", limits::KEEP, bytes(least), bytes(most))
            }
            Value::Switch | Value::Close => String::new(),
            Value::Count(most) => format!("1 to {most}."),
            Value::User => format!("1 to {} bytes.", limits::USER),
        };
        let told = told(FORMAT, &format!("Ic {}", directive.name()));
        let is_told = told.contains(&format!("Limits: {limits}")) || limits.is_empty() && !told.contains("Limits");
        assert!(is_told, "{limits}: {told}");
    }
    for (entry, limit) in [
        ("Ar service", format!("1 to {} bytes", limits::SERVICE)),
        ("Ar host", format!("at most {} bytes", limits::HOST)),
        ("Ar port", format!("1 to {}", u16::MAX)),
        ("Cm device", format!("1 to {} bytes", limits::DEVICE)),
        ("Ic helpers", format!("at {} KB each", limits::HELPER_MEMORY >> 10)),
    ] {
        assert!(told(FORMAT, entry).contains(&limit), "{entry}: {limit}");
    }
    let page = plain(FORMAT);
    for limit in [
        format!("at most {} KB long", limits::CONFIG_FILE >> 10),
        format!("up to {} targets", limits::TARGETS),
        format!("All targets together can have {}.", limits::IN_FLIGHT),
    ] {
        assert!(page.contains(&limit), "{limit}");
    }
}

#[test]
fn the_format_has_every_option_of_a_target_and_no_other() {
    let reader = include_str!("../../src/model/reader.rs");
    let known = reader.split("static OPTIONS: [&str; ").nth(1).and_then(|rest| rest.split('[').nth(1)).unwrap();
    let known: Vec<&str> = known.split(']').next().unwrap().split(", ").map(|word| word.trim_matches('"')).collect();
    let named = entries(section(FORMAT, "TARGETS"), "Cm");
    assert_same(named.iter().map(|entry| entry.split(' ').next().unwrap()), &known);
    for entry in named {
        let option = entry.replace(" Ar", "").replace("address", "192.0.2.1").replace("name", "eth0");
        let option = option.replace("duration", "1s").replace("count", "1");
        let family = if option.starts_with("source") { "inet " } else { "" };
        read(&format!("target a a.example 1 {family}{option}"));
    }
}

/// Reads a configuration, in which no mistake may be.
#[track_caller]
fn read(text: &str) -> Config {
    let mut config = Config::new();
    let mut tell = |mistake: std::fmt::Arguments<'_>| panic!("{mistake}");
    let mut reader = Reader::new(&mut config, &mut tell);
    reader.file("example", text.as_bytes());
    assert_eq!(reader.finish(true), 0);
    config
}

#[test]
fn the_example_of_a_configuration_has_no_mistake() {
    let example = section(FORMAT, "EXAMPLES").split(".Bd -literal").nth(1).unwrap();
    let (_, example) = example.split("\n.Ed").next().unwrap().split_once('\n').unwrap();
    let config = read(example);
    assert_eq!((config.targets.len(), config.settings.keep.to_string().as_str()), (4, "14d 8M"));
}

#[test]
fn the_format_says_of_every_directive_what_a_reload_does_with_it() {
    let section = section(FORMAT, "CHANGES DURING A RUN");
    let words = |entry| {
        let rest = section.split(entry).nth(1).unwrap().split("\n.It ").next().unwrap().split("\n.El").next().unwrap();
        let lines = rest.lines().filter_map(|line| line.strip_prefix(".Ic ")).flat_map(|line| line.split(' '));
        lines.filter(|word| word.len() > 1).collect::<Vec<_>>()
    };
    let [at_once, reported, start] =
        ["Taken at once", "Taken after a report that is written first", "Taken by a new start only"].map(words);
    // Row and heading must agree.
    assert_eq!(reported, ["slow", "timeout"]);
    let lasting = Directive::ALL.into_iter().filter(|directive| directive.is_lasting()).map(Directive::name);
    assert_same(&start, lasting.chain(["log_dir", "ledger"]));
    let mut all: Vec<&str> = [at_once, reported, start].concat();
    all.sort_unstable();
    let mut known: Vec<&str> = Directive::WORDS.to_vec();
    known.sort_unstable();
    assert_eq!(all, known);
}
