//! The man pages, compared with the code: what the program takes, prints and ends with is in them, and nothing else is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says where it failed")]

mod exit_status;
mod format;
mod output;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use tcpmon::base::limits;
use tcpmon::base::time::Nanos;
use tcpmon::model::cli::Cli;
use tcpmon::model::command::{Command, usage};
use tcpmon::model::directive::{Directive, Kind as Value};
use tcpmon::model::reader::Reader;
use tcpmon::model::settings::Config;

/// tcpmon(8)
const PAGE: &str = include_str!("../../src/install/tcpmon.8");
/// tcpmon.conf(5)
const FORMAT: &str = include_str!("../../src/install/tcpmon.conf.5");

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
