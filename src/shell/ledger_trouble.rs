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
    Read,
    /// Recognise it as a ledger.
    Recognise,
    /// Find it to be this user's own.
    Own,
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
        // Other operations open files, too, but there `EINVAL` has other causes.
        let is_opening = self.what == Operation::Open || self.errno == Errno::ELOOP;
        let why = if is_opening { sys::describe_open(self.errno) } else { sys::describe(self.errno) };
        let what = match self.what {
            Operation::Recognise => return f.write_str("is no ledger and is left as it is"),
            Operation::Own => return f.write_str("belongs to another user and is left as it is"),
            Operation::Open => "opened",
            Operation::Read => "read",
            Operation::Lock => "locked",
            Operation::Map => "mapped",
            Operation::Make => "made",
            Operation::Lengthen => "made longer",
            Operation::SetAside => "set aside",
            Operation::Move => "moved",
            Operation::Use => "used: too many targets that are gone wait for their report",
        };
        write!(f, "cannot be {what} ({why})")
    }
}

/// Turns an errno into an error of this operation.
pub(super) fn failed(what: Operation) -> impl Fn(Errno) -> Trouble {
    move |errno| Trouble { what, errno }
}
