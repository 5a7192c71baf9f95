//! The heap of the program, of which helpers are spared what they never read.
//!
//! A helper is a fork of the monitor, and holds a copy of each page that the monitor writes to
//! afterwards: of its large tables all that are in use. So these are mappings of their own, which a
//! fork leaves out (madvise(2), `MADV_DONTFORK`).

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use super::blocks::Blocks;

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
pub struct Heap(UnsafeCell<Blocks>);

// SAFETY: see `Heap::new`.
unsafe impl Sync for Heap {}

impl Heap {
    /// The heap, with nothing in it.
    ///
    /// # Safety
    /// The program has one thread, and its signal handlers do not allocate.
    pub const unsafe fn new() -> Self {
        Self(UnsafeCell::new(Blocks::new()))
    }

    /// The small blocks, for one call at a time.
    #[allow(clippy::mut_from_ref)]
    fn blocks(&self) -> &mut Blocks {
        // SAFETY: there is one thread (see `new`), and nothing in `Blocks` comes back to the heap.
        unsafe { &mut *self.0.get() }
    }

    /// malloc(3).
    pub fn malloc(&self, bytes: usize) -> *mut u8 {
        self.blocks().take(bytes)
    }

    /// calloc(3).
    pub fn calloc(&self, count: usize, each: usize) -> *mut u8 {
        // More than there is, where the product is too large.
        let bytes = count.saturating_mul(each);
        let start = self.blocks().take(bytes);
        if !start.is_null() {
            // SAFETY: room for so many bytes, which nobody uses yet.
            unsafe { start.write_bytes(0, bytes) };
        }
        start
    }

    /// realloc(3).
    ///
    /// # Safety
    /// What is null or from this heap, and was not given back, is not used any more when the answer is not null.
    pub unsafe fn realloc(&self, start: *mut u8, bytes: usize) -> *mut u8 {
        // SAFETY: a block of this heap.
        let room = if start.is_null() { 0 } else { unsafe { Blocks::room(start) } };
        if bytes <= room && !start.is_null() {
            return start;
        }
        let moved = self.blocks().take(bytes);
        if !moved.is_null() {
            // SAFETY: all of the old one, null being none, fits into the new one; the old one is done with.
            unsafe {
                moved.copy_from_nonoverlapping(start, room);
                self.free(start);
            }
        }
        moved
    }

    /// free(3).
    ///
    /// # Safety
    /// What is null or from this heap, and was not given back, is not used any more.
    pub unsafe fn free(&self, start: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.blocks().give_back(start) };
    }
}

/// Whether it is a small block, and of no stricter alignment than they have.
fn is_small(layout: Layout) -> bool {
    layout.size() < LARGE && layout.align() <= 2 * size_of::<usize>()
}

// SAFETY: a small block is one of `Blocks`; a large one is a mapping of just its size, made and unmapped
// by the same rule, so that the two never meet.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_small(layout) {
            return self.malloc(layout.size());
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
            return self.calloc(1, layout.size());
        }
        // SAFETY: the caller's promises are passed on; a new mapping is all zeroes.
        unsafe { self.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_small(layout) {
            // SAFETY: `alloc` took it, and the caller has done with it.
            return unsafe { self.free(block) };
        }
        // SAFETY: `alloc` made this mapping with this size, and the caller has done with it.
        unsafe { libc::munmap(block.cast(), layout.size()) };
    }
}
