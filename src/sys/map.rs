//! Mapped files.

use core::ffi::{c_int, c_void};
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::os::fd::{AsRawFd, OwnedFd};

use super::{Errno, done, signal};

/// Maps so many words of a file, shared, for reading and writing. They may reach beyond its end:
/// those come to life when the file grows, and touching one before is `SIGBUS` (mmap(2)).
///
/// A forked child does not have the mapping (`MADV_DONTFORK`): it would keep the file's lock.
pub fn shared(file: &OwnedFd, words: usize) -> Result<&'static [AtomicU32], Errno> {
    let mapped = map(file, words, libc::MAP_SHARED)?;
    keep_from_children(mapped)?;
    Ok(mapped)
}

fn keep_from_children(words: &'static [AtomicU32]) -> Result<(), Errno> {
    let start = words.as_ptr().cast_mut().cast();
    // SAFETY: the range is mapped, and the advice changes nothing in this process.
    done(unsafe { libc::madvise(start, size_of_val(words), libc::MADV_DONTFORK) })
}

/// Maps another file in the place of one that [`shared`] has mapped. It holds the same words, so
/// whoever reads or writes them finds no difference.
pub fn replace(words: &'static [AtomicU32], file: &OwnedFd) -> Result<(), Errno> {
    let start = words.as_ptr().cast_mut().cast();
    // SAFETY: the range was mapped by `shared`, is nobody else's and stays mapped: this takes the
    // place of the old mapping in one step (mmap(2), `MAP_FIXED`), and any bits are a u32.
    unsafe { map_at(start, size_of_val(words), libc::MAP_SHARED | libc::MAP_FIXED, file.as_raw_fd()) }?;
    keep_from_children(words)
}

/// The range that is guarded, and whether its file was lost.
static START: AtomicUsize = AtomicUsize::new(0);
static LENGTH: AtomicUsize = AtomicUsize::new(0);
static LOST: AtomicBool = AtomicBool::new(false);

/// From here on a file that is cut short while these words of it are in use does not end the process
/// (`SIGBUS`, mmap(2)): zeroes take the place of all of them.
pub fn guard(words: &'static [AtomicU32]) -> Result<(), Errno> {
    START.store(words.as_ptr().expose_provenance(), Ordering::Relaxed);
    LENGTH.store(size_of_val(words), Ordering::Release);
    // SAFETY: `take_place` takes what SA_SIGINFO gives, and makes plain system calls.
    unsafe { signal::dispose(libc::SIGBUS, take_place as *const () as libc::sighandler_t, libc::SA_SIGINFO) }
}

/// Whether zeroes have taken the place of the guarded words since this was last asked.
pub fn was_lost() -> bool {
    LOST.swap(false, Ordering::Relaxed)
}

/// Handles `SIGBUS`. mmap, like every plain system call, may be made in a handler.
extern "C" fn take_place(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: as below. What somebody has sent is about no address (sigaction(2), `si_code`).
    if unsafe { (*info).si_code } <= 0 {
        return;
    }
    let (start, length) = (START.load(Ordering::Relaxed), LENGTH.load(Ordering::Acquire));
    // SAFETY: the kernel passes the details of the signal, which for this one hold an address.
    let at = unsafe { (*info).si_addr() }.addr();
    if (start..start + length).contains(&at) {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let place = core::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the range is the one that `shared` has mapped, for atomics that hold any bits.
        if unsafe { map_at(place, length, flags, -1) }.is_ok() {
            return LOST.store(true, Ordering::Relaxed);
        }
    }
    // Not ours to mend: back to it, to end of it.
    // SAFETY: what a signal does by itself is no code of ours.
    let _ = unsafe { signal::dispose(libc::SIGBUS, libc::SIG_DFL, 0) };
}

/// Words of a file, mapped for reading until this is dropped. Writable, because an ARMv5 has no atomic
/// load: there it is an exchange with the same value, which takes a page of its own (`MAP_PRIVATE`) and
/// leaves the file alone.
#[derive(Debug)]
pub struct View(&'static [AtomicU32]);

impl View {
    /// Maps so many words of a file, which has them.
    pub fn new(file: &OwnedFd, words: usize) -> Result<Self, Errno> {
        map(file, words, libc::MAP_PRIVATE).map(Self)
    }
}

impl Deref for View {
    type Target = [AtomicU32];

    // Not 'static: what is lent here ends with the view.
    fn deref(&self) -> &[AtomicU32] {
        self.0
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the range was mapped for this view alone, and nothing borrowed from it is left.
        // It fails only for a wrong argument.
        unsafe { libc::munmap(self.0.as_ptr().cast_mut().cast(), size_of_val(self.0)) };
    }
}

fn map(file: &OwnedFd, words: usize, flags: c_int) -> Result<&'static [AtomicU32], Errno> {
    let length = words.checked_mul(size_of::<AtomicU32>()).ok_or(Errno::EINVAL)?;
    // SAFETY: without a wished address the mapping takes the place of nothing.
    let start = unsafe { map_at(core::ptr::null_mut(), length, flags, file.as_raw_fd()) }?;
    // SAFETY: the mapping begins on a page, is `length` bytes long and stays, but for a view's, which
    // is lent for no longer than the view lives; other
    // processes may write to it, which is what atomics are for; any bits are a u32.
    Ok(unsafe { core::slice::from_raw_parts(start.cast::<AtomicU32>(), words) })
}

/// mmap(2), for reading and writing. `EINVAL` for no length.
///
/// # Safety
/// With `MAP_FIXED` the range must be the caller's to replace.
unsafe fn map_at(start: *mut c_void, length: usize, flags: c_int, file: c_int) -> Result<*mut c_void, Errno> {
    // SAFETY: as the caller promises.
    let mapped = unsafe { libc::mmap(start, length, libc::PROT_READ | libc::PROT_WRITE, flags, file, 0) };
    if mapped == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(mapped) }
}
