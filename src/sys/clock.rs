//! The clocks. Every other part of the program gets the time as an argument.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub use super::poll::rest;
use super::{Errno, file};
use crate::time::{Instant, Nanos, WallTime};

/// `CLOCK_MONOTONIC`: does not count the time that the machine is suspended.
pub fn monotonic() -> Instant {
    instant(&read(libc::CLOCK_MONOTONIC).expect(NO_SUCH_CLOCK))
}

/// `CLOCK_BOOTTIME`: the same, and the time that the machine is suspended; `CLOCK_MONOTONIC` where
/// there is none.
pub fn since_boot() -> Instant {
    read(libc::CLOCK_BOOTTIME).map_or_else(|_| monotonic(), |now| instant(&now))
}

/// `CLOCK_REALTIME`, with the local zone's offset at that moment.
pub fn wall() -> WallTime {
    let now = read(libc::CLOCK_REALTIME).expect(NO_SUCH_CLOCK);
    #[allow(clippy::useless_conversion, reason = "time_t has 32 bits on some of the targets")]
    let unix = i64::from(now.tv_sec);
    WallTime { nanos: now.tv_nsec as u32, ..local(unix) }
}

const NO_SUCH_CLOCK: &str = "clock_gettime(2) fails only for a clock that does not exist";

fn read(clock: libc::clockid_t) -> Result<libc::timespec, Errno> {
    // SAFETY: `timespec` is plain data for which zeroes are a valid value.
    let mut now = unsafe { core::mem::zeroed() };
    // SAFETY: `now` is live.
    Errno::result(unsafe { libc::clock_gettime(clock, &mut now) })?;
    Ok(now)
}

fn instant(now: &libc::timespec) -> Instant {
    Instant::from_nanos(0) + Nanos::from_secs(now.tv_sec as u64) + Nanos::new(now.tv_nsec as u64)
}

/// What the wall clock reads at this second since 1970, with the local zone's offset then
/// (localtime(3)).
pub fn local(unix: i64) -> WallTime {
    #[allow(clippy::useless_conversion, reason = "time_t has 32 bits on some of the targets")]
    let seconds = libc::time_t::try_from(unix).unwrap_or(libc::time_t::MAX);
    // SAFETY: `tm` is plain data for which zeroes are a valid value.
    let mut local: libc::tm = unsafe { core::mem::zeroed() };
    // SAFETY: both pointers are to live values on this stack, and localtime_r keeps neither.
    let converted = unsafe { libc::localtime_r(&seconds, &mut local) };
    let offset = if converted.is_null() { 0 } else { local.tm_gmtoff as i32 };
    WallTime { unix, nanos: 0, offset }
}

/// A second in the year 2255, before the last that a kernel's clocks can hold (`KTIME_SEC_MAX` of
/// linux/ktime.h).
const FAR: i64 = 9_000_000_000;

/// A descriptor that becomes readable when the wall clock is set (timerfd_create(2),
/// `TFD_TIMER_CANCEL_ON_SET`).
#[derive(Debug)]
pub struct ClockWatch(OwnedFd);

impl ClockWatch {
    /// Starts to watch.
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: a call without pointers; the result is checked.
        let fd = Errno::result(unsafe {
            libc::timerfd_create(libc::CLOCK_REALTIME, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC)
        })?;
        // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
        let watch = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        // SAFETY: `itimerspec` is plain data for which zeroes are a valid value.
        let mut never: libc::itimerspec = unsafe { core::mem::zeroed() };
        let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
        // It is only there to be cancelled. A kernel of 32 bits before Linux 5.1 knows no time
        // beyond January 2038; once that has come, the watch ends at once, and without a spin.
        let mut set = Err(Errno::EINVAL);
        for second in [FAR, i64::from(i32::MAX)] {
            #[allow(clippy::useless_conversion, reason = "time_t has 32 bits on some of the targets")]
            let second = libc::time_t::try_from(second).unwrap_or(libc::time_t::MAX);
            never.it_value.tv_sec = second;
            // SAFETY: `never` outlives the call, and the old value is not asked for.
            set = Errno::result(unsafe {
                libc::timerfd_settime(watch.0.as_raw_fd(), flags, &never, core::ptr::null_mut())
            });
            if set.is_ok() {
                break;
            }
        }
        set.map(|_| watch)
    }

    /// Takes note that the descriptor was readable. Returns whether the clock was set; if not,
    /// the timer has come to its end and is of no use any more.
    pub fn was_set(&self) -> bool {
        let mut expirations = [0; 8];
        file::read(&self.0, &mut expirations) == Err(Errno::ECANCELED)
    }
}

impl AsFd for ClockWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
