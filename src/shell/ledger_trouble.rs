//! Errors of operations on a ledger's file, with their messages.

use core::fmt;

use crate::sys;
use crate::sys::Errno;

/// A failed operation on a ledger's file. Displayed without its subject: `cannot be opened (...)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub(super) what: Operation,
    pub(super) errno: Errno,
}

/// An operation on a ledger's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Open,
    Lock,
    Map,
    Make,
    Lengthen,
    SetAside,
    Move,
    /// Use it for the configured and the removed targets.
    Use,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            Operation::Open => "opened",
            Operation::Lock => "locked",
            Operation::Map => "mapped",
            Operation::Make => "made",
            Operation::Lengthen => "made longer",
            Operation::SetAside => "set aside",
            Operation::Move => "moved",
            Operation::Use => "used: too many targets that are gone wait for their report",
        };
        let why = match self.errno {
            Errno::ELOOP => "it is a symbolic link, and none is followed",
            Errno::EINVAL if self.what == Operation::Open => "it is no regular file",
            errno => sys::describe(errno),
        };
        write!(f, "cannot be {what} ({why})")
    }
}

/// Turns an errno into an error of this operation.
pub(super) fn trouble(what: Operation) -> impl Fn(Errno) -> Trouble {
    move |errno| Trouble { what, errno }
}
