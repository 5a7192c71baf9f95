//! Deletes old daily files, by what [`Keep`] says of their number and of their bytes.

use crate::model::keep::Keep;
use crate::model::log_names::{self, Kind};
use crate::sys::Errno;
use crate::sys::directory::Directory;

/// Deletes the files that do not stay beside that of this kind and day, which has just been begun; or cannot be begun,
/// because the disk is full. Tries all of them and returns the first error.
pub fn delete(directory: &Directory, keep: Keep, kind: Kind, begun: i64, full: bool) -> Result<(), Errno> {
    // The number counts for each kind by itself: those of another kind are judged when one of that kind is begun.
    let other = |name: &str| match log_names::kind_and_day(name) {
        Some((its, day)) if its == kind && day != begun => Some(day),
        Some(_) | None => None,
    };
    let mut count = |first| directory.count(&mut |name| other(name).is_some_and(|day| day >= first));
    let mut deleted = Ok(());
    if let Some(first) = keep.first_kept(&mut count)? {
        deleted = directory.delete(&mut |name| other(name).is_some_and(|day| day < first));
    }
    deleted.and(delete_by_bytes(directory, keep, begun, full))
}

/// Does what the bytes need, with what is left now.
fn delete_by_bytes(directory: &Directory, keep: Keep, begun: i64, full: bool) -> Result<(), Errno> {
    let mut days = (i64::MAX, i64::MIN);
    directory.count(&mut |name| {
        let day = log_names::day_of(name).filter(|day| *day != begun);
        if let Some(day) = day {
            days = (days.0.min(day), days.1.max(day));
        }
        day.is_some()
    })?;
    if days.0 > days.1 {
        return Ok(());
    }
    let mut bytes =
        |first| directory.bytes(&mut |name| log_names::day_of(name).is_some_and(|day| day == begun || day >= first));
    match keep.first_kept_by_bytes(days, full, &mut bytes)? {
        Some(first) => {
            directory.delete(&mut |name| log_names::day_of(name).is_some_and(|day| day != begun && day < first))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::WallTime;
    use std::fs;

    /// A day in 2025.
    const TODAY: i64 = 20_370;

    struct Files(tempfile::TempDir, Directory);

    impl Files {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let directory = Directory::open(&dir.path().to_string_lossy()).expect("our own directory");
            Self(dir, directory)
        }

        /// Writes the file of a kind and a day. Its bytes are a multiple of a page, so that it takes no others.
        fn write(&self, kind: Kind, day: i64, kilobytes: usize) {
            fs::write(self.0.path().join(name(kind, day)), vec![b'x'; kilobytes << 10]).expect("our own directory");
        }

        fn delete(&self, keep: &str, kind: Kind, begun: i64) -> Vec<(Kind, i64)> {
            self.delete_if(keep, kind, begun, false)
        }

        /// Returns which files there are then, by kind and day, today as 0.
        fn delete_if(&self, keep: &str, kind: Kind, begun: i64, full: bool) -> Vec<(Kind, i64)> {
            let keep = Keep::parse(keep).expect("it is valid");
            assert_eq!(delete(&self.1, keep, kind, TODAY + begun, full), Ok(()));
            let names = fs::read_dir(self.0.path()).expect("our own directory");
            let names = names.map(|entry| entry.expect("it is there").file_name().into_string().expect("a text"));
            let mut files: Vec<_> = names.filter_map(|name| log_names::kind_and_day(&name)).collect();
            files.sort_by_key(|(kind, day)| (*day, kind.index()));
            files.into_iter().map(|(kind, day)| (kind, day - TODAY)).collect()
        }
    }

    fn name(kind: Kind, day: i64) -> String {
        kind.name(WallTime { unix: (TODAY + day) * 86_400, nanos: 0, offset: 0 }).as_str().into()
    }

    #[test]
    fn the_number_counts_for_each_kind_and_the_bytes_for_all_together() {
        let files = Files::new();
        for day in -4..=0 {
            files.write(Kind::Stats, day, 4);
            files.write(Kind::Events, day, 16);
        }
        let other = files.0.path().join("tcp_stats_latest.log");
        fs::write(&other, vec![b'x'; 1 << 20]).expect("our own directory");
        assert_eq!(files.delete("5d", Kind::Stats, 0).len(), 10);
        let left = files.delete("3d", Kind::Events, 0);
        assert_eq!(left.iter().filter(|(kind, _)| *kind == Kind::Stats).count(), 5, "they were not begun");
        assert_eq!(left.iter().filter(|(kind, _)| *kind == Kind::Events).count(), 3);
        // 68 KB are left, and a whole day goes.
        assert_eq!(files.delete("68k", Kind::Stats, 0).len(), 8);
        let left = files.delete("64k", Kind::Stats, 0);
        let whole = |day| [(Kind::Stats, day), (Kind::Events, day)];
        assert_eq!(left, [&[(Kind::Stats, -3)], &whole(-2)[..], &whole(-1), &whole(0)].concat());
        files.write(Kind::Samples, 0, 64);
        let left = files.delete("64k", Kind::Samples, 0);
        assert_eq!(left.iter().map(|(_, day)| *day).collect::<Vec<_>>(), [-1, -1, 0, 0, 0], "today and one more day");
        assert_eq!(files.delete_if("64k", Kind::Samples, 1, true), [], "the disk is full");
        assert!(other.exists());
    }

    #[test]
    fn a_clock_that_is_ahead_for_a_moment_deletes_no_day_by_its_bytes() {
        let files = Files::new();
        for day in -5..0 {
            files.write(Kind::Stats, day, 8);
        }
        // Today alone has more than all may have.
        files.write(Kind::Stats, 0, 4);
        files.write(Kind::Samples, 0, 128);
        let of_today = [(Kind::Stats, 0), (Kind::Samples, 0)];
        for kind in [Kind::Stats, Kind::Samples] {
            files.write(kind, 3000, 0);
            let left = files.delete("14d 64k", kind, 3000);
            assert_eq!(left[..2], of_today, "{left:?}");
        }
        files.write(Kind::Stats, 1, 0);
        assert_eq!(
            files.delete("14d 64k", Kind::Stats, 1),
            [(Kind::Stats, 1), (Kind::Stats, 3000), (Kind::Samples, 3000)]
        );
    }
}
