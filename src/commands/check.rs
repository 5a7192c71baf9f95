//! `tcpmon check`: reads the configuration and looks around this box; it sends and changes nothing.

use super::{MISTAKES, SUCCESS, exit, load};
use crate::base::text::Count;
use crate::model::cli::Cli;
use crate::model::settings::Config;
use crate::render::configuration;
use crate::shell::config_file::{ConfigFile, Source};
use crate::shell::console::Console;
use crate::shell::sandbox::confine_command;
use crate::shell::surroundings::Surroundings;

/// Prints every mistake, or every warning and that there is no mistake; with `-v` the configuration in force, too. Exit
/// status: 0, or 2 if there are mistakes, or with `--strict` warnings.
pub fn check(cli: Cli, console: &mut Console) -> ! {
    let (verbose, strict) = (cli.verbose, cli.strict);
    let mut file = ConfigFile::new(cli);
    let mut config = Config::new();
    let Ok(source) = load(&mut file, &mut config, console) else { exit(MISTAKES) };
    let origin = match source {
        Source::File => file.path().unwrap_or_default(),
        Source::CommandLine => "command line",
        Source::Defaults => "embedded default list",
    };
    let mut surroundings = Surroundings::new(&config, origin, console);
    surroundings.become_user(&file);
    confine_command(config.settings.sandbox);
    surroundings.look();
    let warnings = Count(surroundings.warnings, "warning");
    let mut comment = "";
    if verbose {
        configuration::write(&config, origin, &mut |line| console.line(line));
        comment = "# ";
    }
    let targets = Count(config.targets.len() as u64, "target");
    let in_flight = Count(config.in_flight(), "probe");
    console.line(format_args!("{comment}{origin}: OK, {targets}, at most {in_flight} in flight, {warnings}"));
    exit(if strict && warnings.0 > 0 { MISTAKES } else { SUCCESS })
}
