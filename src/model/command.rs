//! The table of commands and of their options, and the usage texts that are made of it.

use crate::base::words;
use crate::model::directive::Directive;

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
    /// Sum up the daily files.
    Report,
    /// Print the ledger's content for Prometheus.
    Metrics,
    /// Answer one request of a web server.
    Cgi,
    /// Print the sample configuration.
    Sample,
    /// Print a usage text.
    Help,
    /// Print the version.
    Version,
}

/// A set of commands, a bit each.
type Commands = u16;

const RUN: Commands = Command::Run.bit();
const START: Commands = Command::Start.bit();
const STOP: Commands = Command::Stop.bit();
const RELOAD: Commands = Command::Reload.bit();
const STATUS: Commands = Command::Status.bit();
const ONCE: Commands = Command::Once.bit();
const CHECK: Commands = Command::Check.bit();
const REPORT: Commands = Command::Report.bit();
const METRICS: Commands = Command::Metrics.bit();
const CGI: Commands = Command::Cgi.bit();
const HELP: Commands = Command::Help.bit();

/// Those that read the whole configuration: targets and every setting count for them.
const READERS: Commands = RUN | START | RELOAD | ONCE | CHECK;

/// Those for which only the settings count that say where a run is found.
const FINDERS: Commands = STOP | STATUS | REPORT | METRICS | CGI;

/// The line of each command in the usage of tcpmon. It begins with the command's word.
static COMMANDS: [&str; 13] = [
    "  run      watch the targets until a signal ends it (the default)\n",
    "  start    the same in the background, for cron and at boot\n",
    "  stop     end the run and wait for its last report\n",
    "  reload   check the file, let the run read it again, print what has changed\n",
    "  status   show the state of each target and the counts, also of a killed run\n",
    "  once     probe each target one time\n",
    "  check    report every mistake in the configuration, and what cannot work\n",
    "  report   sum up the daily files: availability, outages, reasons, times\n",
    "  metrics  print the counts for Prometheus\n",
    "  cgi      answer a request of this box's web server: page, metrics, JSON\n",
    "  sample   print a configuration to start from\n",
    "  help     print the usage, or that of a command: tcpmon help COMMAND\n",
    "  version  print the version\n",
];

/// What an option sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sets {
    File,
    Rounds,
    Duration,
    Quiet,
    Verbose,
    Watch,
    Json,
    UnlessStopped,
    ForRestart,
    HandOver,
    Strict,
    Last,
    From,
    To,
    Service,
    Html,
    Output,
    Help,
    Version,
    /// A setting of the configuration.
    Setting(Directive),
}

/// The options that are no settings: what each sets, and the commands that use it.
static OPTIONS: [(Sets, Commands); 19] = [
    (Sets::File, READERS | FINDERS),
    (Sets::Rounds, RUN | START),
    (Sets::Duration, RUN | START),
    (Sets::Quiet, READERS | FINDERS),
    (Sets::Verbose, RUN | START | STATUS | ONCE | CHECK),
    (Sets::Watch, STATUS),
    (Sets::Json, STATUS | ONCE | REPORT),
    (Sets::UnlessStopped, START),
    (Sets::ForRestart, STOP),
    (Sets::HandOver, RUN),
    (Sets::Strict, CHECK),
    (Sets::Last, REPORT),
    (Sets::From, REPORT),
    (Sets::To, REPORT),
    (Sets::Service, REPORT),
    (Sets::Html, REPORT),
    (Sets::Output, REPORT | METRICS),
    (Sets::Help, Commands::MAX),
    (Sets::Version, Commands::MAX),
];

/// Their lines in the usage of a command, from which their names are read.
static ROWS: [&str; 19] = [
    "  -c, --config FILE     read FILE; else, if no target is given, ./tcpmon.conf,
                        else /etc/tcpmon.conf, else a few public resolvers\n",
    "  -n, --rounds ROUNDS   end after this number of ticks of each target\n",
    "      --for DURATION    end after this time\n",
    "  -q, --quiet           nothing on standard output\n",
    "  -v, --verbose         print more; a run: also what this kernel lacks\n",
    "  -w, --watch           show it again every second\n",
    "  -j, --json            one line of JSON, for programs\n",
    "      --unless-stopped  nothing if it was stopped or has no target yet\n",
    "      --for-restart     it does not stay stopped\n",
    "      --hand-over       end when user has log and ledger\n",
    "      --strict          a warning is a mistake: exit status 2\n",
    "      --last DURATION   the time until now: 24h, 14d\n",
    "      --from TIME       from this local time on, 2025-10-09T03:12; a date:
                        from its midnight\n",
    "      --to TIME         before this local time\n",
    "      --service SERVICE only this service; can be repeated\n",
    "      --html            a page for a browser\n",
    "  -o, --output FILE     write FILE, which readers never see half written\n",
    "  -h, --help            this text\n",
    "  -V, --version         the version\n",
];

/// The long name in a row, and whether a value follows. It begins in the seventh column, a letter in the third one.
#[inline(never)]
fn name(row: &'static str) -> (&'static str, bool) {
    let mut rest = row.get(6..).unwrap_or_default();
    // Two blanks end the names.
    (words::next_word(&mut rest), !rest.starts_with("  "))
}

/// Whether a setting also counts for [`FINDERS`].
fn is_of_place(directive: Directive) -> bool {
    matches!(directive, Directive::LogDir | Directive::Ledger | Directive::User | Directive::Sandbox)
}

/// A word in three parts, with `-` for the `_` that a directive may have.
#[inline(never)]
pub(super) fn dashed(word: &str) -> [&str; 3] {
    match words::split_once(word, b'_') {
        Some((start, end)) => [start, "-", end],
        None => [word, "", ""],
    }
}

/// What the option of this name sets, whether it has a value, and whether this command uses it.
#[inline(never)]
pub(super) fn option(wanted: &str, command: Command) -> Option<(Sets, bool, bool)> {
    let (sets, has_value, commands) = match Directive::of_option(wanted) {
        Some(directive) => {
            let commands = if is_of_place(directive) { READERS | FINDERS } else { READERS };
            (Sets::Setting(directive), true, commands)
        }
        None => {
            let is_it = |row| name(row).0 == wanted || row.get(2..4) == Some(wanted);
            let at = ROWS.iter().position(|row| is_it(row))?;
            (OPTIONS[at].0, name(ROWS[at]).1, OPTIONS[at].1)
        }
    };
    Some((sets, has_value, commands & command.bit() != 0))
}

/// The option's word, without its dashes, that is nearly the name in this argument.
pub(super) fn near_option(argument: &str) -> Option<&'static str> {
    let name = words::split_once(argument, b'=').map_or(argument, |(name, _)| name);
    let name = name.strip_prefix("--").unwrap_or(name);
    words::nearest(name, &ROWS, |row| &self::name(row).0[2..])
        .or_else(|| words::nearest(name, Directive::WORDS, |word| word))
}

impl Command {
    const ALL: [Command; 13] = [
        Command::Run,
        Command::Start,
        Command::Stop,
        Command::Reload,
        Command::Status,
        Command::Once,
        Command::Check,
        Command::Report,
        Command::Metrics,
        Command::Cgi,
        Command::Sample,
        Command::Help,
        Command::Version,
    ];

    const fn bit(self) -> Commands {
        1 << self as Commands
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        word(COMMANDS[self as usize])
    }

    /// The command of this word.
    pub(super) fn of_word(name: &str) -> Option<Command> {
        Self::ALL.iter().copied().find(|command| command.word() == name)
    }

    /// The command whose word is nearly this one.
    pub(super) fn near(name: &str) -> Option<Command> {
        Command::of_word(words::nearest(name, &COMMANDS, word)?)
    }

    /// Whether targets are given to it.
    pub(super) fn has_targets(self) -> bool {
        self.bit() & READERS != 0
    }
}

/// The first word of a line.
#[inline(never)]
fn word(mut line: &'static str) -> &'static str {
    words::next_word(&mut line)
}

/// The usage text of a command, or of tcpmon.
pub fn usage(topic: Option<Command>) -> String {
    let mut usage = String::new();
    write(topic, &mut |text| usage.push_str(text));
    usage
}

#[inline(never)] // Else the closure would be inlined in many places.
fn write(topic: Option<Command>, push: &mut dyn FnMut(&str)) {
    let Some(command) = topic else {
        push(
            "usage: tcpmon [COMMAND] [OPTIONS] [SERVICE=HOST:PORT ...]

Times name lookups and TCP connects to every target, every 2 seconds, and
appends a table to a daily log. An IPv6 address is written in brackets:
db=[2001:db8::5]:5432

",
        );
        COMMANDS.iter().for_each(|line| push(line));
        push("\ntcpmon COMMAND --help lists the options of a command, also of run.\n");
        return;
    };
    let bit = command.bit();
    push("usage: tcpmon ");
    push(command.word());
    push(match bit {
        STATUS => " [OPTIONS] [SERVICE ...]",
        REPORT => " [OPTIONS] [FILE | DIRECTORY ...]",
        HELP => " [COMMAND]",
        _ if command.has_targets() => " [OPTIONS] [SERVICE=HOST:PORT ...]",
        _ => " [OPTIONS]",
    });
    push("\n\n");
    push(COMMANDS[command as usize]);
    push(match bit {
        RUN => "signals: TERM, INT end; HUP re-reads the file; USR1 reports; QUIT prints counts\n",
        STATUS => "exit status: 0 all up, 2 one down, 3 not running, 1 not known\n",
        ONCE => "exit status: 0 all connected, 2 one did not, 3 not checked\n",
        _ => "",
    });
    push("\n");
    for ((_, commands), row) in OPTIONS.iter().zip(&ROWS) {
        if commands & bit != 0 {
            push(row);
        }
    }
    if bit & (READERS | FINDERS) != 0 {
        push("\nsettings, each with its value, as tcpmon sample shows them:\n");
        let mut column = 0;
        for directive in Directive::ALL {
            if is_of_place(directive) || bit & READERS != 0 {
                push(if column == 6 { "\n  --" } else { "  --" });
                column = if column == 6 { 1 } else { column + 1 };
                dashed(directive.name()).into_iter().for_each(&mut *push);
            }
        }
        push("\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_the_order_of_the_enum() {
        for (at, command) in Command::ALL.into_iter().enumerate() {
            assert_eq!((command as usize, Command::of_word(command.word())), (at, Some(command)));
            assert_eq!(format!("{command:?}").to_lowercase(), command.word());
        }
    }

    #[test]
    fn every_usage_fits_a_small_terminal() {
        for topic in [None].into_iter().chain(Command::ALL.map(Some)) {
            let usage = usage(topic);
            assert!(usage.ends_with('\n') && usage.lines().count() < 24, "{usage}");
            assert!(usage.lines().all(|line| line.len() < 80 && line == line.trim_end()), "{usage}");
        }
    }

    #[test]
    fn the_usage_of_a_command_has_the_options_that_it_uses_and_no_other() {
        let settings = Directive::ALL.map(|directive| format!("--{}", directive.name().replace('_', "-")));
        let options =
            ROWS.into_iter().flat_map(|row| [name(row).0, &row[2..4]]).filter(|name| *name != "  ").map(str::to_string);
        let all: Vec<String> = options.chain(settings).collect();
        for command in Command::ALL {
            let usage = usage(Some(command));
            let shown: Vec<&str> = usage.split(|c: char| c.is_whitespace() || c == ',').collect();
            for name in &all {
                let (.., is_used) = option(name, command).expect(name);
                assert_eq!(shown.contains(&name.as_str()), is_used, "{name} {usage}");
            }
        }
    }

    #[test]
    fn names_and_values_are_read_from_the_usage() {
        for (name, sets, has_value) in [
            ("-c", Sets::File, true),
            ("--config", Sets::File, true),
            ("--for", Sets::Duration, true),
            ("--quiet", Sets::Quiet, false),
            ("--unless-stopped", Sets::UnlessStopped, false),
            ("--log-dir", Sets::Setting(Directive::LogDir), true),
        ] {
            let (found, found_value, _) = option(name, Command::Run).expect(name);
            assert_eq!((found, found_value), (sets, has_value), "{name}");
        }
        for name in ["", "-", "--", "-x", "FILE", "-c,", "config"] {
            assert!(option(name, Command::Run).is_none(), "{name}");
        }
    }
}
