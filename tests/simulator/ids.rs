//! The ids of all actions so far, to see that none is used twice.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use tcpmon::core::probe::ProbeId;

/// A set of ids.
pub type Ids = HashSet<ProbeId, BuildHasherDefault<IdHasher>>;

/// A fast hash: ids are small numbers, which one multiplication spreads well enough.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u16(&mut self, n: u16) {
        self.write_u32(u32::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.0 = (self.0 ^ u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
}
