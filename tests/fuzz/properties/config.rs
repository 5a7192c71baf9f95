//! The configuration: words of the command line, each followed by NUL, then the file.

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;

use tcpmon::base::limits;
use tcpmon::base::text::Text;
use tcpmon::base::time::WallTime;
use tcpmon::model::directive::Directive;
use tcpmon::model::keep::Keep;
use tcpmon::model::outcome::Columns;
use tcpmon::model::reader::Reader;
use tcpmon::model::settings::Config;
use tcpmon::model::target::{Address, Family, Target};
use tcpmon::render::table::Form;

use super::text_of;

/// The file's name in messages.
const NAME: &str = "tcpmon.conf";

/// The input of the configuration reader.
#[derive(Default)]
struct Given {
    options: Vec<(Directive, String)>,
    arguments: Vec<String>,
    file: Vec<u8>,
}

thread_local! {
    /// Reused for every input, as by a reload: nothing of an earlier one may stay.
    static READ: RefCell<[Config; 2]> = RefCell::new([Config::new(), Config::new()]);
}

/// A configuration is either refused, every mistake with its position, or it keeps every bound, reads
/// the same when written out, and fits its table. Comments and line ends change nothing.
pub fn holds(input: &[u8]) {
    let given = Given::from(input);
    READ.with_borrow_mut(|[config, again]| {
        let told = read(&given, config);
        for mistake in &told {
            is_a_message(mistake, &given);
        }
        let decorated = Given { file: decorated(&given.file), ..Given::from(input) };
        assert_eq!(read(&decorated, again), told, "comments or line ends change something");
        is_the_same(again, config);
        if told.is_empty() {
            keeps_every_bound(config);
            let written = written_out(config);
            let told = read(&written, again);
            assert_eq!(
                told,
                Vec::<String>::new(),
                "refused when written out:\n{}",
                String::from_utf8_lossy(&written.file)
            );
            is_the_same(again, config);
            fits_its_table(config);
        }
    });
}

impl From<&[u8]> for Given {
    fn from(input: &[u8]) -> Self {
        let mut given = Given::default();
        let mut pieces = input.split(|byte| *byte == 0);
        given.file = pieces.next_back().unwrap_or_default().to_vec();
        for word in pieces.map(text_of) {
            let option = word.split_once('=');
            match option.and_then(|(option, value)| Some((Directive::of_option(option)?, value))) {
                Some((directive, value)) => given.options.push((directive, value.to_string())),
                None => given.arguments.push(word.to_string()),
            }
        }
        given
    }
}

/// Reads the input, and returns the mistakes.
fn read(given: &Given, config: &mut Config) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |what: fmt::Arguments<'_>| told.push(what.to_string());
    let mut reader = Reader::new(config, &mut tell);
    for (directive, value) in &given.options {
        reader.option(*directive, value);
    }
    for argument in &given.arguments {
        reader.argument(argument);
    }
    reader.file(NAME, &given.file);
    let mistakes = reader.finish(true);
    assert_eq!(mistakes, told.len(), "a mistake is counted and not told, or told and not counted");
    told
}

/// `FILE:LINE: what is wrong, and what would be right`, one line unless a word that it quotes is
/// more.
fn is_a_message(mistake: &str, given: &Given) {
    let lines = given.file.split(|byte| *byte == b'\n').count();
    let of_a_line = |rest: &str| match rest.split_once(": ") {
        Some((line, what)) => line.parse().is_ok_and(|line| (1..=lines).contains(&line)) && !what.is_empty(),
        None => false,
    };
    let of_the_file = |rest: &str| match rest.strip_prefix(": ") {
        Some(what) => !what.is_empty(),
        None => rest.strip_prefix(':').is_some_and(of_a_line),
    };
    let placed = match mistake.strip_prefix("command line: ") {
        Some(what) => !what.is_empty(),
        None => mistake.strip_prefix(NAME).is_some_and(of_the_file),
    };
    assert!(placed, "no position: {mistake:?}");
    let mut words = given.options.iter().map(|(_, value)| value).chain(&given.arguments);
    assert!(!mistake.contains('\n') || words.any(|word| word.contains('\n')), "two lines: {mistake:?}");
}

/// The same file as another editor might save it: with a byte order mark, a comment after every line,
/// and other line ends.
fn decorated(file: &[u8]) -> Vec<u8> {
    let mut other = Vec::with_capacity(2 * file.len() + 16);
    if !file.starts_with(b"\xef\xbb\xbf") {
        other.extend(b"\xef\xbb\xbf");
    }
    other.extend(file.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(b" \t# target x y 0\r\n".as_slice()));
    other
}

fn is_the_same(one: &Config, other: &Config) {
    assert_eq!(one.settings, other.settings);
    assert_eq!(one.targets, other.targets);
}

/// Every bound of `limits`, and the README's other promises about a configuration in force.
fn keeps_every_bound(config: &Config) {
    let settings = &config.settings;
    let within = |value, (least, most)| (least..=most).contains(&value);
    assert!(within(settings.interval, limits::INTERVAL));
    assert!(within(settings.thresholds.timeout, limits::TIMEOUT));
    assert!(settings.thresholds.slow.get() > 0 && settings.thresholds.slow < settings.thresholds.timeout);
    assert!(within(settings.report, limits::REPORT) && settings.report.subsec_nanos() == 0);
    let log_dir = settings.log_dir.as_str();
    assert!((1..=limits::DIRECTORY).contains(&log_dir.len()) && !log_dir.contains(char::is_control));
    let ledger = settings.ledger.as_str();
    assert!((1..=limits::DIRECTORY).contains(&ledger.len()) && !ledger.contains(char::is_control));
    assert!(ledger.contains('/') || ledger.len() <= limits::LEDGER_NAME);
    let path = settings.ledger_path();
    assert!(path.as_str().ends_with(ledger) && path.as_str().len() + ".damaged.9".len() <= limits::PATH, "{path}");
    assert!((1..=limits::HELPERS).contains(&usize::from(settings.helpers)));
    for row in [settings.hysteresis.down_after, settings.hysteresis.up_after] {
        assert!((1..=limits::IN_A_ROW).contains(&row));
    }
    assert_eq!(Keep::parse(&settings.keep.to_string()), Some(settings.keep));
    assert!((1..=limits::TARGETS).contains(&config.targets.len()));
    let mut in_flight = 0;
    for target in &config.targets {
        keeps_its_bounds(target);
        let interval = target.interval.unwrap_or(settings.interval);
        in_flight += (2 * settings.thresholds.timeout.get()).div_ceil(interval.get());
    }
    assert_eq!(config.in_flight(), in_flight);
    assert!(in_flight <= limits::IN_FLIGHT as u64);
}

/// The README's promises about a target from any source.
pub fn keeps_its_bounds(target: &Target) {
    let Target { service, host, scope, port, literal, family, source, device, interval, down_after, up_after } = target;
    let (service, host, scope, device) = (service.as_str(), host.as_str(), scope.as_str(), device.as_str());
    assert!((1..=limits::SERVICE).contains(&service.len()) && service.trim() == service, "{target:?}");
    assert!((1..=limits::HOST).contains(&host.len()), "{target:?}");
    for text in [service, host, scope] {
        assert!(!text.contains(|c: char| c == '|' || c.is_control()), "{target:?}");
    }
    assert!(device.len() <= limits::DEVICE && !device.contains(['/', ' ']), "{target:?}");
    assert_ne!(*port, 0, "{target:?}");
    assert_eq!(host.parse().ok(), literal.map(|address| address.ip), "{target:?}");
    let is_linked = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    assert_eq!(literal.is_some_and(|address| is_linked(address.ip)), !scope.is_empty(), "{target:?}");
    assert!(interval.is_none_or(|own| (limits::INTERVAL.0..=limits::INTERVAL.1).contains(&own)), "{target:?}");
    for own in [down_after, up_after].into_iter().flatten() {
        assert!((1..=limits::IN_A_ROW).contains(own), "{target:?}");
    }
    let family_of = |ip: IpAddr| if ip.is_ipv4() { Family::Inet } else { Family::Inet6 };
    if let Some(Address { ip, .. }) = literal {
        assert!(*family == Family::Any || *family == family_of(*ip), "{target:?}");
        assert!(source.is_none_or(|source| family_of(source) == family_of(*ip)), "{target:?}");
    } else {
        assert!(source.is_none_or(|source| family_of(source) == *family), "{target:?}");
    }
    assert!(source.is_none_or(|source| !is_linked(source)), "{target:?}");
}

/// A configuration as text: in a file, except what only a command line can have, such as a service
/// with a blank.
fn written_out(config: &Config) -> Given {
    let mut given = Given::default();
    let mut file = String::new();
    for directive in Directive::ALL {
        let value = match directive {
            // `value` would give the whole path.
            Directive::Ledger => Text::format(format_args!("{}", config.settings.ledger)),
            other => config.settings.value(other),
        };
        let value = value.as_str();
        if value.trim() == value && !value.starts_with('#') && !value.replace(char::is_whitespace, " ").contains(" #") {
            file += &format!("{} {value}\n", directive.name());
        } else {
            given.options.push((directive, value.to_string()));
        }
    }
    // Targets before such a target must be on the command line, too, to keep the order.
    let first = |text: &str| text.starts_with(['#', '"', '\'']) || text.contains(char::is_whitespace);
    let odd = |target: &Target| first(target.service.as_str()) || first(target.device.as_str());
    let of_the_line = config.targets.iter().rposition(odd).map_or(0, |last| last + 1);
    for (at, target) in config.targets.iter().enumerate() {
        let Target { service, host, scope, port, literal, family, source, device, interval, down_after, up_after } =
            target;
        let scope = if scope.is_empty() { String::new() } else { format!("%{scope}") };
        let mut options = String::new();
        options += match family {
            Family::Any => "",
            Family::Inet => " inet",
            Family::Inet6 => " inet6",
        };
        options += &source.map(|source| format!(" source {source}")).unwrap_or_default();
        options += &down_after.map(|row| format!(" down_after {row}")).unwrap_or_default();
        options += &up_after.map(|row| format!(" up_after {row}")).unwrap_or_default();
        options += &interval.map(|interval| format!(" interval {interval}")).unwrap_or_default();
        if !device.is_empty() {
            options += &format!(" device {device}");
        }
        if at >= of_the_line {
            file += &format!("target {service} {host}{scope} {port}{options}\n");
        } else if literal.is_some_and(|address| address.ip.is_ipv6()) {
            given.arguments.push(format!("{service}=[{host}{scope}]:{port}{options}"));
        } else {
            given.arguments.push(format!("{service}={host}:{port}{options}"));
        }
    }
    given.file = file.into_bytes();
    given
}

/// The header and every row have their bars at the same columns, and a row keeps its bound.
fn fits_its_table(config: &Config) {
    let form = Form::new(config.settings.thresholds, config.longest_service());
    let bars = |line: &str| line.chars().enumerate().filter(|(_, c)| *c == '|').map(|(at, _)| at).collect::<Vec<_>>();
    let header = bars(&form.header().to_string());
    assert_eq!(header.len(), 8);
    let stamp = WallTime { unix: 1_760_020_200, nanos: 0, offset: 0 };
    let most = u64::MAX;
    let widest = Columns {
        conn_fast: most,
        conn_slow: most,
        dns_fast: most,
        dns_slow: most,
        dns_fail: most,
        conn_failed: most,
        total: most,
    };
    for target in config.targets.iter().take(8) {
        let row = form.row(stamp, target.service.as_str(), &Columns::default()).to_string();
        assert_eq!(bars(&row), header, "{row}");
        assert_eq!(row.matches('\n').count(), 1, "{row:?}");
        assert!(form.row(stamp, target.service.as_str(), &widest).to_string().len() <= limits::ROW);
    }
}
