//! The faults: each system call of the program with every errno of its manual page, and with those
//! of the pages that it refers to (ip(7), tcp(7), unix(7)).
//!
//! Left out: getpid, getppid and umask, which always succeed, and the read of the descriptor that
//! reports a clock change, because a test must not set the clock.

use std::fmt;

use crate::daily_log::Kind;

/// When a fault begins, and in which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// In the loop, in the middle of a run.
    Running,
    /// In the program's process, from the program's first call on.
    Start,
    /// In the existing helpers, in the middle of a run.
    Lookup,
    /// In helpers that are being forked, in the middle of a run.
    Fork,
}

/// The files to which a fault is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Not limited.
    All,
    /// The daily files of this kind.
    Daily(Kind),
    /// Standard output and standard error.
    Console,
    /// The configuration file.
    Configuration,
}

/// A row of the table below.
pub struct Row {
    /// The name of its manual page.
    call: &'static str,
    moment: Moment,
    /// The system calls that implement it, on any architecture.
    names: &'static [&'static str],
    scope: Scope,
    errnos: &'static str,
    /// The errnos that may count against a target, because the network answered so, or because of a
    /// rule that the operator of this box has made; or `all`, or [`NO_SHORTAGE`].
    blaming: &'static str,
    /// A second fault, which makes the program call this one.
    beside: &'static [(&'static str, &'static str)],
}

/// One call with one errno.
#[derive(Clone, Copy)]
pub struct Case {
    row: &'static Row,
    pub errno: &'static str,
}

impl Case {
    pub fn call(&self) -> &'static str {
        self.row.call
    }

    pub fn moment(&self) -> Moment {
        self.row.moment
    }

    pub fn scope(&self) -> Scope {
        self.row.scope
    }

    /// The system calls that fail.
    pub fn names(&self) -> &'static [&'static str] {
        self.row.names
    }

    /// The second faults, as strace arguments.
    pub fn beside(&self) -> &'static [(&'static str, &'static str)] {
        self.row.beside
    }

    /// The fault as a strace argument; `first` is the number of the first call that fails.
    pub fn fault(&self, first: usize) -> String {
        match (self.row.call, self.errno) {
            // The raw call returns the old end if it fails, and no errno.
            ("brk" | "memory", _) => format!("retval=0:when={first}+"),
            // Every second call fails: after an interruption the next call succeeds, and so it does
            // after a race with another thread's open.
            (_, "EINTR") | ("dup2", "EBUSY") => format!("error={}:when={first}+2", self.errno),
            (_, errno) => format!("error={errno}:when={first}+"),
        }
    }

    /// Whether this may count against a target.
    pub fn may_blame(&self) -> bool {
        match self.row.blaming {
            "all" => true,
            NO_SHORTAGE => !SHORTAGES.contains(&self.errno),
            errnos => errnos.split(' ').any(|errno| errno == self.errno),
        }
    }

    /// Whether the errno comes and goes, so that its message may be repeated.
    pub fn flaps(&self) -> bool {
        self.errno == "EINTR"
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.row.heading(), self.row.moment, self.errno)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Moment::Running => "running",
            Moment::Start => "start",
            Moment::Lookup => "helper",
            Moment::Fork => "new helper",
        })
    }
}

impl Row {
    /// The call and its scope.
    pub fn heading(&self) -> &'static str {
        match (self.call, self.scope) {
            (call, Scope::All) => call,
            ("write", Scope::Daily(Kind::Stats)) => "write (stats)",
            ("write", Scope::Daily(Kind::Times)) => "write (times)",
            ("write", Scope::Daily(Kind::Events)) => "write (events)",
            ("write", Scope::Daily(Kind::Samples)) => "write (samples)",
            ("write", Scope::Console) => "write (console)",
            ("read", Scope::Configuration) => "read (config)",
            (call, Scope::Daily(_) | Scope::Console | Scope::Configuration) => call,
        }
    }
}

impl Case {
    /// See [`Row::heading`].
    pub fn heading(&self) -> &'static str {
        self.row.heading()
    }
}

/// Every case, in the table's order.
pub fn all() -> impl Iterator<Item = Case> {
    ROWS.iter().flat_map(|row| row.errnos.split_whitespace().map(move |errno| Case { row, errno }))
}

const fn row(moment: Moment, call: &'static str, names: &'static [&'static str], errnos: &'static str) -> Row {
    Row { call, moment, names, scope: Scope::All, errnos, blaming: "", beside: &[] }
}

impl Row {
    const fn blaming(self, blaming: &'static str) -> Self {
        Self { blaming, ..self }
    }

    const fn on(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    const fn beside(self, beside: &'static [(&'static str, &'static str)]) -> Self {
        Self { beside, ..self }
    }
}

use Moment::{Fork, Lookup, Running, Start};

const FSTAT: &[&str] = &["fstat", "newfstatat", "fstat64", "fstatat64", "statx"];
const FORK: &[&str] = &["clone", "clone3", "fork", "vfork"];
const PPOLL: &[&str] = &["ppoll", "ppoll_time64"];
const MMAP: &[&str] = &["mmap", "mmap2"];
const OPEN: &[&str] = &["open", "openat"];
const SEND: &[&str] = &["send", "sendto"];
const RECEIVE: &[&str] = &["recv", "recvfrom"];
const PRLIMIT: &[&str] = &["prlimit64", "getrlimit", "setrlimit", "ugetrlimit"];
const UNLINK: &[&str] = &["unlink", "unlinkat"];
const SYMLINK: &[&str] = &["symlink", "symlinkat"];
const RENAME: &[&str] = &["rename", "renameat", "renameat2"];
const READLINK: &[&str] = &["readlink", "readlinkat"];
const MKDIR: &[&str] = &["mkdir", "mkdirat"];
const ACCESS: &[&str] = &["access", "faccessat", "faccessat2"];
const DUP2: &[&str] = &["dup2", "dup3"];
const TRUNCATE: &[&str] = &["ftruncate", "ftruncate64"];
const TIMER: &[&str] = &["timerfd_settime", "timerfd_settime64"];
const CLOCK: &[&str] = &["clock_gettime", "clock_gettime64", "gettimeofday"];

const SOCKET_ERRNOS: &str = "EACCES EAFNOSUPPORT EINVAL EMFILE ENFILE ENOBUFS ENOMEM EPROTONOSUPPORT";
const CONNECT_ERRNOS: &str = "EACCES EPERM EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNREFUSED \
     EFAULT EHOSTUNREACH EINTR EINPROGRESS EINVAL EISCONN ENETDOWN ENETUNREACH ENOBUFS ENOMEM \
     ENOTSOCK EPROTOTYPE ETIMEDOUT";
/// The network's answer, a rule of this box that forbids the connect, or an unusable address, such
/// as a link-local one without its device (EINVAL) or one of a family that this box has no address of (EAFNOSUPPORT, and
/// EADDRNOTAVAIL where a datagram connect fails in the same way, as here).
const CONNECT_BLAMES: &str = "EINVAL EACCES EPERM EADDRNOTAVAIL EAFNOSUPPORT ECONNREFUSED EHOSTUNREACH ENETDOWN \
     ENETUNREACH ETIMEDOUT";
const OPEN_ERRNOS: &str = "EACCES EBADF EBUSY EDQUOT EEXIST EFAULT EFBIG EINTR EINVAL EISDIR ELOOP EMFILE ENAMETOOLONG \
     ENFILE ENODEV ENOENT ENOMEM ENOSPC ENOTDIR ENXIO EOPNOTSUPP EOVERFLOW EPERM EROFS ETXTBSY EAGAIN";
const OPEN_ERRNOS_BUT_EINTR: &str = "EACCES EBADF EBUSY EDQUOT EEXIST EFAULT EFBIG EINVAL EISDIR ELOOP EMFILE ENAMETOOLONG \
     ENFILE ENODEV ENOENT ENOMEM ENOSPC ENOTDIR ENXIO EOPNOTSUPP EOVERFLOW EPERM EROFS ETXTBSY EAGAIN";
const PATH_ERRNOS: &str = "EACCES EBADF EBUSY EDQUOT EEXIST EFAULT EINVAL EIO EISDIR ELOOP EMLINK ENAMETOOLONG ENOENT \
     ENOMEM ENOSPC ENOTDIR ENOTEMPTY EPERM EROFS EXDEV";
const READ_ERRNOS: &str = "EAGAIN EBADF EFAULT EINTR EINVAL EIO EISDIR";
const PREAD_ERRNOS: &str = "EAGAIN EBADF EFAULT EINTR EINVAL EIO EISDIR ENXIO EOVERFLOW ESPIPE";
const WRITE_ERRNOS: &str = "EAGAIN EBADF EDESTADDRREQ EDQUOT EFAULT EFBIG EINTR EINVAL EIO ENOSPC EPERM EPIPE";
const FORK_ERRNOS: &str = "EAGAIN EINVAL ENOMEM ENOSPC ENOSYS EPERM EUSERS";
const MMAP_ERRNOS: &str = "EACCES EAGAIN EBADF EEXIST EINVAL ENFILE ENODEV ENOMEM EOVERFLOW EPERM ETXTBSY";
const SEND_ERRNOS: &str = "EACCES EAGAIN EALREADY EBADF ECONNRESET EDESTADDRREQ EFAULT EINTR EINVAL EISCONN EMSGSIZE \
     ENOBUFS ENOMEM ENOTCONN ENOTSOCK EOPNOTSUPP EPIPE";
const RECEIVE_ERRNOS: &str = "EAGAIN EBADF ECONNREFUSED EFAULT EINTR EINVAL ENOMEM ENOTCONN ENOTSOCK";
const FSTAT_ERRNOS: &str = "EACCES EBADF EFAULT EINVAL EIO ELOOP ENAMETOOLONG ENOMEM EOVERFLOW";
const MKDIR_ERRNOS: &str =
    "EACCES EDQUOT EEXIST EFAULT EINVAL ELOOP EMLINK ENAMETOOLONG ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS";
const ACCESS_ERRNOS: &str =
    "EACCES EBADF EFAULT EINVAL EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EPERM EROFS ETXTBSY";
const PRLIMIT_ERRNOS: &str = "EFAULT EINVAL EPERM ESRCH";
const SOCKET_PAIR_ERRNOS: &str = "EAFNOSUPPORT EFAULT EMFILE ENFILE ENOBUFS ENOMEM EOPNOTSUPP EPROTONOSUPPORT";
const FALLOCATE_ERRNOS: &str =
    "EBADF EDQUOT EFBIG EINTR EINVAL EIO ENODEV ENOSPC ENOSYS EOPNOTSUPP EPERM ESPIPE ETXTBSY";
const TRUNCATE_ERRNOS: &str =
    "EACCES EBADF EFAULT EFBIG EINTR EINVAL EIO EISDIR ELOOP ENAMETOOLONG ENOENT ENOTDIR EPERM EROFS ETXTBSY";

const BIND_ERRNOS: &str = "EACCES EADDRINUSE EADDRNOTAVAIL EBADF EFAULT EINVAL ENOMEM ENOTSOCK";
const UNLINK_ERRNOS: &str =
    "EACCES EBADF EBUSY EFAULT EINVAL EIO EISDIR ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EPERM EROFS";
const FCNTL_ERRNOS: &str = "EACCES EAGAIN EBADF EBUSY EDEADLK EFAULT EINTR EINVAL EMFILE ENOLCK ENOTDIR EPERM";
/// Never a target's fault, at whatever call.
const SHORTAGES: [&str; 4] = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];
/// Every errno but those.
const NO_SHORTAGE: &str = "all but shortages";

const ROWS: &[Row] = &[
    // The loop: probes.
    row(Running, "socket", &["socket"], SOCKET_ERRNOS).blaming("EAFNOSUPPORT"),
    row(Running, "connect", &["connect"], CONNECT_ERRNOS).blaming(CONNECT_BLAMES),
    // A `source` or a `device` that does not exist counts against the target.
    row(Running, "bind", &["bind"], BIND_ERRNOS).blaming("EADDRNOTAVAIL"),
    row(Running, "setsockopt", &["setsockopt"], "EBADF EDOM EFAULT EINVAL ENODEV ENOMEM ENOPROTOOPT ENOTSOCK EPERM")
        .blaming("ENODEV"),
    row(Running, "getsockopt", &["getsockopt"], "EBADF EFAULT EINVAL ENOBUFS ENOMEM ENOPROTOOPT ENOTSOCK"),
    row(Running, "close", &["close"], "EBADF EDQUOT EINTR EIO ENOSPC"),
    row(Running, "ppoll", PPOLL, "EFAULT EINTR EINVAL ENOMEM"),
    row(Running, "clock_gettime", CLOCK, "EFAULT EINVAL EPERM"),
    // The loop: helpers.
    row(Running, "fork", FORK, FORK_ERRNOS),
    row(Running, "socketpair", &["socketpair"], SOCKET_PAIR_ERRNOS),
    row(Running, "sendto", SEND, SEND_ERRNOS),
    row(Running, "recvfrom", RECEIVE, RECEIVE_ERRNOS),
    row(Running, "wait4", &["wait4", "waitpid"], "ECHILD EINTR EINVAL ESRCH"),
    row(Running, "kill", &["kill"], "EINVAL EPERM ESRCH"),
    // The loop: signals, the configuration, the console, the log.
    row(Running, "read", &["read"], READ_ERRNOS),
    row(Running, "read", &["read"], READ_ERRNOS).on(Scope::Configuration),
    row(Running, "openat", OPEN, OPEN_ERRNOS),
    row(Running, "write (all)", &["write"], WRITE_ERRNOS),
    row(Running, "write", &["write"], WRITE_ERRNOS).on(Scope::Daily(Kind::Stats)),
    row(Running, "write", &["write"], WRITE_ERRNOS).on(Scope::Daily(Kind::Times)),
    row(Running, "write", &["write"], WRITE_ERRNOS).on(Scope::Daily(Kind::Events)),
    row(Running, "write", &["write"], WRITE_ERRNOS).on(Scope::Daily(Kind::Samples)),
    row(Running, "fstatfs", &["fstatfs", "fstatfs64"], "EBADF EFAULT EINTR EIO ENOMEM ENOSYS EOVERFLOW"),
    row(Running, "write", &["write"], WRITE_ERRNOS).on(Scope::Console),
    row(Running, "fallocate", &["fallocate"], FALLOCATE_ERRNOS),
    row(Running, "ftruncate", TRUNCATE, TRUNCATE_ERRNOS)
        .on(Scope::Daily(Kind::Stats))
        .beside(&[("write", "error=ENOSPC")]),
    // ENOENT and ENOTDIR of a path mean that the directory was taken away, and that ends a run in the sandbox.
    row(Running, "fstat", FSTAT, FSTAT_ERRNOS),
    row(Running, "pread64", &["pread64"], PREAD_ERRNOS),
    row(Running, "readlink", READLINK, "EACCES EBADF EFAULT EINVAL EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR"),
    row(Running, "unlink", UNLINK, UNLINK_ERRNOS),
    row(Running, "symlink", SYMLINK, PATH_ERRNOS),
    row(Running, "rename", RENAME, PATH_ERRNOS),
    row(Running, "mkdir", MKDIR, MKDIR_ERRNOS),
    row(Running, "access", ACCESS, ACCESS_ERRNOS),
    row(Running, "prlimit", PRLIMIT, PRLIMIT_ERRNOS),
    row(Running, "lseek", &["lseek", "_llseek"], "EBADF EINVAL ENXIO EOVERFLOW ESPIPE"),
    row(Running, "mmap", MMAP, MMAP_ERRNOS),
    row(Running, "brk", &["brk"], "ENOMEM"),
    row(Running, "madvise", &["madvise"], "EACCES EAGAIN EBADF EINVAL EIO ENOMEM EPERM"),
    row(Running, "fcntl", &["fcntl", "fcntl64"], FCNTL_ERRNOS),
    row(Running, "flock", &["flock"], "EBADF EINTR EINVAL ENOLCK EAGAIN"),
    // At the start, from the first call on.
    // Without EINTR, which would come from every open: then no directory can be opened, and the sandbox closes all of them.
    row(Start, "openat", OPEN, OPEN_ERRNOS_BUT_EINTR),
    row(Start, "fstat", FSTAT, FSTAT_ERRNOS),
    row(Start, "read", &["read"], READ_ERRNOS),
    row(Start, "lseek", &["lseek", "_llseek"], "EBADF EINVAL ENXIO EOVERFLOW ESPIPE"),
    row(Start, "pread64", &["pread64"], PREAD_ERRNOS),
    row(Start, "close", &["close"], "EBADF EDQUOT EINTR EIO ENOSPC"),
    row(Start, "write", &["write"], WRITE_ERRNOS),
    row(Start, "rt_sigaction", &["rt_sigaction"], "EFAULT EINVAL"),
    row(Start, "rt_sigprocmask", &["rt_sigprocmask"], "EFAULT EINVAL"),
    row(Start, "signalfd4", &["signalfd4", "signalfd"], "EBADF EINVAL EMFILE ENFILE ENODEV ENOMEM"),
    row(Start, "timerfd_create", &["timerfd_create"], "EINVAL EMFILE ENFILE ENODEV ENOMEM EPERM"),
    row(Start, "timerfd_settime", TIMER, "EBADF ECANCELED EFAULT EINVAL"),
    row(Start, "mmap", MMAP, MMAP_ERRNOS),
    row(Start, "brk", &["brk"], "ENOMEM"),
    row(Start, "memory", &["brk"], "ENOMEM").beside(&[("mmap", "error=ENOMEM"), ("mmap2", "error=ENOMEM")]),
    row(Start, "prlimit", PRLIMIT, PRLIMIT_ERRNOS),
    row(Start, "mkdir", MKDIR, MKDIR_ERRNOS),
    row(Start, "access", ACCESS, ACCESS_ERRNOS),
    row(Start, "socketpair", &["socketpair"], SOCKET_PAIR_ERRNOS),
    row(Start, "fork", FORK, FORK_ERRNOS),
    row(Start, "socket", &["socket"], SOCKET_ERRNOS).blaming("EAFNOSUPPORT"),
    row(Start, "connect", &["connect"], "EADDRNOTAVAIL EAGAIN ECONNREFUSED ENETUNREACH ENOBUFS ENOMEM")
        .blaming(CONNECT_BLAMES),
    row(Start, "ppoll", PPOLL, "EFAULT EINTR EINVAL ENOMEM"),
    // With EAGAIN another process has the lock: a start waits for it, see the states of a run.
    row(Start, "flock", &["flock"], "EBADF EINTR EINVAL ENOLCK"),
    row(Start, "fallocate", &["fallocate"], FALLOCATE_ERRNOS),
    row(Start, "ftruncate", TRUNCATE, "EBADF EFBIG EINTR EINVAL EIO EPERM"),
    row(Start, "madvise", &["madvise"], "EACCES EAGAIN EBADF EINVAL EIO ENOMEM EPERM"),
    row(Start, "pwrite64", &["pwrite64"], WRITE_ERRNOS).beside(&[("fallocate", "error=EOPNOTSUPP")]),
    row(Start, "symlink", SYMLINK, "EACCES EPERM EROFS"),
    row(Start, "rename", RENAME, "EACCES EPERM EROFS"),
    // In helpers that are being forked.
    row(Fork, "prctl", &["prctl"], "EACCES EBADF EFAULT EINVAL ENODEV ENXIO EOPNOTSUPP EPERM"),
    row(Fork, "rt_sigaction", &["rt_sigaction"], "EFAULT EINVAL"),
    row(Fork, "rt_sigprocmask", &["rt_sigprocmask"], "EFAULT EINVAL"),
    row(Fork, "dup2", DUP2, "EBADF EBUSY EINTR EINVAL EMFILE"),
    row(Fork, "close_range", &["close_range"], "EINVAL EMFILE ENOMEM ENOSYS"),
    // In helpers, mostly in the C library, which does not always give the reason.
    row(Lookup, "recvfrom", RECEIVE, RECEIVE_ERRNOS).blaming(NO_SHORTAGE),
    row(Lookup, "socket", &["socket"], SOCKET_ERRNOS).blaming(NO_SHORTAGE),
    // If the C library cannot send or wait, it reports that the name server did not answer.
    row(Lookup, "sendto", &["send", "sendto", "sendmmsg"], SEND_ERRNOS).blaming("all"),
    row(Lookup, "connect", &["connect"], CONNECT_ERRNOS).blaming("all"),
    row(Lookup, "poll", &["poll", "ppoll"], "EFAULT EINTR EINVAL ENOMEM").blaming("all"),
    row(Lookup, "bind", &["bind"], BIND_ERRNOS).blaming(NO_SHORTAGE),
    row(Lookup, "openat", OPEN, "EACCES EIO EMFILE ENFILE ENOENT ENOMEM").blaming(NO_SHORTAGE),
    row(Lookup, "fstat", FSTAT, "EACCES EIO ENOENT ENOMEM EOVERFLOW").blaming(NO_SHORTAGE),
    row(Lookup, "read", &["read"], READ_ERRNOS).blaming(NO_SHORTAGE),
    row(Lookup, "ioctl", &["ioctl"], "EBADF EFAULT EINVAL ENOTTY").blaming(NO_SHORTAGE),
    row(Lookup, "close", &["close"], "EBADF EINTR EIO").blaming(NO_SHORTAGE),
    row(Lookup, "mmap", MMAP, "EAGAIN ENFILE ENOMEM"),
    row(Lookup, "brk", &["brk"], "ENOMEM"),
];
