//! The entry of the program: `main` as libc calls it, the global allocator, and a function of libc. Only `main.rs`
//! includes this file. The standard library's own entry prepares for threads and panics, which this program does not
//! have, with 4 KB of code.

use core::ffi::{CStr, c_char, c_int};

use tcpmon::sys::background::open_nothing;
use tcpmon::sys::descriptor;
use tcpmon::sys::heap::Heap;
use tcpmon::sys::signal;

use tcpmon::base::words;

// SAFETY: no thread is ever started, and no signal handler allocates.
#[global_allocator]
static HEAP: Heap = unsafe { Heap::new() };

/// With musl, libc uses the same heap: it gets all its own memory from these functions, some of it by
/// their second names.
#[cfg(target_env = "musl")]
mod allocation {
    use core::ffi::c_void;

    use super::HEAP;

    /// malloc(3).
    // SAFETY: no other function of the program has this name. The same holds for the functions below.
    #[unsafe(no_mangle)]
    extern "C" fn malloc(bytes: usize) -> *mut c_void {
        HEAP.malloc(bytes).cast()
    }

    // SAFETY: see `malloc`.
    #[unsafe(no_mangle)]
    extern "C" fn __libc_malloc(bytes: usize) -> *mut c_void {
        HEAP.malloc(bytes).cast()
    }

    /// calloc(3).
    // SAFETY: see `malloc`.
    #[unsafe(no_mangle)]
    extern "C" fn calloc(count: usize, each: usize) -> *mut c_void {
        HEAP.calloc(count, each).cast()
    }

    // SAFETY: see `malloc`.
    #[unsafe(no_mangle)]
    extern "C" fn __libc_calloc(count: usize, each: usize) -> *mut c_void {
        HEAP.calloc(count, each).cast()
    }

    /// realloc(3).
    // SAFETY: see `malloc`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(start: *mut c_void, bytes: usize) -> *mut c_void {
        // SAFETY: every caller of realloc(3) promises the same.
        unsafe { HEAP.realloc(start.cast(), bytes) }.cast()
    }

    /// free(3).
    // SAFETY: see `malloc`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(start: *mut c_void) {
        // SAFETY: every caller of free(3) promises the same.
        unsafe { HEAP.free(start.cast()) };
    }

    // SAFETY: see `malloc`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __libc_free(start: *mut c_void) {
        // SAFETY: as for `free`.
        unsafe { HEAP.free(start.cast()) };
    }
}

/// With one thread there is nothing to lock. musl's own functions find this out at every call.
#[cfg(all(target_env = "musl", target_feature = "crt-static"))]
mod one_thread {
    use core::ffi::{c_int, c_void};

    unsafe extern "C" {
        /// fork(2) without the locks of threads.
        fn _Fork() -> c_int;
        /// getc(3) of a file that is not locked.
        fn getc_unlocked(file: *mut c_void) -> c_int;
    }

    /// fork(2).
    // SAFETY: no other function of the program has this name. The same holds for the functions below.
    #[unsafe(no_mangle)]
    extern "C" fn fork() -> c_int {
        // SAFETY: the process has one thread, so the child may call anything.
        unsafe { _Fork() }
    }

    /// getc(3).
    // SAFETY: see `fork`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn getc(file: *mut c_void) -> c_int {
        // SAFETY: every caller of getc(3) promises a valid file.
        unsafe { getc_unlocked(file) }
    }

    // SAFETY: see `fork`.
    #[unsafe(no_mangle)]
    extern "C" fn __lock(_lock: *mut c_int) {}

    // SAFETY: see `fork`.
    #[unsafe(no_mangle)]
    extern "C" fn __unlock(_lock: *mut c_int) {}

    /// Whether the file has to be unlocked.
    // SAFETY: see `fork`.
    #[unsafe(no_mangle)]
    extern "C" fn __lockfile(_file: *mut c_void) -> c_int {
        0
    }

    // SAFETY: see `fork`.
    #[unsafe(no_mangle)]
    extern "C" fn __unlockfile(_file: *mut c_void) {}
}

/// Parts of musl's functions whose results nobody reads here.
#[cfg(all(target_env = "musl", target_feature = "crt-static"))]
mod unread {
    use core::ffi::{c_char, c_int, c_longlong, c_void};

    /// The date and time of day that localtime_r(3) gives. The program asks it for the time zone's offset only, and has a
    /// calendar of its own.
    // SAFETY: no other function of the program has this name. The same holds for `mbstowcs`.
    #[unsafe(no_mangle)]
    extern "C" fn __secs_to_tm(_unix: c_longlong, _tm: *mut c_void) -> c_int {
        0
    }

    /// mbstowcs(3) for getaddrinfo(3), which asks whether a text is valid and drops the wide characters. Without
    /// setlocale(3) every text is valid.
    // SAFETY: see `__secs_to_tm`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn mbstowcs(_wide: *mut c_void, text: *const c_char, _room: usize) -> usize {
        // SAFETY: every caller of mbstowcs(3) promises that the text ends with a NUL.
        unsafe { libc::strlen(text) }
    }
}

/// The calls as the kernel has them. musl's functions convert times that this program does not use, or carry fallbacks for
/// kernels before Linux 2.6.27.
#[cfg(all(target_env = "musl", target_feature = "crt-static", any(target_arch = "arm", target_arch = "mips")))]
mod calls {
    use core::ffi::{c_char, c_int, c_long, c_void};

    use libc::{msghdr, socklen_t, ssize_t};

    /// The libc crate does not have it for MIPS.
    const FSTATAT: c_long = if cfg!(target_arch = "mips") { 4293 } else { 327 };

    /// fstatat(2), and fstat(2) for a path that is empty. The layout of `stat` is that of the kernel, with the times in 64
    /// bits behind it: those are not filled in.
    // SAFETY: no other function of the program has this name. The same holds for the functions below.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __fstatat(
        directory: c_int,
        path: *const c_char,
        status: *mut libc::stat,
        flags: c_int,
    ) -> c_int {
        // SAFETY: every caller of fstatat(2) promises a valid path and room for the status.
        unsafe {
            let result = if flags == libc::AT_EMPTY_PATH {
                libc::syscall(libc::SYS_fstat64, directory, status)
            } else {
                libc::syscall(FSTATAT, directory, path, status, flags)
            };
            // The kernel gives the device in 32 bits and leaves the rest of the room to it.
            if cfg!(target_arch = "mips") {
                (*status).st_dev = (*status.cast::<u32>()).into();
            }
            result as c_int
        }
    }

    /// The name that programs with a 64-bit `time_t` link to.
    // SAFETY: see `__fstatat`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __fstatat_time64(
        directory: c_int,
        path: *const c_char,
        status: *mut libc::stat,
        flags: c_int,
    ) -> c_int {
        // SAFETY: as for `__fstatat`.
        unsafe { __fstatat(directory, path, status, flags) }
    }

    /// socket(2).
    // SAFETY: see `__fstatat`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int {
        // SAFETY: the arguments are numbers.
        unsafe { libc::syscall(libc::SYS_socket, family, kind, protocol) as c_int }
    }

    /// recvmsg(2).
    // SAFETY: see `__fstatat`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn recvmsg(socket: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
        // SAFETY: every caller of recvmsg(2) promises a valid message.
        unsafe { libc::syscall(libc::SYS_recvmsg, socket, message, flags) as ssize_t }
    }

    /// setsockopt(2).
    // SAFETY: see `__fstatat`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn setsockopt(
        socket: c_int,
        level: c_int,
        option: c_int,
        value: *const c_void,
        length: socklen_t,
    ) -> c_int {
        // SAFETY: every caller of setsockopt(2) promises a valid value.
        unsafe { libc::syscall(libc::SYS_setsockopt, socket, level, option, value, length) as c_int }
    }
}

/// musl reads the clocks with the call of Linux 5.1 for 64-bit times, and with the older one only at `ENOSYS`. A sandbox
/// that does not know the newer call may refuse it with `EPERM`. Then getaddrinfo(3), too, would have no time.
#[cfg(all(target_env = "musl", target_pointer_width = "32", target_feature = "crt-static"))]
mod clock {
    use core::ffi::{c_int, c_long};

    unsafe extern "C" {
        /// musl's own name for the function that is replaced.
        fn __clock_gettime(clock: c_int, time: *mut [i64; 2]) -> c_int;
    }

    /// clock_gettime(2): the name that programs with a 64-bit `time_t` link to. Two `i64` have the layout of its
    /// `timespec` in either byte order, as nanoseconds need only their lower half.
    // SAFETY: no other function of the program has this name; that of musl gives way, as it is weak.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __clock_gettime64(clock: c_int, time: *mut [i64; 2]) -> c_int {
        // SAFETY: every caller of clock_gettime(2) promises a valid `time`.
        let result = unsafe { __clock_gettime(clock, time) };
        // SAFETY: errno is always valid.
        if result == 0 || unsafe { *libc::__errno_location() } != libc::EPERM {
            return result;
        }
        let mut old: [c_long; 2] = [0; 2];
        // SAFETY: `old` is live, and has the form of this call.
        let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, old.as_mut_ptr()) };
        if result == 0 {
            // SAFETY: as above.
            unsafe { *time = old.map(i64::from) };
        }
        result
    }
}

/// `main` of C11, 5.1.2.2.1: the number of arguments, and the arguments. The first is the program's name.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    // A file that is opened later must not get the number of a standard descriptor that was closed at the start.
    for number in 0..3 {
        if descriptor::is_open(number) {
            continue;
        }
        // The kernel uses the lowest free number.
        let Ok(opened) = open_nothing() else { return 1 };
        core::mem::forget(opened);
    }
    // A write to a closed pipe is an error, not a signal.
    let _ = signal::ignore(libc::SIGPIPE);
    let arguments = (1..usize::try_from(count).unwrap_or_default()).map(|i| {
        // SAFETY: libc passes `count` strings, which stay where they are.
        visible(unsafe { CStr::from_ptr(*arguments.add(i)) }.to_bytes())
    });
    tcpmon::commands::main(arguments)
}

/// The text of an argument. An argument that is not UTF-8 is no option, service or host, and is refused. The
/// message about it shows a replacement character for each part that is not UTF-8.
fn visible(argument: &'static [u8]) -> &'static str {
    if let Some(text) = words::utf8(argument) {
        return text;
    }
    let mut visible = String::new();
    for chunk in argument.utf8_chunks() {
        visible.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            visible.push(char::REPLACEMENT_CHARACTER);
        }
    }
    String::leak(visible)
}
