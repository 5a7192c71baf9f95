//! Small blocks of memory. They replace libc's malloc(3), which is made for threads and for programs that
//! allocate often, and has 8 KB of code. This program has one thread, which allocates when it starts and when
//! it re-reads its configuration.
//!
//! A block's size is a power of two. The block that was freed last is the next that is allocated of its size.

use core::ptr::{NonNull, null_mut};

use super::Errno;

/// Bytes of the header before a block's data, which holds the block's size. As long as the strictest
/// alignment of C (max_align_t).
const HEADER: usize = 2 * size_of::<usize>();

/// The smallest and the largest block, header included, as powers of two. A larger one is a mapping of its own.
const SMALLEST: u32 = HEADER.trailing_zeros() + 1;
const LARGEST: u32 = 15;

/// Bytes that are mapped at a time. Pages that are never touched need no memory.
const CHUNK: usize = 1 << LARGEST;

/// The beginning of a block.
#[repr(C)]
struct Block {
    /// Its size, header included: a power of two; above [`LARGEST`] the size of its mapping.
    size: usize,
    /// The next free block of its size; unused while the block is allocated.
    next: *mut Block,
}

/// Free blocks, and the chunk from which new ones are cut.
pub struct Blocks {
    free: [*mut Block; (LARGEST - SMALLEST + 1) as usize],
    chunk: *mut Block,
    left: usize,
}

impl Blocks {
    /// No blocks yet.
    pub(super) const fn new() -> Self {
        Self { free: [null_mut(); (LARGEST - SMALLEST + 1) as usize], chunk: null_mut(), left: 0 }
    }

    /// Allocates this many bytes, aligned for any type of C and not initialised. Returns null, with errno as
    /// malloc(3) sets it, when there is no memory.
    pub fn allocate(&mut self, bytes: usize) -> *mut u8 {
        let Some(size) = bytes.checked_add(HEADER).filter(|size| *size <= isize::MAX as usize) else {
            Errno::ENOMEM.set();
            return null_mut();
        };
        let power = (usize::BITS - (size - 1).leading_zeros()).max(SMALLEST);
        if power > LARGEST {
            return start(map(size), size);
        }
        let size = 1 << power;
        let free = &mut self.free[(power - SMALLEST) as usize];
        if let Some(block) = NonNull::new(*free) {
            // SAFETY: a block in the list was freed, so nothing else uses it.
            *free = unsafe { block.as_ref() }.next;
            return start(block.as_ptr(), size);
        }
        if self.left < size {
            let chunk = map(CHUNK);
            if chunk.is_null() {
                return null_mut();
            }
            (self.chunk, self.left) = (chunk, CHUNK);
        }
        self.left -= size;
        // SAFETY: these are the last `size` bytes of the unused part of the chunk.
        start(unsafe { self.chunk.byte_add(self.left) }, size)
    }

    /// Frees a block. Null is ignored.
    ///
    /// # Safety
    /// The block is from [`Blocks::allocate`] of these blocks, and nothing uses it any more.
    pub unsafe fn free(&mut self, start: *mut u8) {
        if start.is_null() {
            return;
        }
        // SAFETY: the caller promises that it is a block.
        let size = HEADER + unsafe { Self::capacity(start) };
        // SAFETY: the header is before the data, and the caller promises that nothing else uses the block.
        let block = unsafe { start.sub(HEADER) }.cast::<Block>();
        if size > CHUNK {
            // SAFETY: `allocate` made this mapping with this size.
            unsafe { libc::munmap(block.cast(), size) };
            return;
        }
        let free = &mut self.free[(size.trailing_zeros() - SMALLEST) as usize];
        // SAFETY: the block is live, and nothing else uses it.
        unsafe { (*block).next = *free };
        *free = block;
    }

    /// How many bytes of data the block can hold.
    ///
    /// # Safety
    /// The block is from [`Blocks::allocate`] and was not freed.
    pub unsafe fn capacity(start: *const u8) -> usize {
        // SAFETY: the header is before the data.
        unsafe { (*start.sub(HEADER).cast::<Block>()).size - HEADER }
    }
}

/// Writes a block's header and returns where its data begins. Null stays null.
fn start(block: *mut Block, size: usize) -> *mut u8 {
    if block.is_null() {
        return null_mut();
    }
    // SAFETY: `size` bytes belong to the block, and the header is shorter.
    unsafe {
        (*block).size = size;
        block.cast::<u8>().add(HEADER)
    }
}

/// A new mapping, or null.
fn map(size: usize) -> *mut Block {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: the kernel chooses a free address, aligned to a page.
    let block = unsafe { libc::mmap(null_mut(), size, protection, flags, -1, 0) };
    if block == libc::MAP_FAILED { null_mut() } else { block.cast() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_are_aligned_for_any_type() {
        let mut blocks = Blocks::new();
        let mut allocated = Vec::new();
        for bytes in (0..200).chain([4095, 4096, 16384, 32751, 32752, 32753, 100_000]) {
            let start = blocks.allocate(bytes);
            assert!(!start.is_null() && start.addr() % HEADER == 0, "{bytes}");
            // SAFETY: it was just allocated.
            assert!(unsafe { Blocks::capacity(start) } >= bytes, "{bytes}");
            // SAFETY: the block has this many bytes.
            unsafe { start.write_bytes(allocated.len() as u8, bytes) };
            allocated.push((start, bytes));
        }
        for (i, &(start, bytes)) in allocated.iter().enumerate() {
            // SAFETY: allocated and written above.
            let data = unsafe { core::slice::from_raw_parts(start, bytes) };
            assert!(data.iter().all(|byte| *byte == i as u8), "{bytes}");
            // SAFETY: each block is freed once.
            unsafe { blocks.free(start) };
        }
    }

    #[test]
    fn freed_blocks_are_used_again_so_that_memory_does_not_grow_over_the_years() {
        let mut blocks = Blocks::new();
        let (first, second) = (blocks.allocate(100), blocks.allocate(100));
        assert_ne!(first, second);
        for _ in 0..10_000 {
            // SAFETY: allocated above, or below in the round before.
            unsafe {
                blocks.free(second);
                blocks.free(first);
            }
            assert_eq!((blocks.allocate(112), blocks.allocate(65)), (first, second));
        }
        // SAFETY: null is ignored.
        unsafe { blocks.free(null_mut()) };
    }

    #[test]
    fn more_bytes_than_can_be_mapped_are_refused() {
        let mut blocks = Blocks::new();
        for bytes in [usize::MAX, usize::MAX - HEADER, isize::MAX as usize, isize::MAX as usize - HEADER] {
            Errno::EPERM.set();
            assert!(blocks.allocate(bytes).is_null(), "{bytes}");
            assert_eq!(Errno::last(), Errno::ENOMEM, "{bytes}");
        }
        assert!(!blocks.allocate(1).is_null());
    }
}
