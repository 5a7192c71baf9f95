//! The README, compared with the code: what it says of the configuration, of words and of `make` is so. Its commands are
//! run by `edges::readme`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says where it failed")]

use std::process::Command as Process;

use tcpmon::base::limits;
use tcpmon::base::time::WallTime;
use tcpmon::model::command::usage;
use tcpmon::model::directive::{Directive, Kind};
use tcpmon::model::log_names::Kind as DailyFile;
use tcpmon::model::reader::{Reader, SAMPLE};
use tcpmon::model::reason::Reason;
use tcpmon::model::settings::{Config, Settings};

const README: &str = include_str!("../README.md");
const CI: &str = include_str!("../.ci/run");
/// The manual, which has every kind of event.
const PAGE: &str = include_str!("../src/install/tcpmon.8");

/// The README in one line.
fn readme() -> String {
    README.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A configuration without mistakes.
fn read(text: &str, is_complete: bool) -> Config {
    let mut config = Config::new();
    let mut tell = |mistake: std::fmt::Arguments<'_>| panic!("{mistake}");
    let mut reader = Reader::new(&mut config, &mut tell);
    reader.file("README.md", text.as_bytes());
    if is_complete {
        assert_eq!(reader.finish(true), 0);
    }
    config
}

/// The cells of the row of this section that has this word in its first cell.
fn row(section: &str, first: &str) -> Vec<&'static str> {
    let section = README.split(&format!("\n## {section}\n")).nth(1).unwrap_or_else(|| panic!("no section {section}"));
    let section = section.split("\n## ").next().unwrap();
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    let rows = section.lines().filter(|line| line.starts_with("| ")).map(cells);
    let mut rows = rows.filter(|cells| cells[0].split(", ").any(|name| name == first));
    let found = rows.next().unwrap_or_else(|| panic!("{section} has no row for {first}"));
    assert_eq!(rows.next(), None, "{first}");
    found
}

#[test]
fn the_readme_has_every_directive_with_its_default_and_its_limits() {
    let settings = Settings::default();
    for directive in Directive::ALL {
        let cells = row("Configuration", &format!("`{}`", directive.name()));
        let [_, default, bounds, meaning] = cells[..] else { panic!("{cells:?}") };
        let value = settings.value(directive);
        assert_eq!(default, format!("`{}`", value.as_str().trim_start_matches("./")), "{}", directive.name());
        let expected = match directive.kind() {
            Kind::Duration((least, most)) | Kind::Seconds((least, most)) => format!("`{least}` to `{most}`"),
            Kind::Directory => format!("{} bytes", limits::DIRECTORY),
            Kind::File => "a file of its own".into(),
            Kind::Keep => {
                let (least, most) = limits::KEEP_KB;
                format!("`1d` to `{}d`, `{least}k` to `{}G`", limits::KEEP, most >> 20)
            }
            Kind::Switch => "`on`, `off`".into(),
            Kind::Close => "`fin`, `rst`".into(),
            Kind::Count(most) => format!("`1` to `{most}`"),
            Kind::User => "a user of /etc/passwd".into(),
        };
        assert_eq!(bounds, expected, "{}", directive.name());
        assert!(!meaning.is_empty());
    }
    assert_eq!(row("Configuration", "`target`")[2], "1,024");
    assert_eq!((limits::TARGETS, limits::IN_FLIGHT), (1024, 8192));
}

#[test]
fn the_readme_has_targets_without_mistakes_and_says_what_the_installed_configuration_sets() {
    let targets = README.lines().filter(|line| line.starts_with("    target ")).collect::<Vec<_>>();
    assert_eq!(read(&targets.join("\n"), true).targets.len(), 3);
    let (installed, defaults) = (read(SAMPLE, false).settings, Settings::default());
    let readme = readme();
    let told = readme.split("The installed file differs from these defaults: ").nth(1).expect("the sentence is there");
    let told = told.split('.').next().unwrap_or_default();
    for directive in Directive::ALL {
        let (name, value) = (directive.name(), installed.value(directive));
        let is_told = told.contains(&format!("`{name} {}`", value.as_str()));
        // The ledger is in the log's directory with both.
        let is_default = directive == Directive::Ledger || value.as_str() == defaults.value(directive).as_str();
        assert_eq!(is_told, !is_default, "{name} {}: {told}", value.as_str());
    }
}

#[test]
fn the_readme_names_every_command_daily_file_reason_cause_event_and_exit_status() {
    let readme = readme();
    let usage = usage(None);
    let commands = usage.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for command in commands.filter(|command| !["run", "cgi", "help", "version"].contains(command)) {
        assert!(readme.contains(&format!("tcpmon {command}")), "{command}");
    }
    for kind in DailyFile::ALL {
        let name = kind.name(WallTime { unix: 0, nanos: 0, offset: 0 });
        row("A day with it", &format!("`{}`", name.as_str().replace("19700101", "YYYYMMDD")));
    }
    for reason in Reason::NAMED.map(|reason| reason.to_string()).iter().map(String::as_str).chain(["error N"]) {
        // Counted by earlier versions alone.
        assert!(reason == "reset" || readme.contains(&format!(" {reason}")), "{reason}");
    }
    for cause in ["lookup REASON N", "connect REASON N", "slow by resent SYNs N", "slow path N", "slow lookup N"] {
        assert!(readme.contains(&format!("`{cause}`")), "{cause}");
    }
    let events = PAGE.split(".Sh EVENTS\n").nth(1).and_then(|rest| rest.split("\n.Sh ").next()).unwrap();
    let kinds: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix(".It Li ")).collect();
    assert_eq!(kinds.len(), 12);
    for kind in kinds {
        assert!(readme.contains(&format!("`{kind}`")), "{kind}");
    }
    for status in ["0", "1", "2", "3"] {
        assert_eq!(row("Exit statuses", status).len(), 4, "{status}");
    }
    for name in ["tcpmon_probes_total", "tcpmon_failures_total", "tcpmon_up"] {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
    let version = concat!("**", env!("CARGO_PKG_VERSION"), "**");
    assert!(readme.contains(version), "the changelog has no {version}");
}

#[test]
fn the_make_commands_of_the_readme_are_those_of_the_makefile_and_ci_runs_them() {
    let mut found = 0;
    let commands = README.split('`').filter(|part| !part.contains('\n'));
    let commands = commands.chain(README.lines().filter_map(|line| line.strip_prefix("    ")));
    for command in commands.filter(|command| command.starts_with("make ") && !command.contains("HOST=")) {
        let target = command.split_whitespace().nth(1).unwrap_or_default();
        let made = Process::new("make").args(["-n", target]).output().expect("make runs the tests, too");
        assert!(made.status.success(), "{command}: {made:?}");
        let installs = ["install", "reproducible"].contains(&target);
        assert!(installs || CI.contains(&format!("make {target}")), "{command} is not run by .ci/run");
        found += 1;
    }
    assert!(found > 10, "{found}");
}

#[test]
fn the_readme_fits_a_screen_and_a_patient_reader() {
    let lines: Vec<&str> = README.lines().collect();
    assert!(lines.len() <= 350, "{} lines", lines.len());
    let wide: Vec<&&str> = lines.iter().filter(|line| line.chars().count() > 110).collect();
    assert_eq!(wide, Vec::<&&str>::new());
}
