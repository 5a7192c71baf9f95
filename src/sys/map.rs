//! Mapped files.

use core::num::NonZero;
use core::ops::Deref;
use core::sync::atomic::AtomicU32;
use std::os::fd::OwnedFd;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

use super::Errno;

/// Maps so many words of a file, shared, for reading and writing. They may reach beyond its end:
/// those come to life when the file grows, and touching one before is `SIGBUS` (mmap(2)).
///
/// A forked child does not have the mapping (`MADV_DONTFORK`): it would keep the file's lock.
pub fn shared(file: &OwnedFd, words: usize) -> Result<&'static [AtomicU32], Errno> {
    let mapped = map(file, words, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)?;
    let start = core::ptr::NonNull::from(mapped).cast();
    // SAFETY: the range was mapped just above, and the advice changes nothing in this process.
    unsafe { madvise(start, size_of_val(mapped), MmapAdvise::MADV_DONTFORK) }?;
    Ok(mapped)
}

/// Words of a file, mapped for reading until this is dropped.
#[derive(Debug)]
pub struct View(&'static [AtomicU32]);

impl View {
    /// Maps so many words of a file, which has them.
    pub fn new(file: &OwnedFd, words: usize) -> Result<Self, Errno> {
        map(file, words, ProtFlags::PROT_READ).map(Self)
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

fn map(file: &OwnedFd, words: usize, protection: ProtFlags) -> Result<&'static [AtomicU32], Errno> {
    let length = words.checked_mul(size_of::<AtomicU32>()).and_then(NonZero::new).ok_or(Errno::EINVAL)?;
    // SAFETY: without a wished address the mapping takes the place of nothing.
    let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, file, 0) }?;
    // SAFETY: the mapping begins on a page, is `length` bytes long and stays, but for a view's, which
    // is lent for no longer than the view lives; other
    // processes may write to it, which is what atomics are for; any bits are a u32. A reader's
    // mapping cannot be written to: its words are only loaded, and a load of 32 bits needs no
    // write on any processor.
    Ok(unsafe { core::slice::from_raw_parts(start.as_ptr().cast::<AtomicU32>(), words) })
}
