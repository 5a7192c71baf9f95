//! For a CPU whose calls nobody has listed.

use super::Role;
use crate::sys::Errno;

/// There is no filter for it.
pub fn confine(_: Role) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}
