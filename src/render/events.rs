//! A line of the log of events: `TIME | KIND | SERVICE | HOST:PORT | TEXT`, not padded. No field can contain a `|`.
//!
//! Whoever splits a line at ` | ` gets five fields. The texts are read by people and by scripts, so they do not change.

use core::fmt::{self, Write};

use super::LocalTime;
use crate::base::text::Count;
use crate::base::time::{Moment, WallTime};
use crate::core::ledger::{Ledger, Record};
use crate::model::event::{Event, Found};
use crate::model::log_names::Kind;
use crate::model::message::Addresses;
use crate::model::reason::{Ending, Reason};
use crate::model::target::Target;

/// A line that is to be written.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// The event.
    pub found: &'a Found,
    /// Its target; `None` for the monitor's own events.
    pub target: Option<&'a Target>,
    /// The record of its target, which has the addresses of an [`Event::Address`].
    pub record: Option<Record<'a>>,
    /// The time zone.
    pub local: LocalTime,
    /// The description of an error number.
    pub describe: fn(i32) -> &'static str,
}

/// Writes the lines of the events in this ledger from the number `first` up to the number `end`, without that one.
pub fn write(
    out: &mut dyn Write,
    ledger: &Ledger,
    (first, end): (u32, u32),
    local: LocalTime,
    describe: fn(i32) -> &'static str,
) -> fmt::Result {
    for entry in ledger.events_from(first).take_while(|entry| entry.number != end) {
        let record = entry.record.map(|record| ledger.record(record));
        let target = record.and_then(Record::target);
        Line { found: &entry.found, target: target.as_ref(), record, local, describe }.write(out)?;
    }
    Ok(())
}

impl Line<'_> {
    /// Writes the line with its newline, at most [`limits::EVENT`](crate::base::limits::EVENT) bytes.
    pub fn write(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "{} | ", self.moment(self.found.at))?;
        self.write_message(out)?;
        out.write_char('\n')
    }

    /// Writes the line without its time and newline: the system log adds a time of its own.
    pub fn write_message(&self, out: &mut dyn Write) -> fmt::Result {
        let word = self.found.event.word();
        match self.target {
            Some(target) => write!(out, "{word} | {} | {} | ", target.service, target.endpoint())?,
            None => write!(out, "{word} | - | - | ")?,
        }
        self.write_text(out)
    }

    fn write_text(&self, out: &mut dyn Write) -> fmt::Result {
        match &self.found.event {
            Event::Down { ending, since, failed } => {
                write_failure(out, ending)?;
                write!(out, ", since {}, {failed} failed", self.moment(*since))
            }
            Event::Up { address, connect, since, down_for, failed } => write!(
                out,
                "connected to {address} in {} ms, down for {down_for} s since {}, {failed} failed",
                connect.as_tenths(),
                self.moment(*since)
            ),
            Event::Address => {
                let Some(record) = self.record else { return Ok(()) };
                let (now, before) = record.answers();
                write_addresses(out, "", &before)?;
                write_addresses(out, " -> ", &now)
            }
            Event::Flapping { changes, is_up } => {
                let state = if *is_up { "up" } else { "down" };
                write!(out, "{} in this minute, now {state}", count(*changes, "more change"))
            }
            Event::Start { targets } => {
                write!(out, concat!("tcpmon ", env!("CARGO_PKG_VERSION"), ", {}"), count(*targets, "target"))
            }
            Event::Killed { from, to } | Event::Stopped { from, to } => {
                self.write_span(out, "nobody watched", *from, *to)
            }
            Event::Stop { targets, down } => write!(out, "{}, {down} down", count(*targets, "target")),
            Event::Clock { from, to } => self.write_span(out, "set", *from, *to),
            Event::Reload { new, removed, kept } => write!(out, "{new} new, {removed} removed, {kept} kept"),
            Event::Log { file, day, errno } => {
                let name = file.name(WallTime { unix: day * 86_400, nanos: 0, offset: 0 });
                match errno {
                    0 if *file == Kind::Samples => {
                        write!(out, "{name} can be written again, its lines until now are lost")
                    }
                    0 => write!(out, "{name} can be written again, nothing lost"),
                    errno => write!(out, "{name} cannot be written: {}", (self.describe)(*errno)),
                }
            }
            Event::Dropped { events } => write!(out, "{} could not be kept", count(*events, "event")),
        }
    }

    fn write_span(&self, out: &mut dyn Write, what: &str, from: i64, to: i64) -> fmt::Result {
        write!(out, "{what} from {} to {}", self.moment(from), self.moment(to))
    }

    fn moment(&self, unix: i64) -> Moment {
        (self.local)(unix).as_moment()
    }
}

fn write_addresses(out: &mut dyn Write, before: &str, addresses: &Addresses) -> fmt::Result {
    let mut before = before;
    for address in addresses.as_slice() {
        write!(out, "{before}{address}")?;
        before = " ";
    }
    Ok(())
}

fn count(number: u32, what: &str) -> Count<'_> {
    Count(number.into(), what)
}

/// Writes the phase, the reason, and the address that a connect's reason speaks of. An address that has answered stands
/// behind `by`: `connect refused by 192.0.2.7`. One that has not stands in brackets, as `status` shows it:
/// `connect timed out (192.0.2.7)`, `connect network unreachable (192.0.2.7)`. A lookup's reason has no address:
/// `lookup timed out`, `lookup name not found`.
fn write_failure(out: &mut dyn Write, ending: &Ending) -> fmt::Result {
    match ending {
        Ending::LookupFailed(reason) => write!(out, "lookup {reason}"),
        Ending::ConnectFailed(reason @ (Reason::Refused | Reason::Reset), address) => {
            write!(out, "connect {reason} by {address}")
        }
        Ending::ConnectFailed(reason, address) => write!(out, "connect {reason} ({address})"),
        // No target goes down by these.
        Ending::Connected(_) | Ending::Skipped(_) => write!(out, "{ending}"),
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;
    use crate::base::limits;
    use crate::base::text::Text;
    use crate::base::time::Nanos;
    use crate::core::ledger::Memory;
    use crate::model::log_names::Kind;
    use crate::model::target::Address;

    /// 2025-10-09T14:28:08+03:00, in the time zone of the tests.
    const SINCE: i64 = 1_760_009_288;
    const AT: i64 = SINCE + 4;

    fn local(unix: i64) -> WallTime {
        WallTime { unix, nanos: 0, offset: 10_800 }
    }

    fn describe(errno: i32) -> &'static str {
        if errno == 28 { "No space left on device" } else { "Unknown errno" }
    }

    fn address(ip: [u8; 4]) -> Address {
        Address::new(IpAddr::from(ip))
    }

    fn addresses(list: &[[u8; 4]]) -> Addresses {
        let mut addresses = Addresses::new();
        for ip in list {
            assert!(addresses.push(address(*ip)));
        }
        addresses
    }

    fn line(event: Event, target: Option<&Target>) -> String {
        line_with(event, target, None)
    }

    fn line_with(event: Event, target: Option<&Target>, record: Option<Record<'_>>) -> String {
        let mut out = String::new();
        let found = Found { at: AT, event };
        Line { found: &found, target, record, local, describe }.write(&mut out).unwrap();
        out
    }

    /// The line that a name has other addresses.
    fn address_line(before: &Addresses, now: &Addresses, target: &Target) -> String {
        let ledger = Ledger::create(Memory::own(1), 1, local(AT));
        let record = ledger.record(0);
        record.set_answer_before(before.as_slice());
        record.set_answer(now.as_slice());
        line_with(Event::Address, Some(target), Some(record))
    }

    fn down(ending: Ending) -> String {
        let target = Target::new("promotion-api", "api.example.com", 443).unwrap();
        let line = line(Event::Down { ending, since: SINCE, failed: 3 }, Some(&target));
        let text = line.strip_prefix("2025-10-09T14:28:12+03:00 | down | promotion-api | api.example.com:443 | ");
        let text = text.and_then(|text| text.strip_suffix(", since 2025-10-09T14:28:08+03:00, 3 failed\n"));
        text.unwrap_or_else(|| panic!("{line}")).to_string()
    }

    #[test]
    fn a_target_that_went_down_says_why_and_since_when() {
        let target = Target::new("promotion-api", "api.example.com", 443).unwrap();
        let ending = Ending::ConnectFailed(Reason::Refused, address([192, 0, 2, 7]));
        assert_eq!(
            line(Event::Down { ending, since: SINCE, failed: 3 }, Some(&target)),
            "2025-10-09T14:28:12+03:00 | down | promotion-api | api.example.com:443 | \
             connect refused by 192.0.2.7, since 2025-10-09T14:28:08+03:00, 3 failed\n"
        );
    }

    #[test]
    fn every_reason_of_a_down_reads_as_english() {
        let connect = |reason| down(Ending::ConnectFailed(reason, address([192, 0, 2, 7])));
        let lookup = |reason| down(Ending::LookupFailed(reason));
        for (found, expected) in [
            (connect(Reason::Refused), "connect refused by 192.0.2.7"),
            (connect(Reason::Reset), "connect reset by 192.0.2.7"),
            (connect(Reason::TimedOut), "connect timed out (192.0.2.7)"),
            (connect(Reason::NetworkUnreachable), "connect network unreachable (192.0.2.7)"),
            (connect(Reason::HostUnreachable), "connect host unreachable (192.0.2.7)"),
            (connect(Reason::Denied), "connect denied by this host (192.0.2.7)"),
            (connect(Reason::NoDevice), "connect no such device (192.0.2.7)"),
            (connect(Reason::NoSourceAddress), "connect no such source address (192.0.2.7)"),
            (connect(Reason::NoFamily), "connect no address of that family here (192.0.2.7)"),
            (connect(Reason::Other(22)), "connect error 22 (192.0.2.7)"),
            (lookup(Reason::TimedOut), "lookup timed out"),
            (lookup(Reason::NameNotFound), "lookup name not found"),
            (lookup(Reason::NoAddress), "lookup no address"),
            (lookup(Reason::ResolverFailed), "lookup resolver failed"),
            (lookup(Reason::ResolverSilent), "lookup resolver gave no answer"),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_other_events_of_a_target_have_its_service_and_endpoint() {
        let target = Target::new("db", "2001:db8::5", 5432).unwrap();
        let event = Event::Up {
            address: address([192, 0, 2, 7]),
            connect: Nanos::new(11_199_999),
            since: SINCE,
            down_for: 312,
            failed: 156,
        };
        let before = "2025-10-09T14:28:12+03:00 |";
        let place = "db | [2001:db8::5]:5432 |";
        assert_eq!(
            line(event, Some(&target)),
            format!(
                "{before} up | {place} connected to 192.0.2.7 in 11.1 ms, \
                 down for 312 s since 2025-10-09T14:28:08+03:00, 156 failed\n"
            )
        );
        let (old, new) = (addresses(&[[192, 0, 2, 1], [192, 0, 2, 2]]), addresses(&[[198, 51, 100, 7]]));
        assert_eq!(
            address_line(&old, &new, &target),
            format!("{before} address | {place} 192.0.2.1 192.0.2.2 -> 198.51.100.7\n")
        );
        for (changes, is_up, text) in
            [(12, false, "12 more changes in this minute, now down"), (1, true, "1 more change in this minute, now up")]
        {
            let event = Event::Flapping { changes, is_up };
            assert_eq!(line(event, Some(&target)), format!("{before} flapping | {place} {text}\n"));
        }
    }

    #[test]
    fn the_monitors_own_events_have_no_service() {
        let (from, to, day) = (SINCE, AT, AT / 86_400);
        let span = "from 2025-10-09T14:28:08+03:00 to 2025-10-09T14:28:12+03:00";
        let version = env!("CARGO_PKG_VERSION");
        for (event, rest) in [
            (Event::Start { targets: 14 }, format!("start | - | - | tcpmon {version}, 14 targets")),
            (Event::Start { targets: 1 }, format!("start | - | - | tcpmon {version}, 1 target")),
            (Event::Killed { from, to }, format!("killed | - | - | nobody watched {span}")),
            (Event::Stopped { from, to }, format!("stopped | - | - | nobody watched {span}")),
            (Event::Stop { targets: 14, down: 3 }, "stop | - | - | 14 targets, 3 down".into()),
            (Event::Clock { from, to }, format!("clock | - | - | set {span}")),
            (Event::Reload { new: 2, removed: 1, kept: 11 }, "reload | - | - | 2 new, 1 removed, 11 kept".into()),
            (
                Event::Log { file: Kind::Stats, day, errno: 28 },
                "log | - | - | tcp_stats_20251009.log cannot be written: No space left on device".into(),
            ),
            (
                Event::Log { file: Kind::Samples, day, errno: 0 },
                "log | - | - | tcp_samples_20251009.csv can be written again, its lines until now are lost".into(),
            ),
            (Event::Dropped { events: 7 }, "dropped | - | - | 7 events could not be kept".into()),
            (Event::Dropped { events: 1 }, "dropped | - | - | 1 event could not be kept".into()),
        ] {
            assert_eq!(line(event, None), format!("2025-10-09T14:28:12+03:00 | {rest}\n"));
            let mut message = String::new();
            let found = Found { at: AT, event };
            Line { found: &found, target: None, record: None, local, describe }.write_message(&mut message).unwrap();
            assert_eq!(message, rest);
        }
    }

    #[test]
    fn only_a_target_that_is_down_and_trouble_with_a_file_are_warnings() {
        let ending = Ending::LookupFailed(Reason::TimedOut);
        for (event, is_warning) in [
            (Event::Down { ending, since: 0, failed: 3 }, true),
            (Event::Log { file: Kind::Stats, day: 0, errno: 28 }, true),
            (Event::Address, false),
            (Event::Stop { targets: 1, down: 1 }, false),
            (Event::Dropped { events: 1 }, false),
        ] {
            assert_eq!(event.is_warning(), is_warning, "{event:?}");
        }
    }

    #[test]
    fn the_longest_line_is_within_its_limit() {
        let ip = IpAddr::from([u16::MAX; 8]);
        let mut list = Addresses::new();
        while list.push(Address { ip, scope: u32::MAX }) {}
        let mut target = Target::new(&"s".repeat(limits::SERVICE), "fe80::1%d", u16::MAX).unwrap();
        target.host = Text::format(format_args!("{}", "h".repeat(limits::HOST)));
        target.scope = Text::format(format_args!("{}", "d".repeat(limits::DEVICE)));
        let longest = address_line(&list, &list, &target);
        // The word `flapping` is one letter longer.
        assert_eq!(longest.len() + 1, limits::EVENT);
        let now = 300_000_000_000; // In the year 11476.
        let ending = Ending::ConnectFailed(Reason::Other(i32::MIN), list.as_slice()[0]);
        for event in [
            Event::Down { ending, since: now, failed: u32::MAX },
            Event::Up {
                address: list.as_slice()[0],
                connect: Nanos::new(u64::MAX),
                since: now,
                down_for: u32::MAX,
                failed: u32::MAX,
            },
        ] {
            assert!(line(event, Some(&target)).len() <= limits::SHORT_EVENT);
        }
    }

    #[test]
    fn a_line_of_any_target_has_five_fields() {
        let services = ["a", "kassa-äö", "a, \"b\" - c", "- | -"];
        let hosts = ["db", "10.0.0.5", "fe80::1%eth0", "xn--bcher-kva.example"];
        for (service, host) in services.iter().flat_map(|service| hosts.map(|host| (service, host))) {
            let Ok(target) = Target::new(service, host, 1) else { continue };
            for ending in Reason::NAMED.iter().map(|reason| Ending::ConnectFailed(*reason, address([1, 2, 3, 4]))) {
                let line = line(Event::Down { ending, since: 0, failed: 3 }, Some(&target));
                assert_eq!((line.matches(" | ").count(), line.matches('|').count()), (4, 4), "{line}");
                assert_eq!(line.split(" | ").nth(2), Some(*service));
                assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
            }
        }
    }
}
