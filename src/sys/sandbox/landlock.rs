//! The files that a process can open (landlock(7)). A rule is for a directory that exists when the rule is made, and
//! for everything below it.

use core::ffi::c_int;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::sys::by_path::open;
use crate::sys::{self, Errno, done, number};

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

/// What is allowed below a path.
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

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: RawFd,
}

impl Rules {
    /// No rules yet. An error if the kernel has no Landlock, or has it switched off.
    pub fn new() -> Result<Self, Errno> {
        let (none, version_flag): (usize, libc::c_uint) = (0, 1);
        // SAFETY: with this flag the call reads no memory and returns the version.
        let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, none, version_flag) };
        let handled: u64 = match number(version as c_int)? {
            1 => (1 << 13) - 1,
            2 => (1 << 14) - 1,
            _ => (1 << 15) - 1,
        };
        let flags: libc::c_uint = 0;
        // SAFETY: `handled` is live and its size is given. It is the first member of `landlock_ruleset_attr`, and
        // the others may be left out.
        let made = unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, &raw const handled, size_of_val(&handled), flags)
        };
        // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
        Ok(Self { fd: unsafe { sys::made(made as RawFd) }?, handled })
    }

    /// Allows access to the file with this path, or to everything below the directory. `ENOENT` if the path does not
    /// exist.
    pub fn allow(&self, path: &str, access: Access) -> Result<(), Errno> {
        let file = open(path, libc::O_PATH, 0)?;
        let add = |allowed| {
            let rule = Beneath { allowed, parent: file.as_raw_fd() };
            let (kind, flags): (c_int, libc::c_uint) = (1, 0);
            // SAFETY: `rule` is live and has the form of this kind, `LANDLOCK_RULE_PATH_BENEATH`; `file` is open.
            done(unsafe {
                libc::syscall(libc::SYS_landlock_add_rule, self.fd.as_raw_fd(), kind, &raw const rule, flags)
            } as c_int)
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
    let flags: libc::c_uint = 0;
    // SAFETY: the arguments are numbers.
    done(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules, flags) } as c_int)
}
