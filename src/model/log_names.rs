//! The names of the files of the daily log, and of those beside the ledger.

use crate::base::path;
use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::base::words;

/// The name of a day's file.
pub type Name = Text<32>;

/// A kind of daily file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The table of counts: the daily log.
    Stats,
    /// The table of times and causes.
    Times,
    /// The events, a line each.
    Events,
    /// The samples, comma-separated.
    Samples,
}

listed! {
    /// Every kind.
    Kind::ALL = [Stats, Times, Events, Samples];
}

impl Kind {
    /// What is before and behind the date in a name.
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Kind::Stats => ("tcp_stats_", ".log"),
            Kind::Times => ("tcp_times_", ".log"),
            Kind::Events => ("tcp_events_", ".log"),
            Kind::Samples => ("tcp_samples_", ".csv"),
        }
    }

    /// The name of the file for lines of this moment.
    pub fn name(self, stamp: WallTime) -> Name {
        let ((before, behind), date) = (self.parts(), stamp.civil());
        Text::format(format_args!("{before}{:04}{:02}{:02}{behind}", date.year, date.month, date.day))
    }

    /// The name of the link to the latest file.
    pub fn latest(self) -> &'static str {
        match self {
            Kind::Stats => "tcp_stats_latest.log",
            Kind::Times => "tcp_times_latest.log",
            Kind::Events => "tcp_events_latest.log",
            Kind::Samples => "tcp_samples_latest.csv",
        }
    }

    /// The name under which a new link is made, before it replaces that one.
    pub fn latest_new(self) -> &'static str {
        match self {
            Kind::Stats => ".tcp_stats_latest.new",
            Kind::Times => ".tcp_times_latest.new",
            Kind::Events => ".tcp_events_latest.new",
            Kind::Samples => ".tcp_samples_latest.new",
        }
    }

    fn date(self, name: &str) -> Option<&str> {
        let (before, behind) = self.parts();
        name.strip_prefix(before)?.strip_suffix(behind)
    }

    /// Whether this path ends with a name that [`Kind::name`] makes of any moment. It does not tell whether the digits
    /// are a date, and a year above 9999 has more of them: a journal may name such a file.
    pub fn has_path_of_any_year(self, path: &str) -> bool {
        let date = self.date(path::name(path));
        !words::contains(path, b'\0')
            && date.is_some_and(|date| date.len() >= 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

/// What the name of a new ledger that will replace the old one has behind the ledger's name.
pub const LEDGER_NEW: &str = ".new";
/// The same of a damaged ledger; a number may follow.
pub const LEDGER_DAMAGED: &str = ".damaged";

/// Whether this is the name of a daily file, with a date of the calendar and a year up to 9999.
pub fn is_log(name: &str) -> bool {
    day_of(name).is_some()
}

/// Whether this is the name of a link to a latest file, or of one that is being made.
pub fn is_link(name: &str) -> bool {
    Kind::ALL.iter().any(|kind| [kind.latest(), kind.latest_new()].contains(&name))
}

/// The kind and the day of the daily file with this name, in days since 1970.
pub fn kind_and_day(name: &str) -> Option<(Kind, i64)> {
    let (kind, date) = Kind::ALL.into_iter().find_map(|kind| Some((kind, kind.date(name)?)))?;
    if date.len() != 8 {
        return None;
    }
    let date = words::number(date, u32::MAX)?;
    Some((kind, WallTime::day_of(i64::from(date / 10_000), (date / 100 % 100) as u8, (date % 100) as u8)?))
}

/// The day of the daily file with this name, of whatever kind.
pub fn day_of(name: &str) -> Option<i64> {
    kind_and_day(name).map(|(_, day)| day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_a_date_and_its_path_any_year() {
        for (name, is_log_name, is_path) in [
            ("tcp_stats_20251009.log", true, true),
            ("tcp_stats_20240229.log", true, true),
            ("tcp_stats_20250229.log", false, true),
            ("tcp_stats_20251399.log", false, true),
            ("tcp_stats_00000000.log", false, true),
            ("tcp_stats_+2025110.log", false, false),
            ("tcp_stats_20251101.log.gz", false, false),
            ("tcp_stats_20251101.log~", false, false),
            ("xtcp_stats_20251101.log", false, false),
            ("tcp_stats_120251009.log", false, true),
            ("tcp_stats_2025109.log", false, false),
            ("tcp_stats_2025100x.log", false, false),
            ("tcp_stats_20251009.txt", false, false),
            ("tcp_stats_latest.log", false, false),
            ("tcp_times_20251009.log", true, false),
            ("tcp_events_20251009.log", true, false),
            ("tcp_samples_20251009.csv", true, false),
            ("tcp_samples_20251009.log", false, false),
        ] {
            assert_eq!(is_log(name), is_log_name, "{name}");
            for path in [name.into(), format!("/var/log/{name}"), format!("./{name}")] {
                assert_eq!(Kind::Stats.has_path_of_any_year(&path), is_path, "{path}");
            }
            assert!(!Kind::Stats.has_path_of_any_year(&format!("a\0/{name}")), "{name}");
        }
    }
}
