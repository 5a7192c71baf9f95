//! The system calls that each role needs on each CPU, in the older and the newer form: the libc chooses between
//! them. Every other call is refused.

use libc::*;

#[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
use names::SELECT;
use names::{EM, MMAP, PREAD, PWRITE, RENAMEAT, RSEQ, SET_USER, STATAT};

/// This CPU for seccomp(2) (`AUDIT_ARCH_*` of linux/audit.h): its `EM_*` of elf.h, and a bit each for 64-bit and
/// little endian.
pub const CPU: u32 = EM | WIDE | LITTLE;
const WIDE: u32 = if cfg!(target_pointer_width = "64") { 1 << 31 } else { 0 };
const LITTLE: u32 = if cfg!(target_endian = "little") { 1 << 30 } else { 0 };

/// Calls since Linux 5.1 have the same number on every CPU, counted from here.
const BASE: u16 = if cfg!(target_arch = "mips") { 4000 } else { 0 };

/// Calls from this number on are newer than this list. They fail with `ENOSYS`, as on an older kernel: then a libc
/// uses an older call, which it would not do after `EPERM`.
pub const UNKNOWN: u16 = BASE + 463;

/// The same holds for this call: no filter can see its arguments.
pub const CLONE3: u16 = BASE + 435;

/// Of these calls an argument is checked, too.
pub const SOCKET: u16 = SYS_socket as u16;
pub const IOCTL: u16 = SYS_ioctl as u16;
pub const CLONE: u16 = SYS_clone as u16;
pub const OPENAT: u16 = SYS_openat as u16;
#[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
pub const OPEN: u16 = SYS_open as u16;
pub const FLOCK: u16 = SYS_flock as u16;
pub const FCNTL: u16 = SYS_fcntl as u16;
#[cfg(target_pointer_width = "32")]
pub const FCNTL64: u16 = SYS_fcntl64 as u16;

/// The most frequent calls on sockets. The kernel compares a call with one after the other.
pub static PROBES: &[&[u16]] = &[&numbers([SYS_recvfrom, SYS_sendto, SYS_connect, SYS_setsockopt])];

/// The calls of every process: those that read, and that change nothing outside of it.
pub static READER: &[&[u16]] = &[
    &numbers([SYS_close, SYS_ppoll, SYS_clock_gettime]),
    #[cfg(target_pointer_width = "32")]
    &[BASE + 403 /* clock_gettime64 */, BASE + 414 /* ppoll_time64 */],
    &numbers([SYS_read, SYS_write, SYS_readv, SYS_writev, PREAD, SYS_lseek, SYS_fstat]),
    &numbers([STATAT, SYS_statx, SYS_faccessat, SYS_readlinkat]),
    &numbers([MMAP, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_brk]),
    &numbers([SYS_gettimeofday, SYS_clock_nanosleep, SYS_nanosleep, SYS_clock_getres, SYS_restart_syscall]),
    &numbers([SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid]),
    &numbers([SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack]),
    &numbers([SYS_exit, SYS_exit_group, SYS_set_robust_list, SYS_set_tid_address, RSEQ, SYS_futex]),
    &numbers([SYS_getrandom, SYS_uname, SYS_sysinfo, SYS_sched_yield, SYS_sched_getaffinity]),
    &[BASE + 439 /* faccessat2 */],
    #[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
    &numbers([SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_poll]),
    #[cfg(target_arch = "x86_64")]
    &numbers([SYS_time]),
    #[cfg(target_pointer_width = "32")]
    &numbers([SYS_fstat64, SYS_stat64, SYS_lstat64, SYS__llseek, SYS_sigreturn]),
    // clock_getres, clock_nanosleep and futex with a 64-bit time
    #[cfg(target_pointer_width = "32")]
    &[BASE + 406, BASE + 407, BASE + 422],
    #[cfg(any(target_arch = "x86", target_arch = "arm"))]
    &numbers([SYS_getuid32, SYS_geteuid32, SYS_getgid32, SYS_getegid32, SYS_ugetrlimit]),
];

/// The further calls of an answer to a web server: it lists the directory of the log, and gives up the other files when it
/// has read the ledger.
pub static ANSWER: &[&[u16]] = &[&numbers([SYS_getdents64, SYS_getcwd]), &[BASE + 446 /* landlock_restrict_self */]];

/// The further calls of a helper: those of getaddrinfo(3) with the modules that it may load.
pub static HELPER: &[&[u16]] = &[
    &numbers([SYS_bind, SYS_getsockopt, SYS_getsockname, SYS_getpeername, SYS_shutdown]),
    &numbers([SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg, SYS_recvmmsg, SYS_pselect6]),
    &numbers([SYS_openat, SYS_fcntl, SYS_prlimit64]),
    #[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
    &numbers([SYS_open, SELECT]),
    #[cfg(target_pointer_width = "32")]
    &numbers([SYS_fcntl64]),
    // pselect6 and recvmmsg with a 64-bit time
    #[cfg(target_pointer_width = "32")]
    &[BASE + 413, BASE + 417],
    #[cfg(any(target_arch = "mips", target_arch = "arm"))]
    &numbers([SYS_send, SYS_recv]),
];

/// The further calls of the monitor and of a command.
pub static MONITOR: &[&[u16]] = &[
    &numbers([SYS_fstatfs, SYS_fallocate, SYS_ftruncate, SYS_flock, SYS_fchmod, PWRITE, SYS_getdents64, SYS_getcwd]),
    &numbers([SYS_mkdirat, SYS_unlinkat, SYS_symlinkat, RENAMEAT, SYS_renameat2]),
    &numbers([SYS_timerfd_create, SYS_timerfd_settime, SYS_socketpair, SYS_wait4, SYS_waitid]),
    &numbers([SYS_kill, SYS_tgkill, SYS_tkill]),
    // A helper makes these before it has its own filter.
    &numbers([SYS_prctl, SYS_dup3]),
    &[BASE + 436 /* close_range */, BASE + 446 /* landlock_restrict_self */],
    #[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
    &numbers([SYS_unlink, SYS_rename, SYS_symlink, SYS_dup2]),
    #[cfg(target_pointer_width = "32")]
    &[SYS_ftruncate64 as u16, SYS_fstatfs64 as u16, BASE + 411 /* timerfd_settime64 */],
];

/// The monitor also forks.
pub static FORK: &[&[u16]] = &[
    #[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
    &numbers([SYS_fork]),
];

/// A command signals a run through a descriptor of its process, as the user whom the ledger belongs to.
pub static COMMAND: &[&[u16]] =
    &[&[SET_USER as u16, BASE + 424 /* pidfd_send_signal */, BASE + 434 /* pidfd_open */]];

const fn numbers<const N: usize>(calls: [c_long; N]) -> [u16; N] {
    let mut numbers = [0; N];
    let mut i = 0;
    while i < N {
        numbers[i] = calls[i] as u16;
        i += 1;
    }
    numbers
}

/// Calls whose name differs between CPUs or is missing in the libc crate.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod names {
    use libc::*;
    pub const PREAD: c_long = SYS_pread64;
    pub const PWRITE: c_long = SYS_pwrite64;
    pub const STATAT: c_long = SYS_newfstatat;
    pub const MMAP: c_long = SYS_mmap;
    pub const RSEQ: c_long = SYS_rseq;
    pub const SET_USER: c_long = SYS_setresuid;
    #[cfg(target_arch = "x86_64")]
    pub const SELECT: c_long = SYS_select;
    // riscv64 does not have it.
    pub const RENAMEAT: c_long = if cfg!(target_arch = "x86_64") { 264 } else { 38 };
    pub const EM: u32 = if cfg!(target_arch = "x86_64") {
        62
    } else if cfg!(target_arch = "aarch64") {
        183
    } else {
        243
    };
}

#[cfg(any(target_arch = "x86", target_arch = "arm"))]
mod names {
    use libc::*;
    pub const PREAD: c_long = SYS_pread64;
    pub const PWRITE: c_long = SYS_pwrite64;
    pub const STATAT: c_long = SYS_fstatat64;
    pub const MMAP: c_long = SYS_mmap2;
    pub const RSEQ: c_long = if cfg!(target_arch = "x86") { 386 } else { 398 };
    pub const SET_USER: c_long = SYS_setresuid32;
    pub const SELECT: c_long = SYS__newselect;
    pub const RENAMEAT: c_long = SYS_renameat;
    pub const EM: u32 = if cfg!(target_arch = "x86") { 3 } else { 40 };
}

#[cfg(target_arch = "mips")]
mod names {
    use libc::*;
    pub const PREAD: c_long = 4200;
    pub const PWRITE: c_long = 4201;
    pub const STATAT: c_long = 4293;
    pub const MMAP: c_long = SYS_mmap2;
    pub const RSEQ: c_long = 4367;
    pub const SET_USER: c_long = SYS_setresuid;
    pub const SELECT: c_long = 4142;
    pub const RENAMEAT: c_long = SYS_renameat;
    pub const EM: u32 = 8;
}
