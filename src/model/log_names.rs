//! The names of the files of the daily log, and of those beside the ledger.

use crate::base::path;
use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::base::words;

/// The name of a day's file.
pub type Name = Text<32>;

/// The name of the link to the latest file.
pub const LATEST: &str = "tcp_stats_latest.log";
/// The name under which a new link is made, before it replaces that one.
pub const LATEST_NEW: &str = ".tcp_stats_latest.new";

/// What the name of a new ledger that will replace the old one has behind the ledger's name.
pub const LEDGER_NEW: &str = ".new";
/// The same of a damaged ledger; a number may follow.
pub const LEDGER_DAMAGED: &str = ".damaged";

/// The name of the file for a report of this moment.
pub fn of(stamp: WallTime) -> Name {
    let date = stamp.civil();
    Text::format(format_args!("tcp_stats_{:04}{:02}{:02}.log", date.year, date.month, date.day))
}

/// Whether this is the name of a daily log, with a date of the calendar and a year up to 9999.
pub fn is_log(name: &str) -> bool {
    day_of(name).is_some()
}

/// Whether this path ends with a name that [`of`] makes of any moment. It does not tell whether the digits are a
/// date, and a year above 9999 has more of them: a journal may name such a file.
pub fn is_log_path_of_any_year(path: &str) -> bool {
    let date = date(path::name(path));
    !words::contains(path, b'\0')
        && date.is_some_and(|date| date.len() >= 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The day of the daily log with this name, in days since 1970.
pub fn day_of(name: &str) -> Option<i64> {
    let date = date(name)?;
    if date.len() != 8 {
        return None;
    }
    let date = words::number(date, u32::MAX)?;
    WallTime::day_of(i64::from(date / 10_000), (date / 100 % 100) as u8, (date % 100) as u8)
}

fn date(name: &str) -> Option<&str> {
    name.strip_prefix("tcp_stats_")?.strip_suffix(".log")
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
        ] {
            assert_eq!(is_log(name), is_log_name, "{name}");
            for path in [name.into(), format!("/var/log/{name}"), format!("./{name}")] {
                assert_eq!(is_log_path_of_any_year(&path), is_path, "{path}");
            }
            assert!(!is_log_path_of_any_year(&format!("a\0/{name}")), "{name}");
        }
    }
}
