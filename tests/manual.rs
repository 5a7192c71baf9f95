//! The man page, compared with the usage text and the table of directives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says where it failed")]

use std::collections::BTreeSet;

use tcpmon::base::time::{Nanos, WallTime};
use tcpmon::core::health::{Health, State};
use tcpmon::core::ledger::{Ledger, Memory};
use tcpmon::core::probe::End;
use tcpmon::core::report::Report;
use tcpmon::model::command::{Command, usage};
use tcpmon::model::directive::Directive;
use tcpmon::model::log_names::Kind;
use tcpmon::model::reader::Reader;
use tcpmon::model::reason::{Ending, Reason, Shortage};
use tcpmon::model::settings::Config;
use tcpmon::model::target::{Address, Target};
use tcpmon::render::{Life, Seen, json, metrics, report_json};

const PAGE: &str = include_str!("../src/install/tcpmon.8");
const README: &str = include_str!("../README.md");

/// Arguments of the page's `.It MACRO` lines, one list entry each.
fn entries(macro_name: &str) -> Vec<&'static str> {
    let entries =
        PAGE.lines().filter_map(|line| line.strip_prefix(".It ")?.strip_prefix(macro_name)?.strip_prefix(' '));
    entries.collect()
}

/// The commands in the usage text.
fn commands() -> Vec<String> {
    let text = usage(None);
    let lines = text.lines().filter(|line| line.starts_with("  "));
    lines.filter_map(|line| line.split_whitespace().next().map(str::to_string)).collect()
}

#[test]
fn the_manual_has_every_command_of_the_usage_text_and_no_other() {
    assert!(commands().len() >= 9, "{:?}", commands());
    assert_eq!(entries("Cm"), commands());
}

#[test]
fn the_manual_has_every_option_of_the_usage_texts_and_no_other() {
    let mut options: Vec<String> = Vec::new();
    for command in [
        None,
        Some(Command::Run),
        Some(Command::Start),
        Some(Command::Stop),
        Some(Command::Reload),
        Some(Command::Status),
        Some(Command::Once),
        Some(Command::Check),
        Some(Command::Report),
        Some(Command::Metrics),
    ] {
        let text = usage(command);
        let words = text.split(|c: char| c.is_whitespace() || ",;()".contains(c));
        options.extend(words.filter(|word| word.starts_with('-') && word.len() > 1).map(str::to_string));
    }
    assert!(options.len() > 20, "{options:?}");
    let mut named: Vec<String> = Vec::new();
    for entry in entries("Fl") {
        for option in entry.split(" , ") {
            let option = option.trim_start_matches("Fl ").split(' ').next().unwrap();
            named.push(format!("-{option}"));
        }
    }
    // "Fl q , -quiet" is -q and --quiet.
    let missing: Vec<_> = options.iter().filter(|option| !named.contains(option)).collect();
    assert_eq!(missing, Vec::<&String>::new());
    let unknown: Vec<_> = named.iter().filter(|name| !options.contains(name)).collect();
    assert_eq!(unknown, Vec::<&String>::new());
}

#[test]
fn the_manual_and_the_readme_have_every_directive() {
    let named: Vec<&str> = entries("Ic").iter().filter_map(|entry| entry.split(' ').next()).collect();
    let directives: Vec<&str> = Directive::ALL.iter().map(|directive| directive.name()).chain(["target"]).collect();
    assert_eq!(named, directives);
    for directive in directives {
        assert!(README.contains(&format!("\n    {directive} ")), "{directive} is not in the README's configuration");
    }
}

#[test]
fn the_manual_has_every_signal_and_every_exit_status() {
    let usage = usage(Some(Command::Run));
    let signals = usage.split("signals: ").nth(1).unwrap().split("\n\n").next().unwrap();
    let signals = signals.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit());
    let signals: Vec<&str> = signals.filter(|word| word.len() >= 3).collect();
    let named: Vec<&str> = entries("Dv").iter().flat_map(|entry| entry.split(" , ")).collect();
    assert_eq!(named, signals);
    for status in ["0", "1", "2", "3"] {
        assert!(PAGE.contains(&format!("\n.It {status}\n")), "exit status {status}");
    }
}

#[test]
fn the_manual_has_the_defaults_of_the_sample() {
    let mut defaults = 0;
    let lines = tcpmon::model::reader::SAMPLE.lines().filter(|line| !line.starts_with("#  "));
    for line in lines {
        // Some are in comments.
        let mut words = line.strip_prefix("# ").unwrap_or(line).split_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
        let default = match name {
            "interval" | "timeout" | "slow" | "report" | "down_after" | "up_after" => {
                format!("The default is {value}.")
            }
            "samples" | "syslog" | "spread" | "close" | "sandbox" => format!("The default is\n.Cm {value} ."),
            // Those of the sample are not the default, or it is said in other words.
            _ => continue,
        };
        let told = PAGE.split(&format!(".It Ic {name} ")).nth(1).and_then(|rest| rest.split(".It ").next()).unwrap();
        assert!(told.contains(&default), "{name}: {told}");
        defaults += 1;
    }
    assert_eq!(defaults, 11);
}

#[test]
fn the_readme_has_a_configuration_without_mistakes() {
    let block =
        README.lines().skip_while(|line| !line.starts_with("    interval ")).take_while(|line| !line.is_empty());
    let block: Vec<&str> = block.collect();
    let mut config = Config::new();
    let mut tell = |mistake: std::fmt::Arguments<'_>| panic!("{mistake}");
    let mut reader = Reader::new(&mut config, &mut tell);
    reader.file("README.md", block.join("\n").as_bytes());
    assert_eq!(reader.finish(true), 0);
    assert_eq!((config.targets.len(), config.settings.keep.to_string().as_str()), (4, "14d 8M"));
}

/// The page without its macros for emphasis, in one line.
fn plain_page() -> String {
    PAGE.replace(".Ic ", "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The keys in a value of JSON.
fn keys(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                found.insert(key.clone());
                keys(value, found);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
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

/// The words in a section of the page that are the titles of a list.
fn titles(section: &str) -> BTreeSet<String> {
    let section = PAGE.split(&format!(".Sh {section}\n")).nth(1).and_then(|rest| rest.split("\n.Sh ").next()).unwrap();
    let named = section.lines().filter_map(|line| line.strip_prefix(".It Va ")).flat_map(|names| names.split(" , "));
    named.map(str::to_string).collect()
}

/// What is written of that ledger while its run is there.
fn shown(write: fn(&mut String, &Seen<'_>)) -> String {
    let began = WallTime { unix: 1_760_020_200, nanos: 0, offset: 0 };
    let local = |unix| WallTime { unix, nanos: 0, offset: 0 };
    let (ledger, describe) = (ledger(began), |_| "an error");
    let mut text = String::new();
    write(&mut text, &Seen { ledger: &ledger, life: Life::Running(1), services: &[], now: began, local, describe });
    text
}

#[test]
fn the_manual_has_every_key_of_the_json_of_status_and_no_other() {
    let text = shown(json::write);
    let mut found = BTreeSet::new();
    keys(&serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")), &mut found);
    assert!(!text.contains("last_failure\":null") && !text.contains("connect\":null"), "{text}");
    assert_eq!(titles("JSON"), found);
}

#[test]
fn the_manual_has_every_metric_and_no_other_and_every_label() {
    let text = shown(metrics::write);
    let found: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_string)).collect();
    assert_eq!(titles("METRICS"), found);
    let page = plain_page();
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let labels = sample.split_once('{').map_or("", |(_, labels)| labels);
        for (label, _) in labels.split("\",").filter_map(|label| label.split_once('=')) {
            assert!(label == "le" || page.contains(&format!(" {label} ")), "{label}");
        }
    }
    for name in ["tcpmon_probes_total", "tcpmon_failures_total", "tcpmon_up"] {
        assert!(README.contains(&format!("`{name}")), "{name}");
    }
}

#[test]
fn the_manual_has_every_key_of_the_json_of_a_report_and_no_other() {
    let local = |unix| WallTime { unix, nanos: 0, offset: 0 };
    let mut report = Report::new(None, None, &[], local);
    let files = "2025-10-09 00:00:00 | web | 9 | 1 | 10 | 0 | 0 | 0 | 10\n\
                 2025-10-09 00:05:00 | web | 0 | 0 | 10 | 0 | 0 | 10 | 10\n\
                 2025-10-09 01:00:00 | web | 0 | 0 | 10 | 0 | 0 | 10 | 10\n\
                 2025-10-09 00:05:00 | web | h:1 | 1.0 | 2.0 | 3.0 | 1.0 | 2.0 | 3.0 | 0 | 0 | connect refused 8\n";
    assert_eq!(report.read(files.as_bytes(), false), files.len());
    report.finish(None);
    let mut text = String::new();
    report_json::write(&mut text, &report);
    let mut found = BTreeSet::new();
    keys(&serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")), &mut found);
    let section = PAGE.split(".Sh THE REPORT\n").nth(1).and_then(|rest| rest.split("\n.Sh ").next()).unwrap();
    let named = section.lines().filter_map(|line| line.strip_prefix(".It Va ")).flat_map(|keys| keys.split(" , "));
    assert_eq!(named.map(str::to_string).collect::<BTreeSet<_>>(), found);
}

#[test]
fn the_manual_and_the_readme_have_every_daily_file_and_every_reason() {
    for kind in Kind::ALL {
        let name = kind.name(WallTime { unix: 0, nanos: 0, offset: 0 });
        let name = name.as_str().replace("19700101", "YYYYMMDD");
        assert!(README.contains(&name) && PAGE.contains(&format!("\n.It Pa /var/log/tcpmon/{name}\n")), "{name}");
        assert!(PAGE.contains(kind.latest()), "{kind:?}");
    }
    let page = plain_page();
    for reason in Reason::NAMED.map(|reason| reason.to_string()).iter().map(String::as_str).chain(["error N"]) {
        let row = README.lines().find(|line| line.starts_with(&format!("| {reason} | `"))).expect(reason);
        let token = row.split('`').nth(1).expect("it has a token");
        assert!(page.contains(&format!(" .It {reason} Ta {token} Ta ")), "{reason} {token}");
    }
}

#[test]
fn the_manual_and_the_readme_have_the_same_causes_kinds_of_events_and_heading_of_samples() {
    for cause in ["slow by resent SYNs", "slow path", "slow lookup"] {
        assert!(README.contains(&format!("| `{cause} N` |")), "{cause}");
        assert!(PAGE.contains(&format!("\n.It Li {cause} Ar n\n")), "{cause}");
    }
    let kinds: Vec<&str> = README
        .split("\n| kind | text |\n|---|---|\n")
        .nth(1)
        .unwrap()
        .lines()
        .map_while(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(kinds.len(), 12);
    let named: Vec<&str> = entries("Li").into_iter().filter(|entry| kinds.contains(entry)).collect();
    assert_eq!(named, kinds);
    let heading = "time,service,host,port,address,dns_ms,connect_ms,outcome,reason,syns_resent\n";
    assert!(README.contains(&format!("\n    {heading}")) && PAGE.contains(&format!("\n{heading}")));
}
