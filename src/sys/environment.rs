//! The environment (environ(7)).

use core::ffi::CStr;

use crate::base::words;

/// An environment variable; empty if there is none.
pub fn bytes(name: &CStr) -> &'static [u8] {
    // SAFETY: the name ends with a NUL, and the process has one thread: nothing changes the environment meanwhile.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return &[];
    }
    // SAFETY: getenv(3) gives a string that ends with a NUL. Only `TZ` is ever changed.
    unsafe { CStr::from_ptr(value) }.to_bytes()
}

/// The same as text; empty, too, if it is not UTF-8.
pub fn variable(name: &CStr) -> &'static str {
    words::utf8(bytes(name)).unwrap_or_default()
}
