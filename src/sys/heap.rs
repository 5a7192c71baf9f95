//! The program's heap. Its large blocks are not copied into helpers, which never read them.
//!
//! A helper is a fork of the monitor: it keeps a copy of each page that the monitor writes after the fork, so
//! nearly all of the monitor's large tables. So each large block is a mapping of its own that a fork leaves
//! out (madvise(2), `MADV_DONTFORK`).

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use super::blocks::Blocks;

/// A block of at least this many bytes is a mapping of its own.
const LARGE: usize = 16 * 1024;

/// Whether new large blocks are left out of forks.
static KEPT: AtomicBool = AtomicBool::new(false);

/// From now on new large blocks are left out of forks. A helper must not touch them.
pub fn keep_from_helpers() {
    KEPT.store(true, Ordering::Relaxed);
}

/// The heap. `entry` makes it the global allocator.
pub struct Heap(UnsafeCell<Blocks>);

// SAFETY: see `Heap::new`.
unsafe impl Sync for Heap {}

impl Heap {
    /// An empty heap.
    ///
    /// # Safety
    /// The program has one thread, and its signal handlers do not allocate.
    pub const unsafe fn new() -> Self {
        Self(UnsafeCell::new(Blocks::new()))
    }

    /// The small blocks. The borrow must end before the next call.
    #[allow(clippy::mut_from_ref)]
    fn blocks(&self) -> &mut Blocks {
        // SAFETY: there is one thread (see `new`), and `Blocks` does not use the heap itself.
        unsafe { &mut *self.0.get() }
    }

    /// malloc(3).
    pub fn malloc(&self, bytes: usize) -> *mut u8 {
        self.blocks().allocate(bytes)
    }

    /// calloc(3).
    pub fn calloc(&self, count: usize, each: usize) -> *mut u8 {
        // A product that is too large becomes more than can be allocated.
        let bytes = count.saturating_mul(each);
        let start = self.blocks().allocate(bytes);
        if !start.is_null() {
            // SAFETY: the new block has this many bytes, and nothing else uses it.
            unsafe { start.write_bytes(0, bytes) };
        }
        start
    }

    /// realloc(3).
    ///
    /// # Safety
    /// `start` is null or from this heap, and was not freed. If the result is not null, `start` is not used any more.
    pub unsafe fn realloc(&self, start: *mut u8, bytes: usize) -> *mut u8 {
        // SAFETY: the caller promises that it is a block of this heap.
        let capacity = if start.is_null() { 0 } else { unsafe { Blocks::capacity(start) } };
        if bytes <= capacity && !start.is_null() {
            return start;
        }
        let moved = self.blocks().allocate(bytes);
        if !moved.is_null() {
            // SAFETY: the new block is larger than the old one, of which null has 0 bytes; the old one is not used
            // any more.
            unsafe {
                moved.copy_from_nonoverlapping(start, capacity);
                self.free(start);
            }
        }
        moved
    }

    /// free(3).
    ///
    /// # Safety
    /// `start` is null or from this heap, was not freed, and is not used any more.
    pub unsafe fn free(&self, start: *mut u8) {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.blocks().free(start) };
    }
}

/// Whether this is a small block, with an alignment that small blocks have.
fn is_small(layout: Layout) -> bool {
    layout.size() < LARGE && layout.align() <= 2 * size_of::<usize>()
}

// SAFETY: a small block is from `Blocks`, a large one is a mapping of exactly its size. `is_small` decides
// between them both when a block is made and when it is freed.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_small(layout) {
            return self.malloc(layout.size());
        }
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: the kernel chooses a free address; it is aligned to a page, which is more than any of our
        // types needs.
        let block = unsafe { libc::mmap(null_mut(), layout.size(), protection, flags, -1, 0) };
        if block == libc::MAP_FAILED {
            return null_mut();
        }
        if KEPT.load(Ordering::Relaxed) {
            // SAFETY: the mapping was just made. If this call fails, a fork copies the block.
            unsafe { libc::madvise(block, layout.size(), libc::MADV_DONTFORK) };
        }
        block.cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_small(layout) {
            return self.calloc(1, layout.size());
        }
        // SAFETY: the caller's promises are passed on; a new mapping is all zeroes.
        unsafe { self.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_small(layout) {
            // SAFETY: `alloc` allocated this block here, and the caller does not use it any more.
            return unsafe { self.free(block) };
        }
        // SAFETY: `alloc` made this mapping with this size, and the caller does not use it any more.
        unsafe { libc::munmap(block.cast(), layout.size()) };
    }
}
