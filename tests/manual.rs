//! The man pages, compared with the code: what the program takes, prints and ends with is in them, and nothing else is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says where it failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command as Process, Stdio};

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};
use tcpmon::base::limits;
use tcpmon::base::time::{Nanos, WallTime};
use tcpmon::core::health::{Health, State};
use tcpmon::core::ledger::{Ledger, Memory};
use tcpmon::core::probe::End;
use tcpmon::core::report::Report;
use tcpmon::model::cause::Cause;
use tcpmon::model::cli::Cli;
use tcpmon::model::command::{Command, usage};
use tcpmon::model::directive::{Directive, Kind as Value};
use tcpmon::model::event::{Event, Found};
use tcpmon::model::keep::Keep;
use tcpmon::model::log_names::Kind;
use tcpmon::model::reader::Reader;
use tcpmon::model::reason::{Ending, Reason, Shortage};
use tcpmon::model::request::{Refusal, Request};
use tcpmon::model::settings::{Config, Settings};
use tcpmon::model::target::{Address, Target};
use tcpmon::render::overview::Screen;
use tcpmon::render::{Life, Seen, answer, events, json, metrics, overview, report_json, samples};
use tcpmon::sys::clock;

/// tcpmon(8)
const PAGE: &str = include_str!("../src/install/tcpmon.8");
/// tcpmon.conf(5)
const FORMAT: &str = include_str!("../src/install/tcpmon.conf.5");

/// What mdoc(7) takes for a macro wherever it is on a line that begins with one, and English for a word.
const MACROS_THAT_ARE_WORDS: [&str; 6] = ["An", "At", "Do", "In", "No", "So"];

/// A section of a page.
fn section(page: &'static str, title: &str) -> &'static str {
    let section = page.split(&format!("\n.Sh {title}\n")).nth(1).unwrap_or_else(|| panic!("there is no {title}"));
    section.split("\n.Sh ").next().unwrap()
}

/// Arguments of the `.It MACRO` lines, one list entry each.
fn entries(page: &'static str, macro_name: &str) -> Vec<&'static str> {
    let entries =
        page.lines().filter_map(|line| line.strip_prefix(".It ")?.strip_prefix(macro_name)?.strip_prefix(' '));
    entries.collect()
}

/// The cells of the rows of a table, without the headings.
fn rows(section: &'static str) -> Vec<Vec<&'static str>> {
    let rows = section.lines().filter_map(|line| line.strip_prefix(".It ")).filter(|row| row.contains(" Ta "));
    rows.filter(|row| !row.starts_with("Sy ")).map(|row| row.split(" Ta ").collect()).collect()
}

/// What a reader sees of these lines, in one line. Titles of lists and their ends are left out.
fn plain(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| ![".It", ".Bl", ".El", ".Pp"].iter().any(|begin| line.starts_with(begin))) {
        let Some(line) = line.strip_prefix('.') else {
            words.extend(line.split_whitespace().map(str::to_string));
            continue;
        };
        let (mut dash, mut bracket) = ("", "");
        for word in line.split_whitespace() {
            match word {
                "Fl" => dash = "-",
                "Pq" => bracket = "(",
                "Ar" | "Cm" | "Dv" | "Ic" | "Li" | "Nm" | "Pa" | "Ql" | "Sx" | "Va" | "Xr" => dash = "",
                "," | "." | ";" | ":" => {
                    let last = words.last_mut().unwrap();
                    // The bracket is around all that is before the last one.
                    if !bracket.is_empty() && line.ends_with(&format!(" {word}")) && word != "," {
                        last.push(')');
                        bracket = "";
                    }
                    last.push_str(word);
                }
                word => {
                    words.push(format!("{}{dash}{word}", if bracket == "(" { "(" } else { "" }));
                    bracket = if bracket.is_empty() { "" } else { ")" };
                }
            }
        }
        if !bracket.is_empty() {
            words.last_mut().unwrap().push(')');
        }
    }
    words.join(" ").replace("\\&", "").replace("\\(dq", "\"")
}

/// What is said of the entry of a list that begins with these words, up to the next one.
fn told(page: &str, entry: &str) -> String {
    let is_it = |item: &&str| item.strip_prefix(entry).is_some_and(|rest| rest.starts_with([' ', '\n']));
    let item = page.split("\n.It ").find(is_it).unwrap_or_else(|| panic!("there is no {entry}"));
    plain(item.split_once('\n').unwrap().1)
}

/// All of these and no other, in this order.
#[track_caller]
fn assert_same<T: ToString>(named: impl IntoIterator<Item = impl ToString>, known: impl IntoIterator<Item = T>) {
    let strings = |words: Vec<String>| words.join("\n");
    let named = strings(named.into_iter().map(|word| word.to_string()).collect());
    assert_eq!(named, strings(known.into_iter().map(|word| word.to_string()).collect()));
}

/// The commands in the usage text, each with its word.
fn commands() -> Vec<(Command, &'static str)> {
    let text: &str = usage(None).leak();
    let words = text.lines().filter(|line| line.starts_with("  ")).map(|line| line.split_whitespace().next().unwrap());
    let command = |word: &'static str| {
        let mut tell = |mistake: std::fmt::Arguments<'_>| panic!("{mistake}");
        Cli::parse([word], &mut tell).unwrap().command
    };
    words.map(|word| (command(word), word)).collect()
}

/// The options in the usage text of a command.
fn options(command: Command) -> BTreeSet<String> {
    let text = usage(Some(command));
    let words = text.split(|c: char| c.is_whitespace() || ",;()".contains(c));
    words.filter(|word| word.starts_with('-') && word.len() > 1).map(str::to_string).collect()
}

/// The option of a directive, without its dashes.
fn option(directive: Directive) -> String {
    directive.name().replace('_', "-")
}

/// The words of a directive's value as the pages show them.
fn form(directive: Directive) -> &'static str {
    match directive.kind() {
        Value::Duration(_) | Value::Seconds(_) => "Ar duration",
        Value::Directory => "Ar directory",
        Value::File => "Ar file",
        Value::Keep => "Ar days bytes",
        Value::Switch => "Cm on | off",
        Value::Close => "Cm fin | rst",
        Value::Count(_) => "Ar count",
        Value::User => "Ar name",
    }
}

#[test]
fn no_word_of_a_page_is_taken_for_a_macro() {
    for line in [PAGE, FORMAT].iter().flat_map(|page| page.lines()).filter(|line| line.starts_with('.')) {
        let mut words = line.split(' ').skip(1);
        assert!(!words.any(|word| MACROS_THAT_ARE_WORDS.contains(&word)), "{line}");
    }
}

#[test]
fn the_manual_has_every_command_of_the_usage_text_and_no_other() {
    assert!(commands().len() >= 13, "{:?}", commands());
    assert_same(entries(section(PAGE, "COMMANDS"), "Cm"), commands().iter().map(|(_, word)| word));
}

#[test]
fn the_manual_has_every_option_of_the_usage_texts_and_no_other_and_says_which_commands_use_it() {
    let section = section(PAGE, "OPTIONS");
    let settings: Vec<String> = Directive::ALL.iter().map(|directive| format!("--{}", option(*directive))).collect();
    let mut of_page: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let lines: Vec<&str> = section.lines().collect();
    for pair in lines.windows(2) {
        let Some(entry) = pair[0].strip_prefix(".It Fl ") else { continue };
        // "Fl q , -quiet" is -q and --quiet.
        let names: Vec<String> = entry
            .split(" , ")
            .map(|name| format!("-{}", name.trim_start_matches("Fl ").split(' ').next().unwrap()))
            .collect();
        if names.iter().all(|name| settings.contains(name)) {
            continue;
        }
        let by = plain(pair[1]);
        let by = by.strip_prefix('(').and_then(|by| by.strip_suffix(')')).unwrap_or_else(|| panic!("{entry}: {by}"));
        for (_, word) in commands() {
            if by == "every command" || by.split(", ").any(|by| by == word) {
                of_page.entry(word).or_default().extend(names.iter().cloned());
            }
        }
    }
    let (mut all, mut places) = (Vec::new(), Vec::new());
    let place = ["--log-dir", "--ledger", "--user", "--sandbox"];
    for (command, word) in commands() {
        let mut known = options(command);
        // The usage of help is that of tcpmon.
        if command == Command::Help {
            known = ["-h", "--help", "-V", "--version"].map(str::to_string).into();
        }
        let of_settings: Vec<&str> = settings.iter().map(String::as_str).filter(|name| known.remove(*name)).collect();
        match of_settings.len() {
            0 => {}
            4 => places.push((word, of_settings)),
            _ => all.push((word, of_settings)),
        }
        assert_eq!(of_page[word], known, "{word}");
    }
    let list = |words: &[(&str, Vec<&str>)]| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("{} and {}", words[..words.len() - 1].join(", "), words[words.len() - 1])
    };
    assert!(all.iter().all(|(_, used)| used.len() == settings.len()) && places.iter().all(|(_, used)| used == &place));
    let said = format!(
        "{} use all of them. {} use only --log-dir, --ledger, --user and --sandbox.",
        list(&all),
        list(&places)
    );
    assert!(plain(section).contains(&said), "{said}");
    let named = entries(section, "Fl").into_iter().filter(|entry| !entry.contains(','));
    let named = named.skip_while(|entry| !entry.starts_with("-interval "));
    assert_same(named, Directive::ALL.map(|directive| format!("-{} {}", option(directive), form(directive))));
}

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
    let reader = include_str!("../src/model/reader.rs");
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

#[test]
fn every_example_is_a_command_line_without_a_mistake_and_every_command_has_one() {
    let mut shown = BTreeSet::new();
    for page in [PAGE, FORMAT] {
        for line in page.lines().filter_map(|line| line.strip_prefix(".Dl ")) {
            let line: &'static str = line.replace("\\(dq", "\"").leak();
            let Some((_, line)) = line.split_once("tcpmon ").filter(|(before, _)| !before.contains("tail ")) else {
                continue;
            };
            let line = line.split(" > ").next().unwrap().split(" | ").next().unwrap();
            // Quotes are around whole arguments.
            let mut arguments = Vec::new();
            for (number, part) in line.split('"').enumerate() {
                if number % 2 == 1 {
                    arguments.push(part);
                } else {
                    arguments.extend(part.split_whitespace());
                }
            }
            let mut tell = |mistake: std::fmt::Arguments<'_>| panic!("{line}: {mistake}");
            let cli = Cli::parse(arguments, &mut tell).unwrap();
            let mut config = Config::new();
            let mut reader = Reader::new(&mut config, &mut tell);
            cli.settings.iter().for_each(|(directive, value)| reader.option(*directive, value));
            cli.targets.iter().for_each(|target| reader.argument(target));
            shown.insert(cli.command.word());
        }
    }
    assert_eq!(shown, commands().into_iter().map(|(_, word)| word).collect());
}

#[test]
fn the_manual_has_every_signal() {
    let usage = usage(Some(Command::Run));
    let signals = usage.split("signals: ").nth(1).unwrap().split("\n\n").next().unwrap();
    let signals = signals.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit());
    let named = entries(section(PAGE, "SIGNALS"), "Dv").into_iter().flat_map(|entry| entry.split(" , "));
    assert_same(named, signals.filter(|word| word.len() >= 3));
}

#[test]
fn the_manual_has_the_times_that_a_command_waits() {
    let waits = format!("wait up to {} seconds", limits::STOP_WAIT.secs());
    assert!(told(PAGE, "Cm stop").contains(&waits));
    let (times, wait) = limits::LOCK;
    let start = Nanos::new(u64::from(times) * wait.get()).secs();
    let waits = format!("start waits {start} seconds, stop and reload wait {} seconds", limits::STOP_WAIT.secs());
    assert!(plain(section(PAGE, "STATES")).contains(&waits), "{waits}");
    let waits = format!("up to {} minutes from the start", limits::CLOCK_WAIT.secs() / 60);
    assert!(plain(section(PAGE, "THE DAILY LOG")).contains(&waits), "{waits}");
}

/// The keys in a value of JSON, each behind the one whose value has it. A list is what its items are.
fn keys(value: &serde_json::Value, parent: &str, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                found.insert(format!("{parent}.{key}"));
                keys(value, key, found);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| keys(value, parent, found)),
        _ => {}
    }
}

/// The same of the lists in a subsection of the manual on JSON.
fn named_keys(subsection: &str) -> BTreeSet<String> {
    let lists = section(PAGE, "JSON").split(&format!("\n.Ss {subsection}\n")).nth(1).unwrap();
    let (mut found, mut parents, mut names) = (BTreeSet::new(), Vec::new(), vec![""]);
    for line in lists.split("\n.Ss ").next().unwrap().lines() {
        if line.starts_with(".Bl ") {
            parents.push(names.clone());
        } else if line == ".El" {
            names = parents.pop().unwrap();
        } else if let Some(entry) = line.strip_prefix(".It Va ") {
            names = entry.split(" , ").collect();
            for parent in parents.last().unwrap() {
                found.extend(names.iter().map(|name| format!("{parent}.{name}")));
            }
        }
    }
    found
}

#[track_caller]
fn assert_keys(subsection: &str, text: &str) {
    let value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut found = BTreeSet::new();
    keys(&value, "", &mut found);
    assert_eq!(named_keys(subsection), found);
}

/// A ledger with one target, whose last probe connected and the one before it failed, so that nothing of it is unknown.
fn ledger(began: WallTime) -> Ledger {
    let ledger = Ledger::create(Memory::own(1), 1, began);
    let record = ledger.record(0);
    record.install(&Target::new("web", "www.example.com", 443).unwrap());
    record.set_health(&Health { state: State::Up, ..Health::NEW });
    let time = Some(Nanos::from_millis(1));
    let address = Address::new([192, 0, 2, 7].into());
    for ending in [Ending::ConnectFailed(Reason::Refused, address), Ending::Connected(address)] {
        record.end(began.unix_u32(), &End { ending, lookup: time, connect: time, ..End::skipped(Shortage::Late) });
    }
    ledger
}

fn utc(unix: i64) -> WallTime {
    WallTime { unix, nanos: 0, offset: 0 }
}

const NOW: i64 = 1_760_020_200;

/// What is written of that ledger while its run does this.
fn shown(life: Life, write: fn(&mut String, &Seen<'_>)) -> String {
    let (now, local) = (utc(NOW), utc);
    let (ledger, describe) = (ledger(now), |_| "an error");
    let mut text = String::new();
    write(&mut text, &Seen { ledger: &ledger, life, services: &[], now, local, describe });
    text
}

const LIVES: [Life; 7] =
    [Life::Running(1), Life::Elsewhere, Life::Starting, Life::Ending, Life::Ended, Life::Stopped, Life::Killed];

#[test]
fn the_manual_has_every_key_of_the_json_of_status_and_no_other() {
    let text = shown(Life::Running(1), json::write);
    assert!(!text.contains("last_failure\":null") && !text.contains("connect\":null"), "{text}");
    assert_keys("Keys of status", &text);
    let words = LIVES.map(|life| {
        let value: serde_json::Value = serde_json::from_str(&shown(life, json::write)).unwrap();
        value["run"].as_str().unwrap().to_string()
    });
    let section = section(PAGE, "JSON").split("\n.It Va run\n").nth(1).unwrap().split("\n.It ").next().unwrap();
    let named = section.lines().filter_map(|line| line.strip_prefix(".Ql ")?.split(' ').next());
    assert_eq!(named.collect::<BTreeSet<_>>(), words.iter().map(String::as_str).collect());
}

#[test]
fn the_manual_has_every_key_of_the_json_of_once_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("web={}", listener.local_addr().unwrap());
    let (status, text) = run(dir.path(), &format!("once -j {target}"));
    assert_eq!(status, 0, "{text}");
    assert_keys("Keys of once", &text);
}

#[test]
fn the_manual_has_every_key_of_the_json_of_a_report_and_no_other() {
    let mut report = Report::new(None, None, &[], utc);
    let files = "2025-10-09 00:00:00 | web | 9 | 1 | 10 | 0 | 0 | 0 | 10\n\
                 2025-10-09 00:05:00 | web | 0 | 0 | 10 | 0 | 0 | 10 | 10\n\
                 2025-10-09 01:00:00 | web | 0 | 0 | 10 | 0 | 0 | 10 | 10\n\
                 2025-10-09 00:05:00 | web | h:1 | 1.0 | 2.0 | 3.0 | 1.0 | 2.0 | 3.0 | 0 | 0 | connect refused 8\n";
    assert_eq!(report.read(files.as_bytes(), false), files.len());
    report.finish(None);
    let mut text = String::new();
    report_json::write(&mut text, &report);
    assert_keys("Keys of report", &text);
}

#[test]
fn the_manual_has_every_metric_and_no_other_and_every_label_with_its_values() {
    let (text, section) = (shown(Life::Running(1), metrics::write), section(PAGE, "METRICS"));
    let named: BTreeSet<&str> = entries(section, "Va").into_iter().collect();
    let found = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    assert_eq!(named, found.collect());
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let sample = sample.split_once('{').map_or("", |(_, sample)| sample.split('}').next().unwrap());
        for (label, value) in sample.split(',').filter_map(|label| label.split_once('=')) {
            labels.entry(label).or_default().insert(value.trim_matches('"'));
        }
    }
    // A bucket's edge belongs to the format of Prometheus.
    labels.remove("le");
    assert_eq!(labels.len(), 8, "{labels:?}");
    let page = plain(section);
    for (label, values) in labels {
        if ["lookup", "connect", "phase"].contains(&label) {
            let (_, told) = page.split_once(&format!("{label} (")).unwrap_or_else(|| panic!("{label}: {page}"));
            let told: BTreeSet<&str> = told.split(')').next().unwrap().split(", ").collect();
            assert_eq!(told, values, "{label}");
        }
        assert!(section.lines().any(|line| line.starts_with(".Va ") && line.split(' ').any(|w| w == label)), "{label}");
    }
}

#[test]
fn the_manual_has_every_answer_to_a_web_server() {
    let section = section(PAGE, "WEB SERVERS");
    let refusals = [Refusal::Method, Refusal::Path, Refusal::Nobody, Refusal::Last, Refusal::Service];
    let statuses = refusals.into_iter().map(answer::Status::Refused).chain([answer::Status::Unavailable]);
    let codes = statuses.map(|status| {
        let mut head = String::new();
        answer::write_head(&mut head, status, 0);
        head.split(' ').nth(1).unwrap().to_string()
    });
    let of_page = section.lines().filter_map(|line| line.strip_prefix(".It ")).filter(|entry| entry.len() == 3);
    assert_eq!(of_page.map(str::to_string).collect::<BTreeSet<_>>(), codes.collect());
    let paths = section.lines().filter_map(|line| line.strip_prefix(".It ")?.split_once("Pa ").map(|(_, path)| path));
    let contents: Vec<_> =
        paths.map(|path| Request::parse(b"GET", path.as_bytes(), b"").unwrap_or_else(|_| panic!("{path}"))).collect();
    assert_eq!(contents.len(), 3);
    let (least, most) = limits::PERIOD;
    let period = format!("{least} to {}d", most.secs() / 86_400);
    assert!(plain(section).contains(&period), "{period}");
    let refused = include_str!("../src/render/answer.rs");
    assert!(refused.contains(&format!("last is no time from {period}")));
    assert!(told(PAGE, "nothing , Pa /").contains(&format!("last {} hours", limits::PAGE.secs() / 3600)));
}

#[test]
fn the_manual_has_every_state_with_the_words_of_the_program() {
    let states = rows(section(PAGE, "STATES"));
    let write: fn(&mut String, &Seen<'_>) = |out, seen| {
        overview::write(out, seen, Screen { is_wide: false, columns: usize::MAX, lines: usize::MAX, marks: false });
    };
    let mut said: Vec<String> = LIVES.map(|life| shown(life, write)).into();
    // What is said beside what the ledger shows.
    said.push([include_str!("../src/commands/view.rs"), include_str!("../src/shell/snapshot.rs")].concat());
    let tried = include_str!("edges/states.rs");
    for row in &states {
        let [state, words, ..] = row[..] else { panic!("{row:?}") };
        assert!(said.iter().any(|said| said.contains(words)), "{words}");
        assert!(tried.contains(&format!("\"{state}\"")), "no test of each command tries the state {state}");
    }
    assert_eq!(states.len(), 11);
    for said in &said[..LIVES.len()] {
        assert!(states.iter().any(|row| said.contains(row[1])), "{said}");
    }
}

#[test]
fn the_manual_has_every_daily_file_and_no_other() {
    let section = section(PAGE, "FILES");
    let names = Kind::ALL.map(|kind| kind.name(utc(0)).as_str().replace("19700101", "YYYYMMDD"));
    let named = entries(section, "Pa").into_iter().filter(|entry| entry.contains("YYYYMMDD"));
    assert_same(named, names.iter().map(|name| format!("/var/log/tcpmon/{name}")));
    let links = entries(section, "Pa").into_iter().find(|entry| entry.contains("latest")).unwrap();
    assert_same(links.strip_prefix("/var/log/tcpmon/").unwrap().split(" , "), Kind::ALL.map(Kind::latest));
    for (name, directive) in names.iter().skip(1).zip(["times", "events", "samples"]) {
        assert!(told(FORMAT, &format!("Ic {directive}")).contains(&format!("{name}:")), "{name}");
    }
    assert!(section.contains(&format!("/{}\n", Settings::default().value(Directive::Ledger))));
}

#[test]
fn the_manual_has_every_reason_every_shortage_and_every_cause_and_no_other() {
    let reasons = Reason::NAMED.map(|reason| (reason.to_string(), reason.token()));
    let reasons = reasons.into_iter().chain([("error N".to_string(), Reason::Other(1).token())]);
    assert_same(
        section(PAGE, "REASONS")
            .split("\n.It Li ")
            .skip(1)
            .filter_map(|entry| entry.split_once(": "))
            .map(|(entry, _)| entry),
        reasons.map(|(words, token)| format!("{token}\n{words}")),
    );
    let tokens = Shortage::ALL.map(Shortage::token);
    let (last, others) = tokens.split_last().unwrap();
    let shortages = format!("A skipped tick has one of {} and {last}.", others.join(", "));
    let samples = plain(section(PAGE, "SAMPLES"));
    assert!(samples.contains(&shortages), "{shortages}: {samples}");
    let slow = Cause::ALL.iter().filter(|cause| cause.failure().is_none()).map(Cause::to_string);
    let named = entries(section(PAGE, "TIMES AND CAUSES"), "Li");
    let named = named.iter().map(|entry| entry.split(" Ar ").next().unwrap());
    assert_same(named, ["lookup".to_string()].into_iter().chain(slow));
}

#[test]
fn the_manual_has_the_heading_of_samples_and_every_outcome() {
    let section = section(PAGE, "SAMPLES");
    assert!(section.contains(&format!("\n{}", samples::HEADER)), "{}", samples::HEADER);
    let address = Address::new([192, 0, 2, 7].into());
    let endings = [
        Ending::Connected(address),
        Ending::ConnectFailed(Reason::Refused, address),
        Ending::LookupFailed(Reason::TimedOut),
        Ending::Skipped(Shortage::Late),
    ];
    let [first, second, third, last] = endings.map(|ending| ending.outcome());
    assert!(told(section, "Li outcome").starts_with(&format!("{first}, {second}, {third} or {last}.")));
}

/// The position of a kind in the manual. A new kind must be there.
fn position(event: &Event) -> usize {
    match event {
        Event::Down { .. } => 0,
        Event::Up { .. } => 1,
        Event::Address => 2,
        Event::Flapping { .. } => 3,
        Event::Start { .. } => 4,
        Event::Killed { .. } => 5,
        Event::Stopped { .. } => 6,
        Event::Stop { .. } => 7,
        Event::Clock { .. } => 8,
        Event::Reload { .. } => 9,
        Event::Log { .. } => 10,
        Event::Dropped { .. } => 11,
    }
}

#[test]
fn the_manual_has_every_kind_of_event_with_its_text() {
    let address = Address::new([192, 0, 2, 7].into());
    let (since, file, day) = (1_760_009_288, Kind::Samples, 0);
    let (from, to) = (since, since);
    let shown = [
        Event::Down { ending: Ending::ConnectFailed(Reason::Refused, address), since, failed: 3 },
        Event::Up { address, connect: Nanos::new(11_100_000), since, down_for: 312, failed: 156 },
        Event::Flapping { changes: 12, is_up: false },
        Event::Start { targets: 14 },
        Event::Killed { from, to },
        Event::Stopped { from, to },
        Event::Stop { targets: 14, down: 3 },
        Event::Clock { from, to },
        Event::Reload { new: 2, removed: 1, kept: 11 },
        Event::Log { file: Kind::Stats, day, errno: 28 },
        Event::Log { file: Kind::Stats, day, errno: 0 },
        Event::Log { file, day, errno: 0 },
        Event::Dropped { events: 7 },
    ];
    let section = section(PAGE, "EVENTS");
    let moment = "2025-10-09T14:28:08+03:00";
    let mut kinds = vec![""; 12];
    // Its text is that of a target's record.
    kinds[position(&Event::Address)] = Event::Address.word();
    for event in shown {
        kinds[position(&event)] = event.word();
        let found = Found { at: since, event };
        let local = |unix| WallTime { unix, nanos: 0, offset: 3 * 3600 };
        let (mut line, describe) = (String::new(), |_| "No space left on device");
        events::Line { found: &found, target: None, record: None, local, describe }.write(&mut line).unwrap();
        let text = line.trim_end().splitn(5, " | ").nth(4).unwrap().to_string();
        let text = text.replace(&format!("from {moment} to {moment}"), "from TIME to TIME");
        let text = text.replace("tcp_stats_19700101.log", "FILE").replace("tcp_samples_19700101.csv", "FILE");
        // The manual has the version of its examples.
        let text = text.replace(concat!("tcpmon ", env!("CARGO_PKG_VERSION")), "tcpmon 0.2.0");
        let told = told(section, &format!("Li {}", event.word()));
        assert!(told.contains(&text), "{text}: {told}");
    }
    assert_same(entries(section, "Li"), kinds);
    let (changes, time) = limits::FLAPPING;
    assert!(told(section, "Li flapping").contains(&format!("After {changes} changes")) && time.secs() == 60);
    assert_eq!(limits::ADDRESS_AGAIN.secs(), 3600, "one such event an hour");
}

/// Runs the program with these arguments, separated by blanks, in a directory. Returns its exit status and its output.
fn run(dir: &Path, arguments: &str) -> (i32, String) {
    let mut command = Process::new(env!("CARGO_BIN_EXE_tcpmon"));
    // With --full standard output cannot be written.
    let (arguments, is_full) = arguments.strip_prefix("--full ").map_or((arguments, false), |rest| (rest, true));
    command.args(arguments.split_whitespace()).current_dir(dir).env("TZ", "UTC").stdin(Stdio::null());
    if is_full {
        command.stdout(File::options().write(true).open("/dev/full").unwrap());
    }
    let ended = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    (ended.status.code().unwrap_or_else(|| panic!("{arguments}: killed")), said)
}

/// Ends the run of this directory, if a test leaves it behind.
struct Background<'a>(&'a Path);

impl Drop for Background<'_> {
    fn drop(&mut self) {
        run(self.0, "stop -q -c conf --for-restart");
    }
}

/// A port without a listener, which stays reserved for as long as this lives.
fn closed_port() -> (OwnedFd, u16) {
    let held = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    socket::bind(held.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let port = socket::getsockname::<SockaddrIn>(held.as_raw_fd()).unwrap().port();
    (held, port)
}

#[test]
fn the_manual_has_every_exit_status_that_a_command_has() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    let here = dir.display();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let up = format!("target web 127.0.0.1 {}\n", listener.local_addr().unwrap().port());
    let (_held, closed) = closed_port();
    let down = format!("target gone 127.0.0.1 {closed} down_after 1\n");
    let settings = format!("log_dir {here}/log\ninterval 100ms\nreport 1h\n");
    let write = |name: &str, lines: &str| fs::write(dir.join(name), format!("{settings}{lines}")).unwrap();
    write("conf", &up);
    write("none", "");
    fs::write(dir.join("relative"), &up).unwrap();
    write("lost", "keep 14\ntarget\n");
    fs::write(dir.join("nowhere"), "log_dir ~/log\n").unwrap();
    fs::write(dir.join("row"), "2025-10-09 00:00:00 | web | 9 | 1 | 10 | 0 | 0 | 0 | 10\n").unwrap();
    fs::create_dir_all(dir.join("bad/tcpmon.ledger")).unwrap();

    let mut found: BTreeSet<(&str, i32)> = BTreeSet::new();
    let mut gives = |arguments: &str, status: i32| {
        let (ended, said) = run(dir, arguments);
        assert_eq!(ended, status, "{arguments}: {said}");
        let word = arguments.trim_start_matches("--full ").split(' ').next().unwrap();
        let (_, word) = commands().into_iter().find(|(_, known)| *known == word).unwrap();
        found.insert((word, status));
    };
    let until = |arguments: &str, status: i32| {
        let limit = clock::monotonic() + Nanos::from_secs(120);
        loop {
            let (ended, said) = run(dir, arguments);
            if ended == status {
                return;
            }
            assert!(clock::monotonic() < limit, "{arguments}: {ended}: {said}");
            clock::rest(limits::LOOK);
        }
    };
    gives("run -q -n 1 -c conf", 0);
    gives("run -q -n 1 -c conf --log-dir row", 1);
    gives("run -q -c lost", 2);
    gives("check -c conf", 0);
    gives("check -c lost", 2);
    gives("once -c conf", 0);
    gives(&format!("once 127.0.0.1:{closed}"), 2);
    gives("once -c lost", 3);

    gives("start -c none", 1);
    gives("start -c relative", 2);
    gives("stop -c conf", 0);
    let background = Background(dir);
    gives("start -c conf", 0);
    until("status -c conf", 0);
    gives("status -c conf", 0);
    gives("status -c conf nobody", 1);
    gives("metrics -c conf", 0);
    gives("cgi -c conf", 0);
    gives("--full cgi -c conf", 1);
    write("conf", &down);
    gives("reload -c conf", 0);
    until("status -c conf", 2);
    gives("status -c conf", 2);
    gives("reload -c lost", 2);
    gives("stop -c conf", 0);
    gives("status -c conf", 3);
    gives("reload -c conf", 1);
    drop(background);
    gives("stop --log-dir bad", 1);
    gives("stop -c nowhere", 2);

    gives("report row", 0);
    gives("report nothing", 1);
    gives("report --bogus", 2);
    gives("metrics --log-dir nothing", 1);
    for word in ["metrics", "cgi", "sample", "help", "version"] {
        gives(&format!("{word} --bogus"), 2);
    }
    for word in ["sample", "help", "version"] {
        gives(word, 0);
        gives(&format!("--full {word}"), 1);
    }

    let rows = rows(section(PAGE, "EXIT STATUS"));
    let named = rows.iter().map(|row| (row[0], row[1].parse().unwrap()));
    assert_eq!(named.clone().collect::<BTreeSet<_>>(), found);
    assert_eq!(rows.len(), found.len(), "one row for each");
    // In the order of the commands.
    let mut order: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    order.dedup();
    assert_same(order, commands().iter().map(|(_, word)| word));
}
