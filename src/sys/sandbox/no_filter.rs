//! For a CPU whose system calls are not listed.

use super::Role;
use crate::sys::Errno;

/// Always fails: there is no filter for this CPU.
pub fn confine(_: Role) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}
