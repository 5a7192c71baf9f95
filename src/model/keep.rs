//! How long old logs are kept.

use core::fmt;

use crate::base::time::WallTime;
use crate::base::{limits, words};
use crate::model::log_names;

/// How many days a log is kept. Displayed as in a configuration: `14d`, `all`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep(u16);

impl Keep {
    /// All logs are kept for ever.
    pub const ALL: Keep = Keep(0);

    /// Reads `all`, or `1d` up to [`limits::KEEP`] days. `None` for anything else.
    pub fn parse(text: &str) -> Option<Keep> {
        if text == "all" {
            return Some(Keep::ALL);
        }
        let days = words::number(text.strip_suffix('d')?, limits::KEEP.into())?;
        (days > 0).then_some(Keep(days as u16))
    }

    /// Whether this is the name of a log whose day is more than these days before `today`.
    pub fn is_old(self, name: &str, today: WallTime) -> bool {
        self != Keep::ALL && log_names::day_of(name).is_some_and(|day| day < today.day() - i64::from(self.0))
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Keep::ALL { f.write_str("all") } else { write!(f, "{}d", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 14:30:00, two hours east of UTC.
    const NOW: WallTime = WallTime { unix: 1_795_437_000, nanos: 0, offset: 7200 };

    #[test]
    fn days_are_read_and_nothing_else() {
        for (text, shown) in [("14d", "14d"), ("1d", "1d"), ("3650d", "3650d"), ("007d", "7d"), ("all", "all")] {
            assert_eq!(Keep::parse(text).map(|keep| keep.to_string()).as_deref(), Some(shown));
        }
        for text in ["", "d", "14", "0d", "3651d", "65550d", "-1d", "+1d", "14D", "14 d", "2w", "336h", "none"] {
            assert_eq!(Keep::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_logs_of_days_before_the_first_that_is_kept_are_old() {
        let keep = Keep(14);
        for old in
            ["tcp_stats_20261108.log", "tcp_stats_20251123.log", "tcp_stats_00010101.log", "tcp_stats_20240229.log"]
        {
            assert!(keep.is_old(old, NOW), "{old}");
            assert!(!Keep::ALL.is_old(old, NOW), "{old}");
        }
        for kept in [
            "tcp_stats_20261109.log",
            "tcp_stats_20261123.log",
            "tcp_stats_20261124.log",
            "tcp_stats_99991231.log",
            "tcp_stats_20250229.log",
            "tcp_stats_20251301.log",
            "tcp_stats_20250100.log",
            "tcp_stats_00000000.log",
            "tcp_stats_2025110.log",
            "tcp_stats_020251101.log",
            "tcp_stats_+2025110.log",
            "tcp_stats_20251101.log.gz",
            "tcp_stats_20251101.log~",
            "xtcp_stats_20251101.log",
            "tcp_stats_latest.log",
            "tcpmon.ledger",
        ] {
            assert!(!keep.is_old(kept, NOW), "{kept}");
        }
        // Midnight in local time.
        let late = WallTime { unix: 1_795_478_400 - 7200, ..NOW };
        assert!(
            keep.is_old("tcp_stats_20261109.log", late)
                && !keep.is_old("tcp_stats_20261109.log", late.at(late.unix - 1))
        );
    }
}
