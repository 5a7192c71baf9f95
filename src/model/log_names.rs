//! The names of the files of the daily log.

use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::base::words;

/// The name of a day's file.
pub type Name = Text<32>;

/// The link to the latest file, and the name under which a new one is made.
pub const LATEST: &str = "tcp_stats_latest.log";
/// See [`LATEST`].
pub const LATEST_NEW: &str = ".tcp_stats_latest.new";

/// The name of the file that a report of this moment belongs to.
pub fn of(stamp: WallTime) -> Name {
    let date = stamp.civil();
    Text::format(format_args!("tcp_stats_{:04}{:02}{:02}.log", date.year, date.month, date.day))
}

/// Whether a file of this name is a daily log.
pub fn is_log(name: &str) -> bool {
    day_of(name).is_some()
}

/// The day of the log with this name, in days since 1970.
pub fn day_of(name: &str) -> Option<i64> {
    let date = name.strip_prefix("tcp_stats_")?.strip_suffix(".log")?;
    if date.len() != 8 {
        return None;
    }
    let date = words::number(date, u32::MAX)?;
    WallTime::day_of(i64::from(date / 10_000), (date / 100 % 100) as u8, (date % 100) as u8)
}
