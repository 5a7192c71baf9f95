//! Mapped files.

use core::ffi::{c_int, c_void};
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::os::fd::{AsRawFd, OwnedFd};

use super::{Errno, done, signal};

/// Maps this many words of a file, shared, for reading and writing. The mapping may be longer than the file: a word
/// beyond its end is `SIGBUS` until the file grows (mmap(2)).
///
/// A forked child does not have the mapping (`MADV_DONTFORK`): otherwise it would keep the file locked.
pub fn shared(file: &OwnedFd, words: usize) -> Result<&'static [AtomicU32], Errno> {
    let mapped = map(file.as_raw_fd(), words, libc::MAP_SHARED)?;
    leave_out_of_forks(mapped)?;
    Ok(mapped)
}

/// Maps this many words of memory, all zeroes. A page that is never touched costs nothing.
pub fn zeroes(words: usize) -> Result<&'static [AtomicU32], Errno> {
    map(-1, words, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
}

fn leave_out_of_forks(words: &'static [AtomicU32]) -> Result<(), Errno> {
    let start = words.as_ptr().cast_mut().cast();
    // SAFETY: the range is mapped, and the advice changes nothing in this process.
    done(unsafe { libc::madvise(start, size_of_val(words), libc::MADV_DONTFORK) })
}

/// Maps another file over a mapping that [`shared`] has made. The file holds the same words, so readers and writers
/// notice no difference.
pub fn replace(words: &'static [AtomicU32], file: &OwnedFd) -> Result<(), Errno> {
    let start = words.as_ptr().cast_mut().cast();
    // SAFETY: the range was mapped by `shared` and stays mapped: `MAP_FIXED` replaces the old mapping
    // atomically (mmap(2)), and any bits are a u32.
    unsafe { map_at(start, size_of_val(words), libc::MAP_SHARED | libc::MAP_FIXED, file.as_raw_fd()) }?;
    leave_out_of_forks(words)
}

/// The guarded range, and whether its file was lost.
static START: AtomicUsize = AtomicUsize::new(0);
static LENGTH: AtomicUsize = AtomicUsize::new(0);
static LOST: AtomicBool = AtomicBool::new(false);

/// From now on the process survives when the file of these words is cut short (`SIGBUS`, mmap(2)): then all of
/// them become zeroes.
pub fn guard(words: &'static [AtomicU32]) -> Result<(), Errno> {
    START.store(words.as_ptr().expose_provenance(), Ordering::Relaxed);
    LENGTH.store(size_of_val(words), Ordering::Release);
    // SAFETY: `handle_bus_error` has the arguments of an SA_SIGINFO handler, and makes only system calls.
    unsafe { signal::set_action(libc::SIGBUS, handle_bus_error as *const () as libc::sighandler_t, libc::SA_SIGINFO) }
}

/// Whether the guarded words have become zeroes since the last call.
pub fn was_lost() -> bool {
    LOST.swap(false, Ordering::Relaxed)
}

/// Handles `SIGBUS`. A signal handler may make system calls such as mmap.
extern "C" fn handle_bus_error(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // A signal that a process has sent has no address (sigaction(2), `si_code`).
    // SAFETY: the kernel passes the details of the signal.
    if unsafe { (*info).si_code } <= 0 {
        return;
    }
    let (start, length) = (START.load(Ordering::Relaxed), LENGTH.load(Ordering::Acquire));
    // SAFETY: the kernel passes the details of the signal, which for this signal hold an address.
    let at = unsafe { (*info).si_addr() }.addr();
    if (start..start + length).contains(&at) {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let start = core::ptr::with_exposed_provenance_mut(start);
        // SAFETY: `shared` has mapped this range for atomics, and any bits are a u32.
        if unsafe { map_at(start, length, flags, -1) }.is_ok() {
            return LOST.store(true, Ordering::Relaxed);
        }
    }
    // Another access has failed. It is repeated after this handler, and the default action ends the process.
    // SAFETY: the default action runs none of our code.
    let _ = unsafe { signal::set_action(libc::SIGBUS, libc::SIG_DFL, 0) };
}

/// Words of a file, mapped for reading until this is dropped. The mapping is private and writable: on an ARMv5 an
/// atomic load is an exchange with the same value, which writes to a copy of the page and not to the file.
#[derive(Debug)]
pub struct View(&'static [AtomicU32]);

impl View {
    /// Maps this many words of a file, which must be long enough.
    pub fn new(file: &OwnedFd, words: usize) -> Result<Self, Errno> {
        map(file.as_raw_fd(), words, libc::MAP_PRIVATE).map(Self)
    }
}

impl Deref for View {
    type Target = [AtomicU32];

    // Not 'static: the borrow ends with the view.
    fn deref(&self) -> &[AtomicU32] {
        self.0
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // munmap(2) fails only for a wrong argument.
        // SAFETY: the range was mapped for this view alone, and no borrow of it is left.
        unsafe { libc::munmap(self.0.as_ptr().cast_mut().cast(), size_of_val(self.0)) };
    }
}

fn map(file: c_int, words: usize, flags: c_int) -> Result<&'static [AtomicU32], Errno> {
    let length = words.checked_mul(size_of::<AtomicU32>()).ok_or(Errno::EINVAL)?;
    // SAFETY: without an address and `MAP_FIXED` the mapping replaces nothing.
    let start = unsafe { map_at(core::ptr::null_mut(), length, flags, file) }?;
    // SAFETY: the mapping is aligned to a page and `length` bytes long, and any bits are a u32. It is never unmapped,
    // except by a view, which lends it no longer than it lives. Other processes may write to it: it holds atomics.
    Ok(unsafe { core::slice::from_raw_parts(start.cast::<AtomicU32>(), words) })
}

/// mmap(2), for reading and writing. `EINVAL` for a length of 0.
///
/// # Safety
/// With `MAP_FIXED` the range must be a mapping that the caller may replace.
unsafe fn map_at(start: *mut c_void, length: usize, flags: c_int, file: c_int) -> Result<*mut c_void, Errno> {
    // SAFETY: the caller promises that `MAP_FIXED` replaces only its own mapping.
    let mapped = unsafe { libc::mmap(start, length, libc::PROT_READ | libc::PROT_WRITE, flags, file, 0) };
    if mapped == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(mapped) }
}
