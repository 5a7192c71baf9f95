//! Small blocks of memory, in place of the C library's malloc(3), which is made for threads and for
//! programs that live by it, at 8 KB of code. Here it is one thread that takes blocks when it starts
//! and when it reads its configuration anew.
//!
//! A block's size is a power of two. One that is given back is the next that is taken of its size.

use core::ptr::{NonNull, null_mut};

use nix::errno::Errno;

/// In front of what is handed out stands its block's size; as long as the strictest alignment of C
/// (max_align_t).
const HEADER: usize = 2 * size_of::<usize>();

/// The smallest block and the largest, header included, as powers of two. What is larger is a mapping.
const SMALLEST: u32 = HEADER.trailing_zeros() + 1;
const LARGEST: u32 = 15;

/// What is taken from the kernel at a time; of it only what is used is there.
const CHUNK: usize = 1 << LARGEST;

/// The head of a block.
#[repr(C)]
struct Block {
    /// Its size, header included: a power of two, or beyond [`LARGEST`] that of its mapping.
    size: usize,
    /// The next free one of its size; nothing while it is handed out.
    next: *mut Block,
}

/// Free blocks, and the chunk from which new ones are cut.
pub struct Blocks {
    free: [*mut Block; (LARGEST - SMALLEST + 1) as usize],
    chunk: *mut Block,
    left: usize,
}

impl Blocks {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self { free: [null_mut(); (LARGEST - SMALLEST + 1) as usize], chunk: null_mut(), left: 0 }
    }

    /// Room for so many bytes, aligned for any type of C, with whatever was there; null, and errno as
    /// malloc(3) sets it, where there is none.
    pub fn take(&mut self, bytes: usize) -> *mut u8 {
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
            // SAFETY: what is in the list was given back, so that it is a block with nobody's data.
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
        // SAFETY: the last `size` bytes of what is left of the chunk.
        start(unsafe { self.chunk.byte_add(self.left) }, size)
    }

    /// Takes a block back; null is none.
    ///
    /// # Safety
    /// It is from [`Blocks::take`] of these blocks, and nobody uses it any more.
    pub unsafe fn give_back(&mut self, start: *mut u8) {
        if start.is_null() {
            return;
        }
        // SAFETY: the caller's promise.
        let size = HEADER + unsafe { Self::room(start) };
        // SAFETY: as `room` has it; the caller has done with the block, so that it is ours again.
        let block = unsafe { start.sub(HEADER) }.cast::<Block>();
        if size > CHUNK {
            // SAFETY: `take` made this mapping with this size.
            unsafe { libc::munmap(block.cast(), size) };
            return;
        }
        let free = &mut self.free[(size.trailing_zeros() - SMALLEST) as usize];
        // SAFETY: the header is there, and nobody else's.
        unsafe { (*block).next = *free };
        *free = block;
    }

    /// How many bytes there is room for.
    ///
    /// # Safety
    /// It is from [`Blocks::take`], and was not given back.
    pub unsafe fn room(start: *const u8) -> usize {
        // SAFETY: its header stands in front of it.
        unsafe { (*start.sub(HEADER).cast::<Block>()).size - HEADER }
    }
}

/// Heads a block, and tells where its data begin; null if there is none.
fn start(block: *mut Block, size: usize) -> *mut u8 {
    if block.is_null() {
        return null_mut();
    }
    // SAFETY: so many bytes are there for the one who asked, and a header is shorter.
    unsafe {
        (*block).size = size;
        block.cast::<u8>().add(HEADER)
    }
}

/// A new mapping, or null.
fn map(size: usize) -> *mut Block {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at a place of the kernel's choice, aligned to a page.
    let block = unsafe { libc::mmap(null_mut(), size, protection, flags, -1, 0) };
    if block == libc::MAP_FAILED { null_mut() } else { block.cast() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_are_aligned_for_any_type() {
        let mut blocks = Blocks::new();
        let mut taken = Vec::new();
        for bytes in (0..200).chain([4095, 4096, 16384, 32751, 32752, 32753, 100_000]) {
            let start = blocks.take(bytes);
            assert!(!start.is_null() && start.addr() % HEADER == 0, "{bytes}");
            // SAFETY: just taken.
            assert!(unsafe { Blocks::room(start) } >= bytes, "{bytes}");
            // SAFETY: so many bytes are there.
            unsafe { start.write_bytes(taken.len() as u8, bytes) };
            taken.push((start, bytes));
        }
        for (i, &(start, bytes)) in taken.iter().enumerate() {
            // SAFETY: taken and written above.
            let data = unsafe { core::slice::from_raw_parts(start, bytes) };
            assert!(data.iter().all(|byte| *byte == i as u8), "{bytes}");
            // SAFETY: each once.
            unsafe { blocks.give_back(start) };
        }
    }

    #[test]
    fn what_is_given_back_is_taken_again_so_that_years_of_it_need_no_more() {
        let mut blocks = Blocks::new();
        let (first, second) = (blocks.take(100), blocks.take(100));
        assert_ne!(first, second);
        for _ in 0..10_000 {
            // SAFETY: taken above, or below in the turn before.
            unsafe {
                blocks.give_back(second);
                blocks.give_back(first);
            }
            assert_eq!((blocks.take(112), blocks.take(65)), (first, second));
        }
        // SAFETY: null is no block.
        unsafe { blocks.give_back(null_mut()) };
    }

    #[test]
    fn what_cannot_be_there_is_refused() {
        let mut blocks = Blocks::new();
        for bytes in [usize::MAX, usize::MAX - HEADER, isize::MAX as usize, isize::MAX as usize - HEADER] {
            Errno::clear();
            assert!(blocks.take(bytes).is_null(), "{bytes}");
            assert_eq!(Errno::last(), Errno::ENOMEM, "{bytes}");
        }
        assert!(!blocks.take(1).is_null());
    }
}
