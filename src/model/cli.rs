//! The command line: arguments to [`Cli`]. Its settings and targets are checked by [`super::reader`].

use core::fmt;

use crate::base::text::Pieces;
use crate::base::time::Nanos;
use crate::base::{calendar, path, words};
pub use crate::model::command::Command;
use crate::model::command::{self, Sets};
use crate::model::directive::Directive;
use crate::model::log_line;
use crate::model::settings::NO_DURATION;

/// A time that `--from` or `--to` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Seconds since 1970 as the local clock shows them (see [`calendar::parse_civil`]).
    Local(i64),
    /// Seconds since 1970, of a time with its offset from UTC.
    Moment(i64),
}

impl Time {
    fn parse(text: &str) -> Option<Self> {
        if let Some(civil) = calendar::parse_civil(text) {
            return Some(Self::Local(civil));
        }
        let (unix, rest) = log_line::moment(text)?;
        rest.is_empty().then_some(Self::Moment(unix))
    }

    /// Whether it can be before another one. Without a time zone, times of two kinds cannot be compared.
    fn may_precede(self, other: Self) -> bool {
        match (self, other) {
            (Self::Local(one), Self::Local(other)) | (Self::Moment(one), Self::Moment(other)) => one < other,
            (Self::Local(_), Self::Moment(_)) | (Self::Moment(_), Self::Local(_)) => true,
        }
    }
}

/// The command line in parts. Its texts live as long as the process, because a reload reads them again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cli {
    /// The command.
    pub command: Command,
    /// The command that help is about; `None`: tcpmon.
    pub topic: Option<Command>,
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
    /// `--hand-over`
    pub hand_over: bool,
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
    /// `--last`
    pub last: Option<Nanos>,
    /// `--from` and `--to`
    pub span: [Option<Time>; 2],
    /// `--html`
    pub html: bool,
    /// `-o`
    pub output: Option<&'static str>,
    /// The services that `status` and `report` show; none: all.
    pub services: Vec<&'static str>,
    /// The files and directories that `report` reads; none: those of the configuration.
    pub files: Vec<&'static str>,
}

impl Cli {
    /// Reads the arguments after the program's name. `tell` gets every mistake, a line without its newline.
    /// After a mistake the result is the command, as far as it was read.
    pub fn parse(
        arguments: impl IntoIterator<Item = &'static str>,
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> Result<Cli, Command> {
        let mut cli = Cli::default();
        let is_valid = cli.read(&mut arguments.into_iter(), tell);
        if !is_valid {
            return Err(cli.command);
        }
        if cli.command != Command::Help {
            cli.topic = None;
        }
        if matches!(cli.command, Command::Help | Command::Version) {
            cli = Cli { command: cli.command, topic: cli.topic, ..Cli::default() };
        }
        Ok(cli)
    }

    /// Reads all arguments. Returns whether they are valid.
    fn read(
        &mut self,
        arguments: &mut dyn Iterator<Item = &'static str>,
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> bool {
        let mut is_valid = true;
        // `self.command` is help or version after such an option.
        let (mut command, mut is_first) = (Command::Run, true);
        while let Some(argument) = arguments.next() {
            let found = Command::of_word(argument);
            if argument.starts_with('-') {
                is_valid &= self.read_option(command, argument, arguments, tell);
            } else if let Some(found) = found.filter(|_| is_first) {
                command = found;
                self.command = found;
                self.topic = Some(found).filter(|_| found != Command::Help);
            } else if command == Command::Status {
                self.services.push(argument);
            } else if command == Command::Report {
                self.files.push(argument);
            } else if command == Command::Help && found.is_some() {
                self.topic = found;
            } else {
                let is_word = !argument.bytes().any(|byte| matches!(byte, b'=' | b':'));
                let near = Command::near(argument).filter(|_| is_word);
                if near.is_none() && command.has_targets() {
                    self.targets.push(argument);
                } else {
                    is_valid = false;
                    tell_unknown(argument, command, "tcpmon ", near.map(Command::word), tell);
                    if let Some(near) = near.filter(|_| is_first) {
                        // What follows is meant for that one.
                        (command, self.command) = (near, near);
                    }
                }
            }
            is_first = false;
        }
        is_valid & self.check_span(tell)
    }

    /// Tells which options contradict each other. Returns whether none do.
    fn check_span(&self, tell: &mut dyn FnMut(fmt::Arguments<'_>)) -> bool {
        let [from, to] = self.span;
        let mistake = match (self.last, from.or(to)) {
            (Some(_), Some(_)) => "--last already says both ends, leave --from and --to out",
            _ if from.zip(to).is_some_and(|(from, to)| !from.may_precede(to)) => "--to is not later than --from",
            _ if self.json && self.html => "-j and --html are two forms, write one of them",
            _ => return true,
        };
        tell(format_args!("command line: {mistake}"));
        false
    }

    /// Reads an option and its value. Returns whether they are valid.
    #[inline(never)] // LLVM would hoist its constants into the caller's loop.
    fn read_option(
        &mut self,
        command: Command,
        argument: &'static str,
        rest: &mut dyn Iterator<Item = &'static str>,
        tell: &mut dyn FnMut(fmt::Arguments<'_>),
    ) -> bool {
        let (option, joined) = match words::split_once(argument, b'=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value)),
            // A value may follow its letter directly: -n5, -cFILE.
            _ => match argument.split_at_checked(2) {
                Some((option @ ("-n" | "-c" | "-o"), value)) if !value.is_empty() => (option, Some(value)),
                _ => (argument, None),
            },
        };
        let found = command::option(option, command).filter(|(_, has_value, _)| *has_value || joined.is_none());
        let Some((sets, has_value, is_used)) = found else {
            tell_unknown(argument, command, "--", command::near_option(argument), tell);
            return false;
        };
        let value = if has_value { joined.or_else(|| rest.next()).unwrap_or_default() } else { option };
        if !is_used {
            tell_unknown(option, command, "", None, tell);
            return false;
        }
        let mut wrong = |what: fmt::Arguments<'_>| tell(format_args!("command line: {option} {what}"));
        if value.is_empty() {
            wrong(format_args!("needs {}", noun(sets)));
            return false;
        }
        self.set(sets, value, &mut wrong)
    }

    /// Sets what an option sets. Returns whether its value is valid.
    fn set(&mut self, sets: Sets, value: &'static str, wrong: &mut dyn FnMut(fmt::Arguments<'_>)) -> bool {
        match sets {
            Sets::File | Sets::Output => {
                let file = Some(value).filter(|value| !path::is_for_shells(value));
                *(if sets == Sets::File { &mut self.file } else { &mut self.output }) = file;
                if file.is_none() {
                    wrong(format_args!("\"{value}\" {}", path::FOR_SHELLS));
                }
                return file.is_some();
            }
            Sets::Service => self.services.push(value),
            Sets::From | Sets::To => {
                let time = Time::parse(value);
                self.span[usize::from(sets == Sets::To)] = time;
                if time.is_none() {
                    wrong(format_args!(
                        "\"{value}\" is no time, write 2025-10-09, 2025-10-09T03:12 or 2025-10-09T03:12:00"
                    ));
                }
                return time.is_some();
            }
            Sets::Setting(directive) => self.settings.push((directive, value)),
            Sets::Rounds => {
                self.rounds = words::count(value, u32::MAX);
                if self.rounds.is_none() {
                    wrong(format_args!("\"{value}\" is no number of rounds, use 1 to {}", u32::MAX));
                }
                return self.rounds.is_some();
            }
            Sets::Duration | Sets::Last => {
                let is_last = sets == Sets::Last;
                let found = if is_last { calendar::parse_days(value) } else { Nanos::parse(value) };
                let duration = found.filter(|duration| *duration > Nanos::ZERO);
                *(if is_last { &mut self.last } else { &mut self.duration }) = duration;
                if duration.is_none() {
                    wrong(format_args!("\"{value}\" {}", if is_last { NO_DAYS } else { NO_DURATION }));
                }
                return duration.is_some();
            }
            Sets::Quiet => self.quiet = true,
            Sets::Verbose => self.verbose = true,
            Sets::Watch => self.watch = true,
            Sets::Json => self.json = true,
            Sets::UnlessStopped => self.unless_stopped = true,
            Sets::ForRestart => self.for_restart = true,
            Sets::HandOver => self.hand_over = true,
            Sets::Strict => self.strict = true,
            Sets::Html => self.html = true,
            Sets::Help => self.command = Command::Help,
            Sets::Version => self.command = Command::Version,
        }
        true
    }
}

/// What is wrong with a text that is no duration of `--last`.
const NO_DAYS: &str = "is no duration, write a number and its unit, like 90m, 24h or 14d";

/// What the value of an option is, for a message.
fn noun(sets: Sets) -> &'static str {
    match sets {
        Sets::Setting(directive) => directive.kind().noun(),
        Sets::Rounds => "a number of rounds",
        Sets::Duration | Sets::Last => "a duration",
        Sets::From | Sets::To => "a time",
        Sets::Service => "a service",
        Sets::File
        | Sets::Output
        | Sets::Html
        | Sets::Quiet
        | Sets::Verbose
        | Sets::Watch
        | Sets::Json
        | Sets::UnlessStopped
        | Sets::ForRestart
        | Sets::HandOver
        | Sets::Strict
        | Sets::Help
        | Sets::Version => "a file name",
    }
}

/// Tells that a command does not know an argument, and what was meant, or where it is told what the command knows.
#[inline(never)]
fn tell_unknown(
    argument: &str,
    command: Command,
    prefix: &str,
    near: Option<&str>,
    tell: &mut dyn FnMut(fmt::Arguments<'_>),
) {
    let word = command.word();
    let hint = match near {
        Some(near) => {
            let [start, dash, end] = command::dashed(near);
            ["did you mean ", prefix, start, dash, end, "?"]
        }
        None => ["see tcpmon ", word, " --help", "", "", ""],
    };
    tell(format_args!("command line: tcpmon {word} does not know \"{argument}\", {}", Pieces(&hint)));
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
        let cli = parse("run -c f -q -n 3 --for 1h --interval 1s --log-dir=/tmp web=h:1 db=[::1]:2");
        assert_eq!(
            cli,
            Ok(Cli {
                file: Some("f"),
                quiet: true,
                rounds: Some(3),
                duration: Some(Nanos::from_secs(3600)),
                settings: vec![(Directive::Interval, "1s"), (Directive::LogDir, "/tmp")],
                targets: vec!["web=h:1", "db=[::1]:2"],
                ..Cli::default()
            })
        );
        assert_eq!(parse("-n5 -cfile").map(|cli| (cli.rounds, cli.file)), Ok((Some(5), Some("file"))));
        assert_eq!(parse(""), Ok(Cli::default()));
        assert_eq!(parse("status web db=1").map(|cli| cli.services), Ok(vec!["web", "db=1"]));
        assert_eq!(parse("check -V --for").map_err(|(command, _)| command), Err(Command::Version));
        assert_eq!(parse("check -V").map(|cli| cli.command), Ok(Command::Version));
    }

    #[test]
    fn help_is_that_of_the_command_if_one_is_named() {
        let topic = |line| parse(line).map(|cli| (cli.command, cli.topic));
        for line in ["-h", "--help", "help", "-q --help", "web=h:1 -h"] {
            assert_eq!(topic(line), Ok((Command::Help, None)), "{line}");
        }
        for line in ["once -h", "help once", "once -q a=h:1 --help"] {
            assert_eq!(topic(line), Ok((Command::Help, Some(Command::Once))), "{line}");
        }
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

    fn mistakes(line: &'static str) -> Vec<String> {
        let mistakes = parse(line).map_or_else(|(_, mistakes)| mistakes, |_| Vec::new());
        mistakes.iter().map(|mistake| mistake.replacen("command line: ", "", 1)).collect()
    }

    #[test]
    fn every_mistake_is_told() {
        assert_eq!(
            mistakes("run --intervall 1s -n 0 --for x --for 5 --colour -c ~/x -c"),
            [
                "tcpmon run does not know \"--intervall\", did you mean --interval?",
                "-n \"0\" is no number of rounds, use 1 to 4294967295",
                "--for \"x\" is no duration, write a number and its unit, like 500ms, 2s, 5m or 1h",
                "--for \"5\" is no duration, write a number and its unit, like 500ms, 2s, 5m or 1h",
                "tcpmon run does not know \"--colour\", see tcpmon run --help",
                "-c \"~/x\" begins with a quote, ~ or $, which only a shell knows; write the path itself",
                "-c needs a file name",
            ]
        );
        assert_eq!(parse("once -c").map_err(|(command, _)| command), Err(Command::Once));
    }

    #[test]
    fn the_period_of_a_report_is_read_and_its_contradictions_are_told() {
        let cli = parse("report --last 14d --service web --service=db -j -oFILE a.log /var/log").expect("it is valid");
        assert_eq!((cli.last, cli.json, cli.output), (Some(Nanos::from_secs(14 * 86_400)), true, Some("FILE")));
        assert_eq!((cli.services, cli.files), (vec!["web", "db"], vec!["a.log", "/var/log"]));
        let span = |line| parse(line).map(|cli| cli.span);
        assert_eq!(
            span("report --from 2025-10-09 --to 2025-10-09T03:12:00"),
            Ok([Some(Time::Local(1_759_968_000)), Some(Time::Local(1_759_979_520))])
        );
        assert_eq!(span("report --to 2025-10-09T03:12"), Ok([None, Some(Time::Local(1_759_979_520))]));
        // As events and the report itself print it.
        assert_eq!(
            span("report --from 2025-10-09T03:12:00+03:00"),
            Ok([Some(Time::Moment(1_759_979_520 - 3 * 3600)), None])
        );
        let no_time = "is no time, write 2025-10-09, 2025-10-09T03:12 or 2025-10-09T03:12:00";
        for (line, mistake) in [
            ("report --from 9.10.2025", format!("--from \"9.10.2025\" {no_time}")),
            ("report --to 2025-02-29", format!("--to \"2025-02-29\" {no_time}")),
            (
                "report --last 24",
                "--last \"24\" is no duration, write a number and its unit, like 90m, 24h or 14d".into(),
            ),
            ("report --last 1h --from 2025-10-09", "--last already says both ends, leave --from and --to out".into()),
            ("report --from 2025-10-09 --to 2025-10-09", "--to is not later than --from".into()),
            (
                "report --from 2025-10-09T03:12:00+03:00 --to 2025-10-09T03:13:00+04:00",
                "--to is not later than --from".into(),
            ),
            ("report --from 2025-10-09T03:12:00x03:00", format!("--from \"2025-10-09T03:12:00x03:00\" {no_time}")),
            ("report --from 2025-10-09T03:12:00+03:00x", format!("--from \"2025-10-09T03:12:00+03:00x\" {no_time}")),
            ("report -j --html", "-j and --html are two forms, write one of them".into()),
            ("metrics --last 1h", "tcpmon metrics does not know \"--last\", see tcpmon metrics --help".into()),
            ("metrics x", "tcpmon metrics does not know \"x\", see tcpmon metrics --help".into()),
            ("report -o", "-o needs a file name".into()),
        ] {
            assert_eq!(mistakes(line), [mistake], "{line}");
        }
    }

    #[test]
    fn what_a_command_does_not_use_is_refused() {
        for (line, mistake) in [
            ("check -n 3", "tcpmon check does not know \"-n\", see tcpmon check --help"),
            ("status --rounds=3", "tcpmon status does not know \"--rounds\", see tcpmon status --help"),
            ("stop -w", "tcpmon stop does not know \"-w\", see tcpmon stop --help"),
            ("-j web=h:1", "tcpmon run does not know \"-j\", see tcpmon run --help"),
            ("stop --interval 3s", "tcpmon stop does not know \"--interval\", see tcpmon stop --help"),
            ("sample --user x", "tcpmon sample does not know \"--user\", see tcpmon sample --help"),
            ("stop web=h:1", "tcpmon stop does not know \"web=h:1\", see tcpmon stop --help"),
            ("version x", "tcpmon version does not know \"x\", see tcpmon version --help"),
        ] {
            assert_eq!(mistakes(line), [mistake], "{line}");
        }
        for line in
            ["once -j", "stop -q --log-dir /x --ledger y --user z --sandbox off", "reload --interval 3s web=h:1"]
        {
            assert_eq!(mistakes(line), Vec::<String>::new(), "{line}");
        }
    }

    #[test]
    fn a_misspelt_word_is_told_with_the_one_that_was_meant() {
        for (line, mistake) in [
            ("statsu -j -w x", "tcpmon run does not know \"statsu\", did you mean tcpmon status?"),
            ("help onec", "tcpmon help does not know \"onec\", did you mean tcpmon once?"),
            ("help me", "tcpmon help does not know \"me\", see tcpmon help --help"),
            ("web=h:1 once", "tcpmon run does not know \"once\", did you mean tcpmon once?"),
            ("once chekc", "tcpmon once does not know \"chekc\", did you mean tcpmon check?"),
            ("--log_dirr=x", "tcpmon run does not know \"--log_dirr=x\", did you mean --log-dir?"),
            ("-interval=3s", "tcpmon run does not know \"-interval=3s\", did you mean --interval?"),
            ("--help=x", "tcpmon run does not know \"--help=x\", did you mean --help?"),
            ("status --jsno", "tcpmon status does not know \"--jsno\", did you mean --json?"),
        ] {
            assert_eq!(mistakes(line), [mistake], "{line}");
        }
        assert_eq!(parse("statsu").map_err(|(command, _)| command), Err(Command::Status));
        // These may be targets, of which the reader tells more.
        for line in ["web", "stat=h:1", "start:1", "web=h:1 once.example"] {
            assert_eq!(mistakes(line), Vec::<String>::new(), "{line}");
        }
    }
}
