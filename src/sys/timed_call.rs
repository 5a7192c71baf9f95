//! A system call with a duration, in the form that the kernel has. Only for 32-bit CPUs, and for the test.
//!
//! On these CPUs each such call exists twice: with times of 32 bits, and since Linux 5.1 with times of 64 bits. Neither
//! is everywhere: older kernels lack the new form, and those without `CONFIG_COMPAT_32BIT_TIME` lack the old one. A
//! sandbox may refuse a form that it does not know with `EPERM`, which is no error of these calls.

#![cfg(any(target_pointer_width = "32", test))]

use core::ffi::{c_long, c_void};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::Errno;

/// The numbers of the calls with 64-bit times count from here. They are the same on every CPU.
pub const TIME64: c_long = if cfg!(any(target_arch = "mips", target_arch = "mips32r6")) { 4000 } else { 0 };

/// Makes a call whose third argument is a duration, in seconds and nanoseconds. The further arguments are null. `forms`
/// are its numbers with 32-bit and with 64-bit times. The form that worked last is tried first. Returns what
/// `libc::syscall` does.
///
/// # Safety
/// `first` and `second` must be valid for the call.
pub unsafe fn timed_call(forms: [c_long; 2], first: usize, second: usize, duration: Option<[c_long; 2]>) -> c_long {
    static IS_NEW: AtomicBool = AtomicBool::new(false);
    let none = ptr::null::<c_void>();
    let mut result = -1;
    for _ in forms {
        let is_new = IS_NEW.load(Relaxed);
        // Each try has its own: the kernel may write to it what is left of the time.
        #[allow(clippy::useless_conversion, reason = "the test also runs where c_long has 64 bits")]
        let (mut old, mut new) = (duration, duration.map(|parts| parts.map(i64::from)));
        let time = if is_new { pointer(&mut new) } else { pointer(&mut old) };
        // SAFETY: `time` is null or a live value of the form that this call takes, and the caller promises the rest.
        result = unsafe { libc::syscall(forms[usize::from(is_new)], first, second, time, none, none) };
        if result != -1 || !matches!(Errno::last(), Errno::ENOSYS | Errno::EPERM) {
            break;
        }
        IS_NEW.store(!is_new, Relaxed);
    }
    result
}

fn pointer<T>(value: &mut Option<T>) -> *mut c_void {
    value.as_mut().map_or(ptr::null_mut(), ptr::from_mut).cast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// No kernel has a call of this number.
    const MISSING: c_long = 0xffff;
    const SLEEP: c_long = libc::SYS_clock_nanosleep;
    const LENGTH: Duration = Duration::from_millis(20);

    #[allow(clippy::disallowed_methods, reason = "clock imports this file, so that this file cannot import clock")]
    fn sleep(forms: [c_long; 2]) -> (c_long, bool) {
        let began = Instant::now();
        let duration = Some([0, LENGTH.as_nanos() as c_long]);
        // SAFETY: the two arguments are numbers.
        let result = unsafe { timed_call(forms, libc::CLOCK_MONOTONIC as usize, 0, duration) };
        (result, began.elapsed() >= LENGTH)
    }

    #[test]
    fn a_missing_form_is_replaced_by_the_other_both_ways() {
        let new = if cfg!(target_pointer_width = "64") { SLEEP } else { TIME64 + 407 };
        for _ in 0..2 {
            assert_eq!(sleep([SLEEP, MISSING]), (0, true));
            assert_eq!(sleep([MISSING, new]), (0, true));
            assert_eq!(sleep([MISSING, MISSING]), (-1, false));
            assert_eq!(Errno::last(), Errno::ENOSYS);
        }
    }

    #[test]
    fn another_error_is_not_tried_again() {
        // SAFETY: the two arguments are numbers.
        let result = unsafe { timed_call([SLEEP, SLEEP], libc::CLOCK_MONOTONIC as usize, 0, Some([0, -1])) };
        assert_eq!((result, Errno::last()), (-1, Errno::EINVAL));
    }
}
