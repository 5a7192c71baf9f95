//! Mapped files.

use core::num::NonZero;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::os::fd::OwnedFd;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::Errno;

/// Maps so many words of a file, shared, for reading and writing. They may reach beyond its end:
/// those come to life when the file grows, and touching one before is `SIGBUS` (mmap(2)).
///
/// A forked child does not have the mapping (`MADV_DONTFORK`): it would keep the file's lock.
pub fn shared(file: &OwnedFd, words: usize) -> Result<&'static [AtomicU32], Errno> {
    let mapped = map(file, words, MapFlags::MAP_SHARED)?;
    let start = core::ptr::NonNull::from(mapped).cast();
    // SAFETY: the range was mapped just above, and the advice changes nothing in this process.
    unsafe { madvise(start, size_of_val(mapped), MmapAdvise::MADV_DONTFORK) }?;
    Ok(mapped)
}

/// Maps another file in the place of one that [`shared`] has mapped. It holds the same words, so
/// whoever reads or writes them finds no difference.
pub fn replace(words: &'static [AtomicU32], file: &OwnedFd) -> Result<(), Errno> {
    let length = NonZero::new(size_of_val(words)).ok_or(Errno::EINVAL)?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let start = core::ptr::NonNull::from(words).cast();
    // SAFETY: the range was mapped by `shared`, is nobody else's and stays mapped: this takes the
    // place of the old mapping in one step (mmap(2), `MAP_FIXED`), and any bits are a u32.
    unsafe { mmap(Some(start.addr()), length, protection, MapFlags::MAP_SHARED | MapFlags::MAP_FIXED, file, 0) }?;
    // SAFETY: as in `shared`.
    unsafe { madvise(start, length.get(), MmapAdvise::MADV_DONTFORK) }
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
    let action = SigAction::new(SigHandler::SigAction(take_place), SaFlags::SA_SIGINFO, SigSet::empty());
    // SAFETY: the handler does nothing but what may be done in one.
    unsafe { sigaction(Signal::SIGBUS, &action) }.map(drop)
}

/// Whether zeroes have taken the place of the guarded words since this was last asked.
pub fn was_lost() -> bool {
    LOST.swap(false, Ordering::Relaxed)
}

/// Handles `SIGBUS`. mmap, like every plain system call, may be made in a handler.
extern "C" fn take_place(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: as below. What somebody has sent is about no address (sigaction(2), `si_code`).
    if unsafe { (*info).si_code } <= 0 {
        return;
    }
    let (start, length) = (START.load(Ordering::Relaxed), LENGTH.load(Ordering::Acquire));
    // SAFETY: the kernel passes the details of the signal, which for this one hold an address.
    let at = unsafe { (*info).si_addr() }.addr();
    if (start..start + length).contains(&at) {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let place = core::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the range is the one that `shared` has mapped, for atomics that hold any bits.
        let mapped = unsafe { libc::mmap(place, length, protection, flags, -1, 0) };
        if mapped != libc::MAP_FAILED {
            return LOST.store(true, Ordering::Relaxed);
        }
    }
    // Not ours to mend: back to it, to end of it.
    // SAFETY: signal(2) with a disposition that runs no code of ours.
    unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
}

/// Words of a file, mapped for reading until this is dropped. Writable, because an ARMv5 has no atomic
/// load: there it is an exchange with the same value, which takes a page of its own (`MAP_PRIVATE`) and
/// leaves the file alone.
#[derive(Debug)]
pub struct View(&'static [AtomicU32]);

impl View {
    /// Maps so many words of a file, which has them.
    pub fn new(file: &OwnedFd, words: usize) -> Result<Self, Errno> {
        map(file, words, MapFlags::MAP_PRIVATE).map(Self)
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
        let start = core::ptr::NonNull::from(self.0).cast();
        // SAFETY: the range was mapped for this view alone, and nothing borrowed from it is left.
        // It fails only for a wrong argument.
        let _ = unsafe { munmap(start, size_of_val(self.0)) };
    }
}

fn map(file: &OwnedFd, words: usize, flags: MapFlags) -> Result<&'static [AtomicU32], Errno> {
    let length = words.checked_mul(size_of::<AtomicU32>()).and_then(NonZero::new).ok_or(Errno::EINVAL)?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: without a wished address the mapping takes the place of nothing.
    let start = unsafe { mmap(None, length, protection, flags, file, 0) }?;
    // SAFETY: the mapping begins on a page, is `length` bytes long and stays, but for a view's, which
    // is lent for no longer than the view lives; other
    // processes may write to it, which is what atomics are for; any bits are a u32.
    Ok(unsafe { core::slice::from_raw_parts(start.as_ptr().cast::<AtomicU32>(), words) })
}
