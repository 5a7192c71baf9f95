//! The files that a process can open (landlock(7)). A rule is for a directory that exists when the rule is made, and
//! for everything below it.

use core::ffi::c_int;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::sys::by_path::open;
use crate::sys::{Errno, done, number, system_call};

// `LANDLOCK_ACCESS_FS_*` of linux/landlock.h.
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SYM: u64 = 1 << 12;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;

/// What is allowed for a file, or below a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only reading.
    Read,
    /// Everything that a log and a ledger need.
    Write,
}

impl Access {
    fn bits(self) -> u64 {
        let read = READ_FILE | READ_DIR;
        match self {
            Access::Read => read,
            Access::Write => read | WRITE_FILE | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE,
        }
    }
}

/// A set of rules. What no rule allows is forbidden.
#[derive(Debug)]
pub struct Rules {
    fd: OwnedFd,
    /// The rights that this kernel knows, and that these rules control.
    handled: u64,
}

/// `LANDLOCK_RULE_PATH_BENEATH`, and the form of such a rule: `struct landlock_path_beneath_attr`.
const PATH_BENEATH: usize = 1;

#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: RawFd,
}

impl Rules {
    /// No rules yet. An error if the kernel has no Landlock, or has it switched off.
    pub fn new() -> Result<Self, Errno> {
        let create = |attributes: *const u64, size: usize, flags: usize| {
            // SAFETY: the pointer is null, or leads to a live value of this size.
            number(unsafe {
                system_call(libc::SYS_landlock_create_ruleset, [attributes.expose_provenance(), size, flags, 0, 0])
            } as c_int)
        };
        // `LANDLOCK_CREATE_RULESET_VERSION`
        let handled: u64 = match create(core::ptr::null(), 0, 1)? {
            1 => (1 << 13) - 1,
            2 => (1 << 14) - 1,
            _ => (1 << 15) - 1,
        };
        // The first member of `landlock_ruleset_attr`; the others may be left out.
        let made = create(&raw const handled, size_of_val(&handled), 0)?;
        // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(made) }, handled })
    }

    /// Allows reading the file with this path, or everything below the directory. `ENOENT` if the path does not exist.
    pub fn allow_reading(&self, path: &str) -> Result<(), Errno> {
        self.allow(&open(path, libc::O_PATH, 0)?, Access::Read)
    }

    /// Allows access to this file, or to everything below this directory. The descriptor may be `O_PATH`.
    pub fn allow(&self, file: &OwnedFd, access: Access) -> Result<(), Errno> {
        let add = |allowed| {
            let rule = Beneath { allowed, parent: file.as_raw_fd() };
            let arguments = [self.fd.as_raw_fd() as usize, PATH_BENEATH, (&raw const rule).expose_provenance(), 0, 0];
            // SAFETY: `rule` is live and has the form of this kind; `file` is open.
            done(unsafe { system_call(libc::SYS_landlock_add_rule, arguments) } as c_int)
        };
        let allowed = access.bits() & self.handled;
        // The kernel refuses a file a rule with rights that only a directory has.
        add(allowed).or_else(|_| add(allowed & (READ_FILE | WRITE_FILE | TRUNCATE)))
    }

    /// From now on these rules hold for this process and its children.
    pub fn restrict(&self) -> Result<(), Errno> {
        restrict(self.fd.as_raw_fd())
    }
}

impl AsRawFd for Rules {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// The same with the number of a descriptor.
pub(super) fn restrict(rules: RawFd) -> Result<(), Errno> {
    // SAFETY: the arguments are numbers.
    done(unsafe { system_call(libc::SYS_landlock_restrict_self, [rules as usize, 0, 0, 0, 0]) } as c_int)
}
