//! The command line: arguments to [`Cli`]. Its settings and targets are checked by [`super::reader`].

use core::fmt;

use crate::base::time::Nanos;
use crate::base::words;
use crate::model::directive::Directive;

/// The usage text.
pub const USAGE: &str = "\
usage: tcpmon [COMMAND] [OPTIONS] [SERVICE=HOST:PORT ...]

Times name lookups and TCP connects to every target, every 2 seconds, and appends a table to a daily log.

commands:
  run       watch the targets until a signal ends it (the default)
  start     the same in the background, for cron and at boot; does nothing if it runs already
  stop      end the run and wait for its last report; it stays stopped until start by hand or a reboot
  reload    check the file, let the run read it again, and print what has changed
  status    show the state of each target and all counts, also of a killed run; exit status 0: all up,
            2: one is down, 3: not running, 1: it cannot be told
  once      probe each target one time; exit status 0: all connected, 2: one did not, 3: it could not be checked
  check     read the configuration, report every mistake and what will not work here; exit status 0 or 2;
            -v prints it with the origin of each setting
  sample    print a configuration to start from

options:
  -c, --config FILE     read FILE (else, without targets here: ./tcpmon.conf, else /etc/tcpmon.conf,
                        else a few public resolvers are watched)
  -n, --rounds ROUNDS   end after this number of ticks of each target
      --for DURATION    end after this time
  -q, --quiet           nothing on standard output
  -v, --verbose         also report what this kernel lacks
  -w, --watch           for status: show it again every second
  -j, --json            for status and once: one line of JSON, for programs
      --unless-stopped  for start, by cron: nothing if it was stopped or has no target yet
      --for-restart     for stop: it does not stay stopped
      --strict          for check: a warning makes the exit status 2, too
  -h, --help            this text
  -V, --version         the version
settings, with the words of a configuration file, which they replace:
      --interval DURATION   --timeout DURATION   --slow DURATION   --report DURATION
      --log-dir DIRECTORY   --keep \"14d 8M\"      --ledger FILE      --helpers COUNT
      --times on|off        --events on|off      --samples on|off   --syslog on|off
      --down-after COUNT    --up-after COUNT     --spread on|off    --close fin|rst
      --user NAME           --sandbox on|off

An IPv6 address is written in brackets: db=[2001:db8::5]:5432
signals: TERM, INT: last report and end   HUP: re-read the file   USR1: report now   QUIT: summary
";

/// The command of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    /// Watch the targets.
    #[default]
    Run,
    /// Watch them in the background.
    Start,
    /// End the run in the background.
    Stop,
    /// Let the run read its configuration again.
    Reload,
    /// Show the ledger's content.
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

/// The command line in parts. Its texts live as long as the process, because a reload reads them again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cli {
    /// The command.
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
    /// `--unless-stopped`
    pub unless_stopped: bool,
    /// `--for-restart`
    pub for_restart: bool,
    /// `--strict`
    pub strict: bool,
    /// `-n`
    pub rounds: Option<u32>,
    /// `--for`
    pub duration: Option<Nanos>,
    /// Settings in their order.
    pub settings: Vec<(Directive, &'static str)>,
    /// Targets in their order.
    pub targets: Vec<&'static str>,
}

const COMMANDS: [(&str, Command); 10] = [
    ("run", Command::Run),
    ("start", Command::Start),
    ("stop", Command::Stop),
    ("reload", Command::Reload),
    ("status", Command::Status),
    ("once", Command::Once),
    ("check", Command::Check),
    ("sample", Command::Sample),
    ("help", Command::Help),
    ("version", Command::Version),
];

/// An option without a value: its letter, if it has one, its word and its effect.
type Flag = (&'static str, &'static str, fn(&mut Cli));

const FLAGS: [Flag; 9] = [
    ("-h", "--help", |cli| cli.command = Command::Help),
    ("-V", "--version", |cli| cli.command = Command::Version),
    ("-q", "--quiet", |cli| cli.quiet = true),
    ("-v", "--verbose", |cli| cli.verbose = true),
    ("-w", "--watch", |cli| cli.watch = true),
    ("-j", "--json", |cli| cli.json = true),
    ("", "--unless-stopped", |cli| cli.unless_stopped = true),
    ("", "--for-restart", |cli| cli.for_restart = true),
    ("", "--strict", |cli| cli.strict = true),
];

/// An option with a value.
#[derive(Clone, Copy)]
enum Valued {
    File,
    Rounds,
    Duration,
    Setting(Directive),
}

impl Valued {
    /// What its value is, for a message.
    fn noun(self) -> &'static str {
        match self {
            Valued::File => "a file name",
            Valued::Rounds => "a number of rounds",
            Valued::Duration => "a duration",
            Valued::Setting(directive) => directive.kind().noun(),
        }
    }
}

fn valued(option: &str) -> Option<Valued> {
    match option {
        "-c" | "--config" => Some(Valued::File),
        "-n" | "--rounds" => Some(Valued::Rounds),
        "--for" => Some(Valued::Duration),
        _ => Directive::of_option(option).map(Valued::Setting),
    }
}

impl Cli {
    /// Reads the arguments after the program's name. `tell` gets every mistake, a line without its newline.
    /// After a mistake the result is the command, as far as it was read.
    pub fn parse(
        arguments: impl IntoIterator<Item = &'static str>,
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> Result<Cli, Command> {
        let mut cli = Cli::default();
        let mut is_valid = true;
        let mut arguments = arguments.into_iter().peekable();
        let first = arguments.peek().copied().unwrap_or_default();
        if let Some((_, command)) = COMMANDS.iter().find(|(word, _)| *word == first) {
            cli.command = *command;
            arguments.next();
        }
        while let Some(argument) = arguments.next() {
            if argument.starts_with('-') {
                is_valid &= cli.read_option(argument, &mut arguments, tell);
            } else {
                cli.targets.push(argument);
            }
        }
        if is_valid { Ok(cli) } else { Err(cli.command) }
    }

    /// Reads an option and its value. Returns whether they are valid.
    #[inline(never)] // LLVM would hoist its constants into the caller's loop.
    fn read_option(
        &mut self,
        argument: &'static str,
        rest: &mut dyn Iterator<Item = &'static str>,
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> bool {
        let (option, joined) = match words::split_once(argument, b'=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value)),
            // A value may follow its letter directly: -n5, -cFILE.
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
            tell(format_args!("command line: {option} needs {}", valued.noun()));
            return false;
        }
        match valued {
            Valued::File => self.file = Some(value),
            Valued::Setting(directive) => self.settings.push((directive, value)),
            Valued::Rounds => {
                self.rounds = words::count(value, u32::MAX);
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
                unless_stopped: false,
                for_restart: false,
                strict: false,
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
    fn an_option_without_its_value_says_what_it_needs() {
        let options = "-c --config -n --rounds --for --interval --report --log-dir --keep --ledger --times --down-after \
                       --spread --close --helpers --user --sandbox=";
        let needs: Vec<_> = options.split(' ').map(|option| parse(option).map_err(|(_, mistakes)| mistakes)).collect();
        let expected = [
            "-c needs a file name",
            "--config needs a file name",
            "-n needs a number of rounds",
            "--rounds needs a number of rounds",
            "--for needs a duration",
            "--interval needs a duration",
            "--report needs a duration",
            "--log-dir needs a directory",
            "--keep needs days, bytes, both or all",
            "--ledger needs a file name",
            "--times needs on or off",
            "--down-after needs a number",
            "--spread needs on or off",
            "--close needs fin or rst",
            "--helpers needs a number",
            "--user needs a user name",
            "--sandbox needs on or off",
        ];
        assert_eq!(needs, expected.map(|what| Err(vec![format!("command line: {what}")])));
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
                    "command line: -c needs a file name".into(),
                ]
            ))
        );
    }

    #[test]
    fn the_usage_names_every_command_option_and_setting() {
        let settings: Vec<Directive> = USAGE.split_whitespace().filter_map(Directive::of_option).collect();
        for directive in Directive::ALL {
            assert!(settings.contains(&directive), "{directive:?}");
        }
        for word in [
            "run",
            "start",
            "stop",
            "reload",
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
            "--unless-stopped",
            "--for-restart",
            "--strict",
            "--help",
            "--version",
        ] {
            assert!(USAGE.contains(&format!("  {word} ")) || USAGE.contains(&format!(" {word} ")), "{word}");
        }
    }
}
