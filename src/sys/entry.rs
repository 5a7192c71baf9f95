//! Where the C library enters the program; `main.rs` alone has it. The standard library's own way in
//! prepares for threads and panics, which are not here, with 4 KB of code.

use core::ffi::{CStr, c_char, c_int};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::Mode;
use std::os::fd::{BorrowedFd, IntoRawFd};
use tcpmon::sys::heap::Heap;

// SAFETY: no thread is ever started, and no handler of a signal allocates.
#[global_allocator]
static HEAP: Heap = unsafe { Heap::new() };

/// The C library's heap is the same one, where it can be put in its place: with musl, which has all
/// of what it allocates itself from these (the second name of each is for where it wants its own).
#[cfg(target_env = "musl")]
mod allocation {
    use core::ffi::c_void;

    use super::HEAP;

    /// malloc(3).
    // SAFETY: no other function of the program has this name; so it is for those below.
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
        // SAFETY: the caller of realloc(3) promises as much.
        unsafe { HEAP.realloc(start.cast(), bytes) }.cast()
    }

    /// free(3).
    // SAFETY: see `malloc`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(start: *mut c_void) {
        // SAFETY: the caller of free(3) promises as much.
        unsafe { HEAP.free(start.cast()) };
    }

    // SAFETY: see `malloc`.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __libc_free(start: *mut c_void) {
        // SAFETY: as for `free`.
        unsafe { HEAP.free(start.cast()) };
    }
}

/// `main` of C11, 5.1.2.2.1: so many arguments, the first of which is the program's name.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    // What is opened later must not take the place of a standard descriptor that somebody closed.
    for number in 0..3 {
        // SAFETY: it is borrowed to ask whether it is open.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if fcntl(descriptor, FcntlArg::F_GETFD) == Err(Errno::EBADF) {
            let Ok(null) = open(c"/dev/null", OFlag::O_RDWR, Mode::empty()) else { return 1 };
            let _ = null.into_raw_fd();
        }
    }
    // SAFETY: ignoring a signal runs no code of ours. A reader that goes away is an error of the write.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    let arguments = (1..usize::try_from(count).unwrap_or_default()).map(|i| {
        // SAFETY: the C library gives `count` strings, which stay where they are.
        let argument = unsafe { CStr::from_ptr(*arguments.add(i)) };
        // What is not UTF-8 is no option, service or host: it is refused under its visible form.
        &*String::leak(argument.to_string_lossy().into_owned())
    });
    c_int::from(tcpmon::commands::main(arguments).0)
}
