//! The command line: words, separated by NUL.

use std::cell::RefCell;

use tcpmon::base::time::{Nanos, WallTime};
use tcpmon::model::cli::{Cli, Command, Time};
use tcpmon::model::reader::Reader;
use tcpmon::model::settings::Config;

use super::text_of;

thread_local! {
    static READ: RefCell<Config> = RefCell::new(Config::new());
}

/// A command line is either right, and then parses the same when written out in full, or it has
/// mistakes.
pub fn holds(input: &[u8]) {
    let words: Vec<&str> = input.split(|byte| *byte == 0).map(text_of).collect();
    match parse(&words) {
        Ok(cli) => {
            is_whole(&cli, &words);
            says_the_same_in_full(&cli);
            READ.with_borrow_mut(|config| its_settings_are_told_as_its_own(&cli, config));
        }
        Err((_, mistakes)) => {
            assert!(!mistakes.is_empty(), "refused without a mistake");
            assert!(mistakes.len() <= words.len(), "one word is at most one mistake: {mistakes:?}");
            for mistake in &mistakes {
                is_a_message(mistake, &words);
            }
        }
    }
}

fn parse<'a>(words: &[&'a str]) -> Result<Cli, (Command, Vec<String>)> {
    // SAFETY: the texts live for `'a`, the caller drops the result before them, and nothing else keeps
    // it. `Cli::parse` wants 'static because a real command line is never freed; leaking every input
    // would exhaust memory here.
    let for_ever = |word: &'a str| unsafe { std::mem::transmute::<&'a str, &'static str>(word) };
    let mut mistakes = Vec::new();
    let parsed = Cli::parse(words.iter().copied().map(for_ever), &mut |mistake| mistakes.push(mistake.to_string()));
    assert!(parsed.is_err() || mistakes.is_empty(), "accepted, with mistakes: {mistakes:?}");
    parsed.map_err(|command| (command, mistakes))
}

/// It has nothing that is not in the words, and no number out of its range.
fn is_whole(cli: &Cli, words: &[&str]) {
    assert_ne!(cli.rounds, Some(0), "no round");
    assert_ne!(cli.duration, Some(Nanos::ZERO), "no time");
    assert_ne!(cli.file, Some(""), "a file without a name");
    assert!(cli.settings.iter().all(|(_, value)| !value.is_empty()), "a setting without a value");
    assert!(cli.targets.iter().all(|target| words.contains(target)), "a target that is not in the words");
    // As words, or as values of an option, which may be behind its name.
    let is_said = |value: &&str| words.iter().any(|word| word.ends_with(value));
    assert!(cli.services.iter().chain(&cli.files).all(is_said), "a service or file that is not in the words");
    let is_option = |word: &&str| word.starts_with('-');
    let services = cli.services.iter().filter(|_| cli.command != Command::Report);
    assert!(!cli.targets.iter().chain(services).chain(&cli.files).any(is_option), "an option as a target or a file");
    let flags = [cli.quiet, cli.verbose, cli.watch, cli.json, cli.unless_stopped, cli.for_restart, cli.hand_over];
    let once = [cli.file.is_some(), cli.rounds.is_some(), cli.duration.is_some()].into_iter().chain(flags);
    let said = cli.settings.len() + cli.targets.len() + cli.services.len() + once.filter(|is_said| *is_said).count();
    assert!(said <= words.len(), "more settings than words");
}

/// The same command line again, with every part in its longest form.
fn says_the_same_in_full(cli: &Cli) {
    let mut full = vec![cli.command.word().to_string()];
    full.extend(cli.topic.map(|topic| topic.word().to_string()));
    let services = cli.services.iter().map(|service| match cli.command {
        Command::Report => format!("--service={service}"),
        _ => service.to_string(),
    });
    full.extend(services);
    full.extend(cli.targets.iter().chain(&cli.files).map(|word| word.to_string()));
    let flags = [
        ("--quiet", cli.quiet),
        ("--verbose", cli.verbose),
        ("--watch", cli.watch),
        ("--json", cli.json),
        ("--unless-stopped", cli.unless_stopped),
        ("--for-restart", cli.for_restart),
        ("--hand-over", cli.hand_over),
        ("--strict", cli.strict),
        ("--html", cli.html),
    ];
    for (flag, is_set) in flags {
        full.extend(is_set.then(|| flag.to_string()));
    }
    full.extend(cli.rounds.map(|rounds| format!("--rounds={rounds}")));
    full.extend(cli.duration.map(|duration| format!("--for={duration}")));
    full.extend(cli.file.map(|file| format!("--config={file}")));
    full.extend(cli.last.map(|last| format!("--last={last}")));
    full.extend(cli.output.map(|output| format!("--output={output}")));
    // An offset can lead to a year that cannot be written.
    let is_out_of_range = |time: &Time| matches!(time, Time::Moment(unix) if !(0..253_402_300_800).contains(unix));
    if cli.span.iter().flatten().any(is_out_of_range) {
        return;
    }
    for (option, time) in ["--from", "--to"].into_iter().zip(cli.span) {
        let clock = |unix| WallTime { unix, nanos: 0, offset: 0 };
        full.extend(time.map(|time| match time {
            Time::Local(civil) => format!("{option}={}", clock(civil)),
            Time::Moment(unix) => format!("{option}={}+00:00", clock(unix)),
        }));
    }
    for (directive, value) in &cli.settings {
        full.extend([format!("--{}", directive.name().replace('_', "-")), value.to_string()]);
    }
    let full: Vec<&str> = full.iter().map(String::as_str).collect();
    assert_eq!(parse(&full).as_ref(), Ok(cli), "written out in full: {full:?}");
}

/// The configuration reader's mistakes name the command line, one line each.
fn its_settings_are_told_as_its_own(cli: &Cli, config: &mut Config) {
    let mut told = Vec::new();
    let mut tell = |what: std::fmt::Arguments<'_>| told.push(what.to_string());
    let mut reader = Reader::new(config, &mut tell);
    for (directive, value) in &cli.settings {
        reader.option(*directive, value);
    }
    for target in &cli.targets {
        reader.argument(target);
    }
    let mistakes = reader.finish(true);
    assert_eq!(mistakes, told.len());
    let words: Vec<&str> = cli.settings.iter().map(|(_, value)| *value).chain(cli.targets.iter().copied()).collect();
    for mistake in &told {
        is_a_message(mistake, &words);
    }
    assert!(mistakes > 0 || config.targets.len() == cli.targets.len(), "a target is lost");
}

/// A mistake begins with its position, and is one line unless a word that it quotes is more.
fn is_a_message(mistake: &str, words: &[&str]) {
    let what = mistake.strip_prefix("command line: ").unwrap_or_default();
    assert!(!what.is_empty(), "no position: {mistake:?}");
    assert!(!mistake.contains('\n') || words.iter().any(|word| word.contains('\n')), "two lines: {mistake:?}");
}
