//! Facts from the kernel and the C library: errors by number, and the times of a handshake. `sys` checks at compile
//! time that the numbers are right for the CPU.

use crate::base::time::Nanos;

/// An error of a system call, by its number (errno(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub i32);

/// MIPS numbers its network errors as IRIX did (asm/errno.h).
const MIPS: bool = cfg!(any(target_arch = "mips", target_arch = "mips32r6"));

const fn on(others: i32, mips: i32) -> Fault {
    Fault(if MIPS { mips } else { others })
}

#[allow(missing_docs, reason = "errno(3) has the meanings")]
impl Fault {
    pub const EPERM: Self = Self(1);
    pub const EBADF: Self = Self(9);
    pub const EAGAIN: Self = Self(11);
    pub const ENOMEM: Self = Self(12);
    pub const EACCES: Self = Self(13);
    pub const EFAULT: Self = Self(14);
    pub const ENODEV: Self = Self(19);
    pub const EINVAL: Self = Self(22);
    pub const ENFILE: Self = Self(23);
    pub const EMFILE: Self = Self(24);
    pub const EPIPE: Self = Self(32);
    pub const ENOTSOCK: Self = on(88, 95);
    pub const EPROTOTYPE: Self = on(91, 98);
    pub const EAFNOSUPPORT: Self = on(97, 124);
    pub const EADDRINUSE: Self = on(98, 125);
    pub const EADDRNOTAVAIL: Self = on(99, 126);
    pub const ENETDOWN: Self = on(100, 127);
    pub const ENETUNREACH: Self = on(101, 128);
    pub const ECONNRESET: Self = on(104, 131);
    pub const ENOBUFS: Self = on(105, 132);
    pub const EISCONN: Self = on(106, 133);
    pub const ENOTCONN: Self = on(107, 134);
    pub const ETIMEDOUT: Self = on(110, 145);
    pub const ECONNREFUSED: Self = on(111, 146);
    pub const EHOSTDOWN: Self = on(112, 147);
    pub const EHOSTUNREACH: Self = on(113, 148);
    pub const EALREADY: Self = on(114, 149);
}

/// Why getaddrinfo(3) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupFault {
    /// What it returned: one of the `EAI_` numbers below.
    pub code: i32,
    /// `errno` after the call. It has a meaning only if the code is [`LookupFault::SYSTEM`].
    pub errno: Fault,
    /// The error of a socket that was opened for a test just afterwards; `None` if it could be opened.
    pub socket: Option<Fault>,
}

#[allow(missing_docs, reason = "getaddrinfo(3) has the meanings")]
impl LookupFault {
    pub const NONAME: i32 = -2;
    pub const AGAIN: i32 = -3;
    /// An extension of glibc. musl returns it, too.
    pub const NODATA: i32 = -5;
    /// An extension of glibc.
    pub const ADDRFAMILY: i32 = -9;
    pub const MEMORY: i32 = -10;
    pub const SYSTEM: i32 = -11;
}

/// What the kernel says of a handshake (`TCP_INFO`, linux/tcp.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Segments sent again (`tcpi_total_retrans`): before data is sent these are SYNs.
    pub resent: u32,
    /// Its round trip; zero if the kernel did not measure it (`tcpi_rtt`).
    pub round_trip: Nanos,
    /// Whether the round trip was measured in microseconds: before Linux 3.15 it was measured in ticks.
    pub is_exact: bool,
    /// How long ago the peer last acknowledged something, in ticks of 1 to 10 ms (`tcpi_last_ack_recv`). Without
    /// data sent, this is the handshake.
    pub acknowledged: Nanos,
    /// Bytes of the largest packet on the way to the peer (`tcpi_pmtu`).
    pub path_mtu: u32,
    /// Segments received so far (`tcpi_segs_in`); `None` before Linux 4.2.
    pub received: Option<u32>,
}
