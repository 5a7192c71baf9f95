//! The heap of the program, of which helpers are spared what they never read.
//!
//! A helper is a fork of the monitor, and holds a copy of each page that the monitor writes to
//! afterwards: of its large tables all that are in use. So these are mappings of their own, which a
//! fork leaves out (madvise(2), `MADV_DONTFORK`).

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

/// From so many bytes on a block is a mapping of its own.
const LARGE: usize = 16 * 1024;

/// Whether blocks are kept from forks by now.
static KEPT: AtomicBool = AtomicBool::new(false);

/// Large blocks that are made from here on are not there in a fork of this process, and must not be
/// touched in it.
pub fn keep_from_helpers() {
    KEPT.store(true, Ordering::Relaxed);
}

/// The heap; `entry` makes it that of the program.
pub struct Heap;

/// Whether the C library has such a block: small, and of no rarer alignment than it gives (max_align_t).
fn is_small(layout: Layout) -> bool {
    layout.size() < LARGE && layout.align() <= 8
}

// SAFETY: a small block is the C library's own business; a large one is a mapping of just its size, made
// and unmapped by the same rule, so that the two never meet.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_small(layout) {
            // SAFETY: malloc(3) may be asked for any size.
            return unsafe { libc::malloc(layout.size()) }.cast();
        }
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at a place of the kernel's choice; it is aligned to a page, which is more
        // than any type of ours asks for.
        let block = unsafe { libc::mmap(null_mut(), layout.size(), protection, flags, -1, 0) };
        if block == libc::MAP_FAILED {
            return null_mut();
        }
        if KEPT.load(Ordering::Relaxed) {
            // SAFETY: the mapping just made. Where it fails, a fork has a copy more.
            unsafe { libc::madvise(block, layout.size(), libc::MADV_DONTFORK) };
        }
        block.cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_small(layout) {
            // SAFETY: as in `alloc`.
            return unsafe { libc::calloc(1, layout.size()) }.cast();
        }
        // SAFETY: the caller's promises are passed on; a new mapping is all zeroes.
        unsafe { self.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_small(layout) {
            // SAFETY: malloc(3) or calloc(3) made it, and the caller has done with it.
            return unsafe { libc::free(block.cast()) };
        }
        // SAFETY: `alloc` made this mapping with this size, and the caller has done with it.
        unsafe { libc::munmap(block.cast(), layout.size()) };
    }
}
