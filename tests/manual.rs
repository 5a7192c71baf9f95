//! The man page, compared with the usage text and the table of directives.

#![allow(clippy::unwrap_used, reason = "a test says where it failed")]

use tcpmon::model::cli::USAGE;
use tcpmon::model::directive::Directive;

const PAGE: &str = include_str!("../src/install/tcpmon.8");
const README: &str = include_str!("../README.md");

/// Arguments of the page's `.It MACRO` lines, one list entry each.
fn entries(macro_name: &str) -> Vec<&'static str> {
    let entries =
        PAGE.lines().filter_map(|line| line.strip_prefix(".It ")?.strip_prefix(macro_name)?.strip_prefix(' '));
    entries.collect()
}

/// First words of the lines of the usage text between the lines that start with `begin` and `end`.
fn words_between(begin: &str, end: &str) -> Vec<&'static str> {
    let lines = USAGE.lines().skip_while(move |line| !line.starts_with(begin)).skip(1);
    let lines = lines.take_while(move |line| !line.starts_with(end));
    lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("    "))
        .filter_map(|l| l.split_whitespace().next())
        .collect()
}

#[test]
fn the_manual_has_every_command_of_the_usage_text_and_no_other() {
    let mut commands = words_between("commands:", "options:");
    commands.retain(|word| word.chars().all(char::is_alphabetic));
    assert!(commands.len() >= 7, "{commands:?}");
    // Two options are also commands.
    commands.extend(["help", "version"]);
    assert_eq!(entries("Cm"), commands);
}

#[test]
fn the_manual_has_every_option_of_the_usage_text_and_no_other() {
    let words = USAGE.split(|c: char| c.is_whitespace() || ",;()".contains(c));
    let options: Vec<&str> = words.filter(|word| word.starts_with('-') && word.len() > 1).collect();
    assert!(options.len() > 20, "{options:?}");
    let mut named: Vec<String> = Vec::new();
    for entry in entries("Fl") {
        for option in entry.split(" , ") {
            let option = option.trim_start_matches("Fl ").split(' ').next().unwrap();
            named.push(format!("-{option}"));
        }
    }
    // "Fl q , -quiet" is -q and --quiet.
    let missing: Vec<_> = options.iter().filter(|option| !named.iter().any(|name| name == *option)).collect();
    assert_eq!(missing, Vec::<&&str>::new());
    let unknown: Vec<_> = named.iter().filter(|name| !options.contains(&name.as_str())).collect();
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
    let signals = USAGE.lines().find_map(|line| line.strip_prefix("signals: ")).unwrap();
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
    for line in tcpmon::model::reader::SAMPLE.lines() {
        let mut words = line.split_whitespace();
        let (Some(name @ ("interval" | "timeout" | "slow" | "report")), Some(value)) = (words.next(), words.next())
        else {
            continue;
        };
        let told = PAGE.split(&format!(".It Ic {name} ")).nth(1).and_then(|rest| rest.split(".It ").next()).unwrap();
        assert!(told.contains(&format!("The default is {value}.")), "{name}: {told}");
    }
}
