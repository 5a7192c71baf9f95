//! The command line: words, separated by NUL.

use std::cell::RefCell;

use tcpmon::base::time::Nanos;
use tcpmon::model::cli::{Cli, Command};
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
    assert!(cli.services.iter().all(|service| words.contains(service)), "a service that is not in the words");
    let is_option = |word: &&str| word.starts_with('-');
    assert!(!cli.targets.iter().chain(&cli.services).any(is_option), "an option as a target");
    let flags = [cli.quiet, cli.verbose, cli.watch, cli.json, cli.unless_stopped, cli.for_restart, cli.hand_over];
    let once = [cli.file.is_some(), cli.rounds.is_some(), cli.duration.is_some()].into_iter().chain(flags);
    let said = cli.settings.len() + cli.targets.len() + cli.services.len() + once.filter(|is_said| *is_said).count();
    assert!(said <= words.len(), "more settings than words");
}

/// The same command line again, with every part in its longest form.
fn says_the_same_in_full(cli: &Cli) {
    let mut full = vec![cli.command.word().to_string()];
    full.extend(cli.topic.map(|topic| topic.word().to_string()));
    full.extend(cli.targets.iter().chain(&cli.services).map(|word| word.to_string()));
    let flags = [
        ("--quiet", cli.quiet),
        ("--verbose", cli.verbose),
        ("--watch", cli.watch),
        ("--json", cli.json),
        ("--unless-stopped", cli.unless_stopped),
        ("--for-restart", cli.for_restart),
        ("--hand-over", cli.hand_over),
    ];
    for (flag, is_set) in flags {
        full.extend(is_set.then(|| flag.to_string()));
    }
    full.extend(cli.rounds.map(|rounds| format!("--rounds={rounds}")));
    full.extend(cli.duration.map(|duration| format!("--for={duration}")));
    full.extend(cli.file.map(|file| format!("--config={file}")));
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
