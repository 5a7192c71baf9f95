//! Every bound of the program, with its unit and the reason for its value.
//!
//! Nothing here grows at run time: a table that is full is an error with a message.

use crate::base::time::Nanos;

/// Most targets in one configuration. A jump host watches hundreds of services at the most.
pub const TARGETS: usize = 1024;

/// Most targets held in memory: those configured, and as many again that a reload has retired
/// and that wait for their last report.
pub const RECORDS: usize = 2 * TARGETS;

/// Most probes in flight that a configuration may need, by `targets x ceil(2 x timeout / interval)`.
/// 1,024 targets at the default 2 s and 5 s need 5,120; each costs a descriptor while it connects.
pub const IN_FLIGHT: usize = 8192;

/// Slots for probes: one more for each target than the formula asks for, because the loop's own
/// delays make a probe that uses both its limits last a little longer than both.
pub const PROBES: usize = IN_FLIGHT + TARGETS;

/// Most addresses of one name that a connect tries; the rest of a longer answer is not used.
pub const ADDRESSES: usize = 8;

/// Most helper processes. Each may hold a lookup for the whole timeout.
pub const HELPERS: usize = 64;

/// Helpers that may die at once, one after the other without an answer between, before forking
/// pauses. A helper dies at once when it has not answered yet and is younger than the pause.
pub const DEATHS_IN_A_ROW: u32 = 8;

/// How long forking pauses when helpers die at once: long enough to be no storm, short enough
/// to be over before the operator looks.
pub const FORK_PAUSE: Nanos = Nanos::from_secs(1);

/// A helper that has been idle so long is ended, as long as one stays.
pub const HELPER_IDLE: Nanos = Nanos::from_secs(30);

/// How often one lookup is asked again because its helper died, before its tick is skipped.
pub const LOOKUP_ASKS: u8 = 3;

/// Bytes of a service's label in UTF-8.
pub const SERVICE: usize = 64;

/// Bytes of a host name in its text form (RFC 1035, section 2.3.4: 255 octets on the wire).
pub const HOST: usize = 253;

/// Bytes of a network device's name (`IFNAMSIZ` of linux/if.h, less the final NUL).
pub const DEVICE: usize = 15;

/// Bytes of a user's name (useradd(8)).
pub const USER: usize = 32;

/// Bytes of the log directory's path: with the longest file name behind it a path stays below
/// the 384 bytes up to which the standard library needs no heap for it.
pub const DIRECTORY: usize = 320;

/// Bytes of a whole path of ours: directory, slash, file name.
pub const PATH: usize = DIRECTORY + 48;

/// Bytes of the ledger's name where it is in the log's directory.
pub const LEDGER_NAME: usize = 32;

/// The ledger grows by so many records, so that a reload seldom finds it full.
pub const RECORD_BATCH: usize = 16;

/// Bytes of a configuration file: 1,024 targets with the longest names and every option.
pub const CONFIG_FILE: usize = 512 * 1024;

/// Bytes that all the tables below and above take together, rounded up.
pub const MEMORY: usize = 8 << 20;

/// Bytes of one message on stderr; a longer one is cut.
pub const MESSAGE: usize = 1024;

/// Bytes of one row of the table: the longest service four bytes a character wide, seven numbers
/// of up to 20 digits and the separators.
pub const ROW: usize = 19 + 4 * SERVICE + 8 * 23 + 1;

/// Shortest and longest interval between a target's ticks.
pub const INTERVAL: (Nanos, Nanos) = (Nanos::from_millis(10), Nanos::from_secs(3600));

/// Shortest and longest limit of one phase.
pub const TIMEOUT: (Nanos, Nanos) = (Nanos::from_millis(10), Nanos::from_secs(600));

/// Shortest and longest limit from which on a phase is slow.
pub const SLOW: (Nanos, Nanos) = (Nanos::from_millis(1), TIMEOUT.1);

/// Shortest and longest report interval; a day is the longest that a daily log can hold.
pub const REPORT: (Nanos, Nanos) = (Nanos::from_secs(1), Nanos::from_secs(86_400));

/// The same trouble of our own is said once in so long.
pub const SAY_AGAIN: Nanos = Nanos::from_secs(60);

/// Connects started before the answers that came in meanwhile are collected, so that their times
/// do not hold our own batch. The poll between costs 1/8 of a system call a probe.
pub const BATCH: usize = 8;

/// How far back the kernel must place the end of a handshake before its word is taken over our
/// own clock: it may be in ticks of 10 ms.
pub const BACKDATE: Nanos = Nanos::from_millis(50);

/// A lookup that is seen to end so long after its limit was not held up by the resolver alone:
/// the box or the whole session was stopped, and the helper perhaps with us.
pub const STALL: Nanos = Nanos::from_millis(500);

/// How long a configuration that comes through a pipe may keep us waiting.
pub const PIPE_WAIT: Nanos = Nanos::from_secs(2);

/// How long output that is the whole point of a command, or says why nothing was started, waits
/// for its reader.
pub const PATIENCE: Nanos = Nanos::from_secs(3600);

/// How long the console may keep the first and last words of a run waiting for a slow reader.
pub const LAST_WORDS: Nanos = Nanos::from_secs(2);

/// When this program was built, in seconds since 1970: a clock that reads less is wrong. A
/// distribution says it (reproducible-builds.org, `SOURCE_DATE_EPOCH`); the source is no older than
/// 2026-11-23.
pub const BUILT: i64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(second) if number(second) > 1_795_392_000 => number(second),
    Some(_) | None => 1_795_392_000,
};

/// How long reports wait for a clock that is wrong to be set. A router that finds its time server
/// has done so by then.
pub const CLOCK_WAIT: Nanos = Nanos::from_secs(15 * 60);

/// A wall clock that goes off by more than this was set, and it is said. Slewing and leap seconds
/// stay below.
pub const CLOCK_STEP: Nanos = Nanos::from_secs(60);

/// Bytes of a time zone's rule: the longest that are in use have 60.
pub const TIME_ZONE: usize = 120;

/// Most days that old logs can be kept for, short of for ever.
pub const KEEP: u16 = 3650;

/// Bytes of a directory's names that are read at a time, and how often in a row: 100,000 names or
/// more, in the time that a few reports take.
pub const NAMES: (usize, usize) = (4096, 1024);

/// How often `tcpmon status --watch` looks.
pub const REFRESH: Nanos = Nanos::from_secs(1);

/// How long `tcpmon stop` waits for the last report.
pub const STOP_WAIT: Nanos = Nanos::from_secs(30);

/// The loop's own descriptors: three standard ones, signals, clock, the ledger, the log, its directory, and
/// some that a shell left open.
pub const OWN_DESCRIPTORS: usize = 16;

/// A number in decimal; 0 where it is none.
const fn number(text: &str) -> i64 {
    let (mut number, mut at) = (0_i64, 0);
    while at < text.len() {
        let digit = text.as_bytes()[at].wrapping_sub(b'0');
        if digit > 9 || at > 15 {
            return 0;
        }
        number = number * 10 + digit as i64;
        at += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_of_the_build_is_a_number_or_that_of_the_source() {
        assert_eq!(
            (number("1795392001"), number("17x"), number(""), number("99999999999999999")),
            (1_795_392_001, 0, 0, 0)
        );
        const { assert!(BUILT >= 1_795_392_000) }
    }
}
