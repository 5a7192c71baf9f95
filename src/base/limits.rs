//! Every bound of the program, with its unit and the reason for its value.
//!
//! No table grows at run time: a full table is an error with a message.

use crate::base::time::Nanos;

/// Most targets in one configuration. A jump host watches some hundred services at most.
pub const TARGETS: usize = 1024;

/// Most targets in memory: those that are configured, and as many that a reload has retired and that wait
/// for their last report.
pub const RECORDS: usize = 2 * TARGETS;

/// Most probes in flight that a configuration may need, by `targets x ceil(2 x timeout / interval)`.
/// 1,024 targets at the default 2 s and 5 s need 5,120; each costs a descriptor while it connects.
pub const IN_FLIGHT: usize = 8192;

/// Slots for probes: one for each target more than the formula needs, because delays of the loop make a probe
/// that uses both its limits last a little longer.
pub const PROBES: usize = IN_FLIGHT + TARGETS;

/// Most addresses of one name that a connect tries. A longer answer is cut.
pub const ADDRESSES: usize = 8;

/// The least time that an address of several gets before it is given up, and that must be left for the next one: an
/// answer to the first SYN that is sent again, after 1 s (RFC 6298, section 2), is still seen.
pub const SHARE: Nanos = Nanos::from_millis(1500);

/// An attempt that ended before this has sent one SYN: the kernel sends it again after 1 s (RFC 6298, section 2). It
/// counts that second in ticks, so it can be a little early.
pub const ONE_SYN: Nanos = Nanos::from_millis(800);

/// Most helper processes. Each may hold a lookup for the whole timeout: 100 names at the default 2 s and 5 s need 300.
pub const HELPERS: usize = 512;

/// Bytes of memory that a helper has for itself.
pub const HELPER_MEMORY: u64 = 64 << 10;

/// The share of this box's memory that helpers may have together: one in so many bytes.
pub const HELPERS_SHARE: u64 = 8;

/// Helpers that may die at once, in a row without an answer between, before forking pauses. A helper has died
/// at once if it never answered and is younger than the pause.
pub const DEATHS_IN_A_ROW: u32 = 8;

/// How long forking pauses when helpers die at once: long enough to prevent a fork storm, short enough to be
/// over before the operator looks.
pub const FORK_PAUSE: Nanos = Nanos::from_secs(1);

/// A helper that was idle for this long is ended, but the last one stays.
pub const HELPER_IDLE: Nanos = Nanos::from_secs(30);

/// How long a run that ends waits for the helpers that it has killed, all together.
pub const HELPERS_END: Nanos = Nanos::from_secs(1);

/// The shortest time after which glibc takes an answer of a name server for lost (resolv.conf(5), `timeout`).
pub const LOST_ANSWER: Nanos = Nanos::from_secs(1);

/// After this many helpers have died over a lookup, its tick is skipped.
pub const LOOKUP_ASKS: u8 = 3;

/// Bytes of a service's label in UTF-8.
pub const SERVICE: usize = 64;

/// Bytes of a host name in its text form (RFC 1035, section 2.3.4: 255 octets on the wire).
pub const HOST: usize = 253;

/// Bytes of a network device's name (`IFNAMSIZ` of linux/if.h, without the final NUL).
pub const DEVICE: usize = 15;

/// Bytes of an address: an IPv6 one in full, and the number of its interface.
pub const ADDRESS: usize = 39 + 1 + 10;

/// Bytes of a host with its device, and its port: `[host%device]:65535`.
pub const ENDPOINT: usize = 1 + HOST + 1 + DEVICE + 1 + 6;

/// Bytes of a user's name (useradd(8)).
pub const USER: usize = 32;

/// Bytes of the log directory's path. With the longest file name the path is still below 384 bytes, from which
/// on the standard library needs the heap for it.
pub const DIRECTORY: usize = 320;

/// Bytes of a path of our files: directory, slash, file name.
pub const PATH: usize = DIRECTORY + 48;

/// Most symbolic links that one path may lead through.
pub const LINKS: usize = 8;

/// Bytes of the ledger's name, if it is in the log's directory.
pub const LEDGER_NAME: usize = 32;

/// How many records the ledger grows by, so that a reload seldom finds it full.
pub const RECORD_BATCH: usize = 8;

/// Bytes of a configuration file: 1,024 targets with the longest names and every option.
pub const CONFIG_FILE: usize = 512 * 1024;

/// Bytes of all tables of this file together, rounded up.
pub const MEMORY: usize = 12 << 20;

/// Bytes of one message on stderr. A longer message is cut.
pub const MESSAGE: usize = 1024;

/// Bytes of one row of the table: the longest service with four bytes for each character, seven numbers of up to
/// 20 digits, and the separators.
pub const ROW: usize = 19 + 4 * SERVICE + 8 * 23 + 1;

/// Bytes of one row of the table of times: service and target, each perhaps filled with blanks to the width of a longer
/// one; six times, two numbers, and every cause with its count.
pub const TIMES_ROW: usize =
    19 + 3 + 2 * SERVICE + 3 + 2 * ENDPOINT + 6 * (3 + 16) + 2 * (3 + 11) + 3 + TIMES_CAUSES + 1;

/// Bytes of every cause of the table of times with the longest count.
pub const TIMES_CAUSES: usize = 679;

/// Bytes of one line of the log of events. The longest names as many addresses as a lookup can give, twice, without
/// their scopes.
pub const EVENT: usize = 25 + 3 + 8 + 3 + SERVICE + 3 + ENDPOINT + 3 + 2 * ADDRESSES * (39 + 1) + 2 + 1;

/// Bytes of one sample: a moment, a service and a host of which every character is quoted, the port, an address, two
/// times, `connect failed`, the longest reason, SYNs resent, and nine commas.
pub const SAMPLE: usize =
    29 + (2 + 2 * SERVICE) + (2 + 2 * (HOST + DEVICE) + 1) + 5 + ADDRESS + 2 * 11 + 14 + 19 + 10 + 9 + 1;

/// Bytes of the samples that are collected before they are written: those of 1,000 targets that are probed at the same
/// moment.
pub const SAMPLES: usize = 256 << 10;

/// How long samples are collected at most.
pub const SAMPLES_WAIT: Nanos = Nanos::from_secs(1);

/// Bytes of one line of the log of events that tells no answers to lookups: that of a target that is up again is the
/// longest, with 160 bytes of text.
pub const SHORT_EVENT: usize = 25 + 3 + 8 + 3 + SERVICE + 3 + ENDPOINT + 3 + 160 + 1;

/// Most events that wait until they are written.
pub const EVENTS: usize = 2 * RECORDS + 16;

/// Bytes of all lines of one write to a daily file: all events that can wait, of which one for each record tells answers.
/// A row of times for each record has fewer.
pub const DAILY_LINES: usize = RECORDS * EVENT + (EVENTS - RECORDS) * SHORT_EVENT;
const _: () = assert!(DAILY_LINES >= RECORDS * TIMES_ROW);

/// Shortest and longest interval between a target's ticks.
pub const INTERVAL: (Nanos, Nanos) = (Nanos::from_millis(10), Nanos::from_secs(3600));

/// Most probes in a row after which a target is down or up: at the default interval half an hour.
pub const IN_A_ROW: u16 = 1000;

/// How long after an event that a name has other addresses the next one of the same target can come.
pub const ADDRESS_AGAIN: Nanos = Nanos::from_secs(3600);

/// So many changes of a target have a line of their own within this time. The others have one together.
pub const FLAPPING: (u32, Nanos) = (10, Nanos::from_secs(60));

/// Shortest and longest limit of one phase.
pub const TIMEOUT: (Nanos, Nanos) = (Nanos::from_millis(10), Nanos::from_secs(600));

/// Shortest and longest limit at which a phase is slow.
pub const SLOW: (Nanos, Nanos) = (Nanos::from_millis(1), TIMEOUT.1);

/// Shortest and longest report interval; a day is the longest that a daily log can hold.
pub const REPORT: (Nanos, Nanos) = (Nanos::from_secs(1), Nanos::from_secs(86_400));

/// How long the same trouble of our own is not reported again.
pub const SAY_AGAIN: Nanos = Nanos::from_secs(60);

/// How many connects are started before the answers that have arrived are collected, so that the times of these
/// do not contain our own batch. The poll between costs 1/8 of a system call for each probe.
pub const BATCH: usize = 8;

/// The kernel's time of the end of a handshake is used if it is at least this much earlier than our own. The
/// kernel's clock may have ticks of 10 ms.
pub const BACKDATE: Nanos = Nanos::from_millis(50);

/// Bytes of a packet that only a loopback device sends: Linux sends 65,536 there, and sent 16,436 before 3.6. The
/// largest frames of an Ethernet are smaller.
pub const LOOPBACK_MTU: u32 = 16_384;

/// The local ports of connects if the kernel does not tell them: all that a process without rights can have.
pub const LOCAL_PORTS: (u16, u16) = (1024, u16::MAX);

/// If a lookup ends this long after its limit, the resolver is not the only cause: the box or the whole session
/// was stopped, perhaps the helper with us.
pub const STALL: Nanos = Nanos::from_millis(500);

/// How long tcpmon waits for a configuration that comes through a pipe.
pub const PIPE_WAIT: Nanos = Nanos::from_secs(2);

/// How long a command waits for the reader of its result, or of the message that says why nothing was started.
pub const PATIENCE: Nanos = Nanos::from_secs(3600);

/// How long a run waits for a slow reader of its first and last lines on the console.
pub const LAST_WORDS: Nanos = Nanos::from_secs(2);

/// How often the lock of the log is tried, and how long a report waits between: together long enough for another run
/// to write its own, and much shorter than anything that is measured.
pub const LOG_LOCK: (u32, Nanos) = (8, Nanos::from_millis(5));

/// The shortest and the longest time that the page of a web server tells of.
pub const PERIOD: (Nanos, Nanos) = (Nanos::from_secs(60), Nanos::from_secs(366 * 86_400));

/// The time that it tells of unless asked.
pub const PAGE: Nanos = Nanos::from_secs(86_400);

/// How long an answer to a web server waits for a reader that takes nothing.
pub const READER: Nanos = Nanos::from_secs(60);

/// When this program was built, in seconds since 1970: a clock that reads less is wrong. A distribution sets it
/// (reproducible-builds.org, `SOURCE_DATE_EPOCH`). Without that it is the date of the source, 2026-11-23.
pub const BUILT: i64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(second) if number(second) > 1_795_392_000 => number(second),
    Some(_) | None => 1_795_392_000,
};

/// How long reports wait until a wrong clock is set. If a router can reach its time server, it has done so by
/// then.
pub const CLOCK_WAIT: Nanos = Nanos::from_secs(15 * 60);

/// A step of the wall clock above this is reported. Slewing and leap seconds stay below.
pub const CLOCK_STEP: Nanos = Nanos::from_secs(60);

/// Bytes of a time zone's rule. The longest in use have 60.
pub const TIME_ZONE: usize = 120;

/// Most files of a kind that `keep` can have. Only `all` keeps more.
pub const KEEP: u16 = 3650;

/// Least and most that `keep` can give all daily files together, in KB (1,024 bytes). The counts and times of a single
/// target are about 64 KB a day. A limit below that, or above a terabyte, is a mistake.
pub const KEEP_KB: (u32, u32) = (64, 1 << 30);

/// Bytes of a directory's names that are read at once, and how often in a row: together 100,000 names or more,
/// in the time of a few reports.
pub const NAMES: (usize, usize) = (4096, 1024);

/// How often `tcpmon status --watch` reads the ledger.
pub const REFRESH: Nanos = Nanos::from_secs(1);

/// How long `tcpmon stop` waits for the last report.
pub const STOP_WAIT: Nanos = Nanos::from_secs(30);

/// How long a command waits for another one that writes the same file.
pub const OUTPUT_WAIT: Nanos = Nanos::from_secs(2);

/// How often a command looks whether a run has done what it waits for.
pub const LOOK: Nanos = Nanos::from_millis(20);

/// How often, and after how long, a lock is tried again whose process does not say which one it is: it may be starting, or
/// was just killed and has not released it yet.
pub const LOCK: (u32, Nanos) = (40, Nanos::from_millis(50));

/// The loop's own file descriptors: three standard ones, signals, clock, the ledger, the log, its directory, and
/// some that a shell left open.
pub const OWN_DESCRIPTORS: usize = 16;

/// Reads a decimal number; 0 for any other text.
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
    fn the_build_date_is_a_number_or_that_of_the_source() {
        assert_eq!(
            (number("1795392001"), number("17x"), number(""), number("99999999999999999")),
            (1_795_392_001, 0, 0, 0)
        );
        const { assert!(BUILT >= 1_795_392_000) }
    }
}
