//! The command line: arguments to [`Cli`]. What its settings and targets mean is `config`'s work.

use core::fmt;

use crate::base::time::Nanos;
use crate::model::directive::Directive;

/// The usage text.
pub const USAGE: &str = "\
usage: tcpmon [COMMAND] [OPTIONS] [SERVICE=HOST:PORT ...]

Times name lookups and TCP connects to every target, every 2 seconds, and appends a table to a daily log.

commands:
  run       watch the targets until told to end (what is done without a command)
  start     the same in the background, for cron and at boot; nothing is done if it runs already
  stop      end what runs in the background, and wait for its last report
  status    show how the targets do and what was counted; also of a run that was killed
  once      probe each target one time; exit status 0: all connected, 2: one did not, 3: it could not be checked
  check     read the configuration and report every mistake; exit status 0 or 2
  sample    print a configuration to start from

options:
  -c, --config FILE     read FILE (else, without targets here: ./tcpmon.conf, else /etc/tcpmon.conf,
                        else a few public resolvers are watched)
  -n, --rounds ROUNDS   end after so many ticks of each target
      --for DURATION    end after so long
  -q, --quiet           nothing on standard output
  -v, --verbose         say also what this kernel does not have
  -w, --watch           for status: show it again and again
  -j, --json            for status: for programs, a line of JSON
  -h, --help            this text
  -V, --version         the version
and, with the same words as in a configuration, whose settings they replace:
      --interval DURATION   --timeout DURATION   --slow DURATION   --report DURATION
      --log-dir DIRECTORY   --keep DAYS          --ledger FILE      --helpers COUNT
      --spread on|off       --close fin|rst      --user NAME        --sandbox on|off

An IPv6 address is written in brackets: db=[2001:db8::5]:5432
signals: TERM, INT: last report and end   HUP: re-read the file   USR1: report now   QUIT: summary
";

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    /// TargetEntry.
    #[default]
    Run,
    /// TargetEntry in the background.
    Start,
    /// End what runs.
    Stop,
    /// Show what the ledger has.
    Status,
    /// Probe each target one time.
    Once,
    /// Check the configuration.
    Check,
    /// Print the sample configuration.
    Sample,
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

/// The command line, in parts. Its texts live as long as the process: a reload needs them again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cli {
    /// What is to be done.
    pub command: Command,
    /// `-c`
    pub file: Option<&'static str>,
    /// `-q`
    pub quiet: bool,
    /// `-v`
    pub verbose: bool,
    /// `-w`
    pub watch: bool,
    /// `-j`
    pub json: bool,
    /// `-n`
    pub rounds: Option<u32>,
    /// `--for`
    pub duration: Option<Nanos>,
    /// Settings in the order they were given.
    pub settings: Vec<(Directive, &'static str)>,
    /// Targets in the order they were given.
    pub targets: Vec<&'static str>,
}

/// The words that stand for a command.
const COMMANDS: [(&str, Command); 9] = [
    ("run", Command::Run),
    ("start", Command::Start),
    ("stop", Command::Stop),
    ("status", Command::Status),
    ("once", Command::Once),
    ("check", Command::Check),
    ("sample", Command::Sample),
    ("help", Command::Help),
    ("version", Command::Version),
];

/// An option without a value: its letter, its word, and what it does.
type Flag = (&'static str, &'static str, fn(&mut Cli));

const FLAGS: [Flag; 6] = [
    ("-h", "--help", |cli| cli.command = Command::Help),
    ("-V", "--version", |cli| cli.command = Command::Version),
    ("-q", "--quiet", |cli| cli.quiet = true),
    ("-v", "--verbose", |cli| cli.verbose = true),
    ("-w", "--watch", |cli| cli.watch = true),
    ("-j", "--json", |cli| cli.json = true),
];

/// An option that has a value.
#[derive(Clone, Copy)]
enum Valued {
    File,
    Rounds,
    Duration,
    Setting(Directive),
}

/// The option of this name.
fn valued(option: &str) -> Option<Valued> {
    match option {
        "-c" | "--config" => Some(Valued::File),
        "-n" | "--rounds" => Some(Valued::Rounds),
        "--for" => Some(Valued::Duration),
        _ => {
            let name = option.strip_prefix("--")?;
            Directive::ALL.into_iter().find(|directive| directive.option() == name).map(Valued::Setting)
        }
    }
}

impl Cli {
    /// Reads the arguments behind the program's name. `tell` gets every mistake, a line without its
    /// newline; then the result is the command as far as it is known.
    pub fn parse(
        arguments: impl IntoIterator<Item = &'static str>,
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> Result<Cli, Command> {
        let mut cli = Cli::default();
        let mut is_right = true;
        let mut arguments = arguments.into_iter().peekable();
        let first = arguments.peek().copied().unwrap_or_default();
        if let Some((_, command)) = COMMANDS.iter().find(|(word, _)| *word == first) {
            cli.command = *command;
            arguments.next();
        }
        while let Some(argument) = arguments.next() {
            if argument.starts_with('-') {
                is_right &= cli.take(argument, &mut arguments, tell);
            } else {
                cli.targets.push(argument);
            }
        }
        if is_right { Ok(cli) } else { Err(cli.command) }
    }

    /// Takes in an option and its value. Returns whether that is right.
    #[inline(never)] // It would be taken apart to get what is constant out of the loop.
    fn take(
        &mut self,
        argument: &'static str,
        rest: &mut dyn Iterator<Item = &'static str>,
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> bool {
        let (option, joined) = match argument.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value)),
            // A value may stand right behind its letter: -n5, -cFILE.
            _ => match argument.split_at_checked(2) {
                Some((option @ ("-n" | "-c"), value)) if !value.is_empty() => (option, Some(value)),
                _ => (argument, None),
            },
        };
        if let Some((_, _, set)) = FLAGS.iter().find(|(letter, word, _)| [*letter, *word].contains(&option)) {
            set(self);
            return true;
        }
        let Some(valued) = valued(option) else {
            tell(format_args!("command line: unknown option \"{option}\", tcpmon --help lists those there are"));
            return false;
        };
        let value = joined.or_else(|| rest.next()).unwrap_or_default();
        if value.is_empty() {
            tell(format_args!("command line: {option} has no value, write one behind it"));
            return false;
        }
        match valued {
            Valued::File => self.file = Some(value),
            Valued::Setting(directive) => self.settings.push((directive, value)),
            Valued::Rounds => {
                self.rounds = value.parse().ok().filter(|rounds| *rounds > 0);
                if self.rounds.is_none() {
                    let most = u32::MAX;
                    tell(format_args!("command line: {option} \"{value}\" is no number of rounds, use 1 to {most}"));
                    return false;
                }
            }
            Valued::Duration => {
                self.duration = Nanos::parse(value).filter(|duration| *duration > Nanos::ZERO);
                if self.duration.is_none() {
                    tell(format_args!(
                        "command line: {option} \"{value}\" is no duration, write one like 30s, 5m or 1h"
                    ));
                    return false;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &'static str) -> Result<Cli, (Command, Vec<String>)> {
        let mut mistakes = Vec::new();
        let parsed = Cli::parse(line.split_whitespace(), &mut |mistake| mistakes.push(mistake.to_string()));
        parsed.map_err(|command| (command, mistakes))
    }

    #[test]
    fn commands_options_and_targets_are_told_apart() {
        let cli = parse("once -c f -q -n 3 --for 1h --interval 1s --log-dir=/tmp web=h:1 db=[::1]:2");
        assert_eq!(
            cli,
            Ok(Cli {
                command: Command::Once,
                file: Some("f"),
                quiet: true,
                verbose: false,
                watch: false,
                json: false,
                rounds: Some(3),
                duration: Some(Nanos::from_secs(3600)),
                settings: vec![(Directive::Interval, "1s"), (Directive::LogDir, "/tmp")],
                targets: vec!["web=h:1", "db=[::1]:2"],
            })
        );
        assert_eq!(parse("-n5 -cfile").map(|cli| (cli.rounds, cli.file)), Ok((Some(5), Some("file"))));
        assert_eq!(parse(""), Ok(Cli::default()));
        assert_eq!(parse("web=h:1 once").map(|cli| cli.targets), Ok(vec!["web=h:1", "once"]));
        assert_eq!(parse("-h").map(|cli| cli.command), Ok(Command::Help));
        assert_eq!(parse("check -V").map(|cli| cli.command), Ok(Command::Version));
    }

    #[test]
    fn every_mistake_is_told() {
        assert_eq!(
            parse("once --intervall 1s -n 0 --for x -c"),
            Err((
                Command::Once,
                vec![
                    "command line: unknown option \"--intervall\", tcpmon --help lists those there are".into(),
                    "command line: -n \"0\" is no number of rounds, use 1 to 4294967295".into(),
                    "command line: --for \"x\" is no duration, write one like 30s, 5m or 1h".into(),
                    "command line: -c has no value, write one behind it".into(),
                ]
            ))
        );
    }

    #[test]
    fn the_usage_names_every_command_option_and_setting() {
        for directive in Directive::ALL {
            assert!(USAGE.contains(&format!("--{} ", directive.option())), "{directive:?}");
        }
        for word in [
            "run",
            "start",
            "stop",
            "status",
            "once",
            "check",
            "sample",
            "--config",
            "--rounds",
            "--for",
            "--quiet",
            "--verbose",
            "--watch",
            "--json",
            "--help",
            "--version",
        ] {
            assert!(USAGE.contains(&format!("  {word} ")) || USAGE.contains(&format!(" {word} ")), "{word}");
        }
    }
}
