//! The clocks. Every other part of the program gets the time as an argument.

use core::ffi::{c_int, c_long};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::{Errno, descriptor, done, made};
use crate::base::time::{Instant, Nanos, WallTime};

/// `CLOCK_MONOTONIC`: does not count the time that the machine is suspended.
pub fn monotonic() -> Instant {
    instant(libc::CLOCK_MONOTONIC).expect(NO_SUCH_CLOCK)
}

/// `CLOCK_BOOTTIME`: the same, and the time that the machine is suspended; `CLOCK_MONOTONIC` where
/// there is none.
pub fn since_boot() -> Instant {
    instant(libc::CLOCK_BOOTTIME).unwrap_or_else(monotonic)
}

/// `CLOCK_REALTIME`, with the local zone's offset at that moment.
pub fn wall() -> WallTime {
    let now = read(libc::CLOCK_REALTIME).expect(NO_SUCH_CLOCK);
    #[allow(clippy::useless_conversion, reason = "time_t has 32 bits on some of the targets")]
    let unix = i64::from(now.tv_sec);
    WallTime { nanos: now.tv_nsec as u32, ..local(unix) }
}

const NO_SUCH_CLOCK: &str = "clock_gettime(2) fails only for a clock that does not exist";

fn instant(clock: libc::clockid_t) -> Option<Instant> {
    let now = read(clock)?;
    Some(Instant::from_nanos(0) + Nanos::from_secs(now.tv_sec as u64) + Nanos::new(now.tv_nsec as u64))
}

fn read(clock: libc::clockid_t) -> Option<libc::timespec> {
    // SAFETY: `timespec` is plain data for which zeroes are a valid value.
    let mut now = unsafe { core::mem::zeroed() };
    // SAFETY: `now` is live.
    let result = unsafe { libc::clock_gettime(clock, &mut now) };
    (result == 0).then_some(now)
}

/// What the wall clock reads at this second since 1970, with the local zone's offset then
/// (localtime(3)).
pub fn local(unix: i64) -> WallTime {
    #[allow(deprecated, reason = "the libc crate warns that it will have 64 bits on all, which is welcome here")]
    let seconds = libc::time_t::try_from(unix).unwrap_or(libc::time_t::MAX);
    // SAFETY: `tm` is plain data for which zeroes are a valid value.
    let mut local: libc::tm = unsafe { core::mem::zeroed() };
    // SAFETY: both pointers are to live values on this stack, and localtime_r keeps neither.
    let converted = unsafe { libc::localtime_r(&seconds, &mut local) };
    let offset = if converted.is_null() { 0 } else { local.tm_gmtoff as i32 };
    WallTime { unix, nanos: 0, offset }
}

/// Does nothing for so long; a signal may end it early. This is for where poll(2) fails, so it is no poll
/// of nothing.
pub fn rest(length: Nanos) {
    let (time, none) = (kernel_time(length), core::ptr::null_mut::<c_long>());
    // What could fail is the interruption, and then it was a shorter rest.
    // SAFETY: `time` is live, and how much of it is left is not asked for.
    unsafe { libc::syscall(libc::SYS_clock_nanosleep, libc::CLOCK_MONOTONIC, 0, time.as_ptr(), none) };
}

/// A length as the kernel's first calls take it: seconds, no more than 32 bits hold, and nanoseconds. The
/// C library has second calls for what is longer.
pub(super) fn kernel_time(length: Nanos) -> [c_long; 2] {
    [length.secs().min(i32::MAX as u64) as c_long, length.subsec_nanos() as c_long]
}

/// A second in the year 2255, before the last that a kernel's clocks can hold (`KTIME_SEC_MAX` of
/// linux/ktime.h).
const FAR: i64 = 9_000_000_000;

/// timerfd_settime(2) with a time of 64 bits. The C library's brings along what makes one time of the other.
#[cfg(target_pointer_width = "64")]
const SET: c_long = libc::SYS_timerfd_settime;
#[cfg(target_pointer_width = "32")]
const SET: c_long = 411 + if cfg!(any(target_arch = "mips", target_arch = "mips32r6")) { 4000 } else { 0 };

/// Lets a timer end at a time: the interval, and the moment, in seconds and nanoseconds each.
///
/// # Safety
/// `T` is what the call takes for seconds and for nanoseconds.
unsafe fn set<T>(timer: &OwnedFd, call: c_long, time: &[T; 4]) -> Result<(), Errno> {
    let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
    let none = core::ptr::null_mut::<T>();
    // SAFETY: `time` is live and of the form that goes with the call, and the old value is not asked for.
    done(unsafe { libc::syscall(call, timer.as_raw_fd(), flags, time.as_ptr(), none) } as c_int)
}

/// A descriptor that becomes readable when the wall clock is set (timerfd_create(2),
/// `TFD_TIMER_CANCEL_ON_SET`).
#[derive(Debug)]
pub struct ClockChanges(OwnedFd);

impl ClockChanges {
    /// Starts to watch.
    pub fn new() -> Result<Self, Errno> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: the kernel makes this descriptor, and nothing else owns it.
        let watch = unsafe { made(libc::timerfd_create(libc::CLOCK_REALTIME, flags)) }?;
        // It is only there to be cancelled. A kernel of 32 bits before Linux 5.1 knows no time
        // beyond January 2038; once that has come, the watch ends at once, and without a spin.
        // SAFETY: this call takes 64 bits.
        let set = unsafe { set(&watch, SET, &[0, 0, FAR, 0]) };
        #[cfg(target_pointer_width = "32")]
        // SAFETY: that call takes 32 bits there.
        let set = set.or_else(|_| unsafe { self::set(&watch, libc::SYS_timerfd_settime, &[0, 0, i32::MAX, 0]) });
        set.map(|()| Self(watch))
    }

    /// Takes note that the descriptor was readable. Returns whether the clock was set; if not,
    /// the timer has come to its end and is of no use any more.
    pub fn was_set(&self) -> bool {
        let mut expirations = [0; 8];
        descriptor::read(&self.0, &mut expirations) == Err(Errno::ECANCELED)
    }
}

impl AsFd for ClockChanges {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
