//! The clocks. Every other part of the program gets the time as an argument.

use core::ffi::{c_int, c_long};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

#[cfg(target_pointer_width = "32")]
use super::timed_call::{TIME64, timed_call};
use super::{Errno, descriptor, done, made, system_call};
use crate::base::time::{Instant, Nanos, WallTime};

/// `CLOCK_MONOTONIC`: stands still while the machine is suspended.
pub fn monotonic() -> Instant {
    instant(libc::CLOCK_MONOTONIC).expect(NO_SUCH_CLOCK)
}

/// `CLOCK_BOOTTIME`: the same, but it runs while the machine is suspended. `CLOCK_MONOTONIC` on a kernel
/// without it.
pub fn since_boot() -> Instant {
    instant(libc::CLOCK_BOOTTIME).unwrap_or_else(monotonic)
}

/// `CLOCK_REALTIME`, with the local time zone's offset at that moment.
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

/// A second since 1970 as wall clock time, with the local time zone's offset at that moment (localtime(3)).
pub fn local(unix: i64) -> WallTime {
    #[allow(
        deprecated,
        reason = "the libc crate warns that it will have 64 bits on all targets, which is welcome here"
    )]
    let seconds = libc::time_t::try_from(unix).unwrap_or(libc::time_t::MAX);
    // SAFETY: `tm` is plain data for which zeroes are a valid value.
    let mut local: libc::tm = unsafe { core::mem::zeroed() };
    // SAFETY: both pointers lead to live values on this stack, and localtime_r keeps neither.
    let converted = unsafe { libc::localtime_r(&seconds, &mut local) };
    let offset = if converted.is_null() { 0 } else { local.tm_gmtoff as i32 };
    WallTime { unix, nanos: 0, offset }
}

/// Sleeps; a signal may end the sleep early. It does not use poll(2): the loop sleeps when poll fails.
pub fn rest(length: Nanos) {
    let time = kernel_time(length);
    // The only error is an interruption by a signal.
    #[cfg(target_pointer_width = "64")]
    {
        let arguments = [libc::CLOCK_MONOTONIC as usize, 0, time.as_ptr().expose_provenance(), 0, 0];
        // SAFETY: `time` is live, and the time that is left is not asked for.
        unsafe { system_call(libc::SYS_clock_nanosleep, arguments) };
    }
    #[cfg(target_pointer_width = "32")]
    {
        let forms = [libc::SYS_clock_nanosleep, TIME64 + 407];
        // SAFETY: the first two arguments are numbers, and the time that is left is not asked for.
        unsafe { timed_call(forms, libc::CLOCK_MONOTONIC as usize, 0, Some(time)) };
    }
}

/// A duration in the form of the kernel's old time calls: seconds, at most as many as 32 bits hold, and
/// nanoseconds. libc's wrappers are not used: they make the newer calls for longer durations only, and do not go back
/// to them on a kernel that lacks the old ones.
pub(super) fn kernel_time(length: Nanos) -> [c_long; 2] {
    [length.secs().min(i32::MAX as u64) as c_long, length.subsec_nanos() as c_long]
}

/// A second in the year 2255, which the kernel's clocks can still hold (`KTIME_SEC_MAX` of linux/ktime.h).
const FAR: i64 = 9_000_000_000;

/// timerfd_settime(2) with 64-bit times. libc's wrapper carries code that converts between the two forms.
#[cfg(target_pointer_width = "64")]
const SET: c_long = libc::SYS_timerfd_settime;
#[cfg(target_pointer_width = "32")]
const SET: c_long = TIME64 + 411;

/// Sets a timer. `time` is the interval and the moment, each in seconds and nanoseconds.
///
/// # Safety
/// `T` must be the type that the call uses for seconds and for nanoseconds.
unsafe fn set<T>(timer: &OwnedFd, call: c_long, time: &[T; 4]) -> Result<(), Errno> {
    let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
    let arguments = [timer.as_raw_fd() as usize, flags as usize, time.as_ptr().expose_provenance(), 0, 0];
    // SAFETY: `time` is live, the caller promises that its form fits the call, and the old value is not asked for.
    done(unsafe { system_call(call, arguments) } as c_int)
}

/// A descriptor that becomes readable when the wall clock is set (timerfd_create(2),
/// `TFD_TIMER_CANCEL_ON_SET`).
#[derive(Debug)]
pub struct ClockChanges(OwnedFd);

impl ClockChanges {
    /// Makes the descriptor.
    pub fn new() -> Result<Self, Errno> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: the kernel makes this descriptor, and nothing else owns it.
        let timer = unsafe { made(libc::timerfd_create(libc::CLOCK_REALTIME, flags)) }?;
        // The timer should never expire: setting the clock cancels it. A 32-bit kernel before Linux 5.1 has
        // no times after January 2038. From then on the timer expires at once, and `was_set` tells the caller.
        // SAFETY: this call takes 64-bit times.
        let set = unsafe { set(&timer, SET, &[0, 0, FAR, 0]) };
        #[cfg(target_pointer_width = "32")]
        // SAFETY: on these targets this call takes 32-bit times.
        let set = set.or_else(|_| unsafe { self::set(&timer, libc::SYS_timerfd_settime, &[0, 0, i32::MAX, 0]) });
        set.map(|()| Self(timer))
    }

    /// Reads the descriptor, which was readable. Returns whether the clock was set; if not, the timer has
    /// expired and is of no more use.
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
