//! Where the C library enters the program; `main.rs` alone has it. The standard library's own way in
//! prepares for threads and panics, which are not here, with 4 KB of code.

use core::ffi::{CStr, c_char, c_int};

use tcpmon::sys::descriptor;
use tcpmon::sys::heap::Heap;
use tcpmon::sys::signal;

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
        // SAFETY: open(2) with a text that lives for ever. The lowest number that is free is taken.
        if !descriptor::is_open(number)
            && unsafe { libc::openat(libc::AT_FDCWD, c"/dev/null".as_ptr(), libc::O_RDWR) } < 0
        {
            return 1;
        }
    }
    // A reader that goes away is an error of the write.
    let _ = signal::ignore(libc::SIGPIPE);
    let arguments = (1..usize::try_from(count).unwrap_or_default()).map(|i| {
        // SAFETY: the C library gives `count` strings, which stay where they are.
        visible(unsafe { CStr::from_ptr(*arguments.add(i)) }.to_bytes())
    });
    c_int::from(tcpmon::commands::main(arguments).0)
}

/// The text of an argument. What is not UTF-8 is no option, service or host: it is refused under its
/// visible form, with a sign in the place of what is none.
fn visible(mut argument: &'static [u8]) -> &'static str {
    let mut visible = String::new();
    loop {
        let error = match core::str::from_utf8(argument) {
            Ok(text) if visible.is_empty() => return text,
            Ok(text) => {
                visible.push_str(text);
                return String::leak(visible);
            }
            Err(error) => error,
        };
        let (text, rest) = argument.split_at(error.valid_up_to());
        visible.push_str(core::str::from_utf8(text).unwrap_or_default());
        visible.push(char::REPLACEMENT_CHARACTER);
        argument = &rest[error.error_len().unwrap_or(rest.len())..];
    }
}
