//! Sockets: TCP sockets, which are only connected and closed, and local sockets.

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use core::slice;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockaddrIn, SockaddrIn6, bind, connect};

pub use nix::sys::socket::SockType;

use super::small_file::{self, field};
#[cfg(not(target_arch = "x86"))]
use super::system_call;
use super::{Errno, done, length};
use crate::base::time::Nanos;
use crate::base::words;
use crate::model::facts::Handshake;
use crate::model::target::Address;

/// The result of a call of nix, with our number of its error.
fn by_number<T>(result: nix::Result<T>) -> Result<T, Errno> {
    result.map_err(|_| Errno::last())
}

/// A socket of this family, closed on exec.
fn socket(family: AddressFamily, kind: SockType, flags: SockFlag) -> Result<OwnedFd, Errno> {
    by_number(nix::sys::socket::socket(family, kind, flags | SockFlag::SOCK_CLOEXEC, None))
}

/// A nonblocking socket of this kind and of the family of `ip`, closed on exec.
pub fn open(ip: IpAddr, kind: SockType) -> Result<OwnedFd, Errno> {
    let family = if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    socket(family, kind, SockFlag::SOCK_NONBLOCK)
}

/// bind(2) or connect(2).
type WithAddress = unsafe extern "C" fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int;

/// A nonblocking local socket with which this call was made. The name is a path, or with an `@` in front an abstract
/// one (unix(7)).
fn local(kind: SockType, name: &str, call: WithAddress) -> Result<OwnedFd, Errno> {
    let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_NONBLOCK)?;
    let mut address = [0; size_of::<libc::sockaddr_un>()];
    let (family, path) = address.split_at_mut(size_of::<libc::sa_family_t>());
    family.copy_from_slice(&(libc::AF_UNIX as libc::sa_family_t).to_ne_bytes());
    path.get_mut(..name.len()).ok_or(Errno::ENAMETOOLONG)?.copy_from_slice(name.as_bytes());
    if path[0] == b'@' {
        path[0] = 0;
    }
    let length = (size_of::<libc::sa_family_t>() + name.len()) as libc::socklen_t;
    // SAFETY: `address` is live, has the layout of `sockaddr_un` and is at least that long.
    done(unsafe { call(socket.as_raw_fd(), address.as_ptr().cast(), length) })?;
    Ok(socket)
}

/// Binds an abstract name, which begins with an `@`. No other process in this network namespace can bind it until the
/// socket is closed: `EADDRINUSE` if one has it. The socket is never read.
pub fn bind_name(name: &str) -> Result<OwnedFd, Errno> {
    local(SockType::Datagram, name, libc::bind)
}

/// A nonblocking socket that is connected to the one of this name, and its kind: datagrams, or a stream if the other one
/// is that.
pub(super) fn open_local(name: &str) -> Result<(OwnedFd, SockType), Errno> {
    match local(SockType::Datagram, name, libc::connect) {
        Err(Errno::EPROTOTYPE) => Ok((local(SockType::Stream, name, libc::connect)?, SockType::Stream)),
        socket => Ok((socket?, SockType::Datagram)),
    }
}

/// A socket like the one with which a resolver sends its queries.
pub fn open_datagram() -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty())
}

// libc's wrappers carry fallbacks for kernels before Linux 2.6.27 and 5.1, so they are not used. The exception is
// x86, where all calls on sockets were one system call before Linux 4.3 (socketcall(2)).
#[cfg(target_arch = "x86")]
use libc::{getsockopt, socketpair};

#[cfg(not(target_arch = "x86"))]
unsafe fn socketpair(family: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe {
        let arguments = [family as usize, kind as usize, protocol as usize, pair.expose_provenance(), 0];
        system_call(libc::SYS_socketpair, arguments) as c_int
    }
}

#[cfg(not(target_arch = "x86"))]
unsafe fn getsockopt(
    socket: c_int,
    level: c_int,
    option: c_int,
    value: *mut core::ffi::c_void,
    length: *mut libc::socklen_t,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe {
        let (value, length) = (value.expose_provenance(), length.expose_provenance());
        system_call(libc::SYS_getsockopt, [socket as usize, level as usize, option as usize, value, length]) as c_int
    }
}

/// Two connected packet sockets, closed on exec.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut pair = [0; 2];
    // SAFETY: `pair` is live and has room for both.
    done(unsafe { socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, pair.as_mut_ptr()) })?;
    // SAFETY: the kernel has just made both descriptors, and nothing else owns them.
    Ok(unsafe { (OwnedFd::from_raw_fd(pair[0]), OwnedFd::from_raw_fd(pair[1])) })
}

/// Sends one packet; never blocks and never raises `SIGPIPE`.
pub fn send(socket: &OwnedFd, packet: &[u8]) -> Result<usize, Errno> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: `packet` is live and its size is given.
    length(unsafe { libc::send(socket.as_raw_fd(), packet.as_ptr().cast(), packet.len(), flags) })
}

/// recv(2).
fn receive(socket: &OwnedFd, packet: &mut [u8], flags: c_int) -> Result<usize, Errno> {
    // SAFETY: `packet` is live and its size is given.
    length(unsafe { libc::recv(socket.as_raw_fd(), packet.as_mut_ptr().cast(), packet.len(), flags) })
}

/// Reads the next packet if there is one, and returns its length; 0 if the other end is closed.
pub fn receive_packet(socket: &OwnedFd, packet: &mut [u8]) -> Result<usize, Errno> {
    receive(socket, packet, libc::MSG_DONTWAIT)
}

/// Waits for the next packet and returns its length; 0 if the other end is closed.
pub fn await_packet(socket: &OwnedFd, packet: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match receive(socket, packet, 0) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Starts a connect. `Ok(true)`: accepted at once; `Ok(false)`: under way.
pub fn start_connect(socket: &OwnedFd, address: Address, port: u16) -> Result<bool, Errno> {
    let result = match address.ip {
        IpAddr::V4(ip) => connect(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(ip, port))),
        IpAddr::V6(ip) => {
            connect(socket.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(ip, port, 0, address.scope)))
        }
    };
    match by_number(result) {
        Ok(()) => Ok(true),
        // An interrupted connect goes on like one under way (connect(2)).
        Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Binds the socket to this local address. The kernel picks the port at the connect
/// (`IP_BIND_ADDRESS_NO_PORT`, ip(7)), so that only the pair of both addresses and ports must be free.
pub fn bind_source(socket: &OwnedFd, source: IpAddr) -> Result<(), Errno> {
    // Kernels before 4.2 do not know this option and pick the port here.
    let _ = set(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1_i32.to_ne_bytes());
    by_number(match source {
        IpAddr::V4(ip) => bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(ip, 0))),
        IpAddr::V6(ip) => bind(socket.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(ip, 0, 0, 0))),
    })
}

/// Binds the socket to this network device (`SO_BINDTODEVICE`, socket(7)).
pub fn bind_device(socket: &OwnedFd, device: &str) -> Result<(), Errno> {
    // The kernel needs no NUL at the end.
    set(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, device.as_bytes())
}

/// An error if no socket can be bound to this local address.
pub fn check_source(source: IpAddr) -> Result<(), Errno> {
    bind_source(&open(source, SockType::Stream)?, source)
}

/// An error if no socket can be bound to this network device.
pub fn check_device(device: &str) -> Result<(), Errno> {
    bind_device(&open_datagram()?, device)
}

/// setsockopt(2).
fn set(socket: &OwnedFd, level: c_int, option: c_int, value: &[u8]) -> Result<(), Errno> {
    let length = value.len() as libc::socklen_t;
    // SAFETY: the value is live and its size is given.
    done(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value.as_ptr().cast(), length) })
}

/// The index of a network device (if_nametoindex(3)), which may be given in place of its name; `ENODEV` if it does not
/// exist.
pub fn device_index(device: &str) -> Result<u32, Errno> {
    let mut name = [0_u8; libc::IFNAMSIZ];
    let Some(room) = name[..libc::IFNAMSIZ - 1].get_mut(..device.len()) else { return Err(Errno::ENODEV) };
    room.copy_from_slice(device.as_bytes());
    // SAFETY: `name` ends with a NUL because its last byte is one.
    match unsafe { libc::if_nametoindex(name.as_ptr().cast()) } {
        0 => {
            let errno = Errno::last();
            words::count(device, u32::MAX).ok_or(errno)
        }
        index => Ok(index),
    }
}

/// Where the kernel tells [`local_ports`] (ip(7)). It holds for IPv6, too.
pub const LOCAL_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The first and the last port that the kernel chooses as the local one of a connect; `None` if it does not tell.
pub fn local_ports() -> Option<(u16, u16)> {
    let mut room = [0; 32];
    let ports = small_file::read(LOCAL_PORTS, &mut room)?;
    Some((field(ports, b'\t', 0)? as u16, field(ports, b'\t', 1)? as u16))
}

/// Makes close(2) send a reset (`SO_LINGER` of zero, socket(7)).
pub fn reset_on_close(socket: &OwnedFd) -> Result<(), Errno> {
    // `struct linger`: on, for 0 seconds.
    let mut linger = [0; size_of::<libc::linger>()];
    linger[..4].copy_from_slice(&1_i32.to_ne_bytes());
    set(socket, libc::SOL_SOCKET, libc::SO_LINGER, &linger)
}

/// Reads and clears the error with which a connect ended (`SO_ERROR`); `Ok` if there is none.
pub fn connect_error(socket: &OwnedFd) -> Result<(), Errno> {
    let mut error: c_int = 0;
    let mut length = size_of_val(&error) as libc::socklen_t;
    // SAFETY: `error` is live and `length` is its size.
    done(unsafe {
        getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut error).cast(), &mut length)
    })?;
    if error == 0 { Ok(()) } else { Err(Errno::from_raw(error)) }
}

/// Words of `struct tcp_info` (linux/tcp.h), and where some of them are. (glibc's own struct ends at 26 words.)
const TCP_INFO_WORDS: usize = 36;
/// Linux 3.15 added the words before this one, and measures a round trip in microseconds.
const EXACT_WORDS: usize = 30;
const LAST_ACK_RECV: usize = 14;
const PATH_MTU: usize = 15;
const ROUND_TRIP: usize = 17;
const TOTAL_RETRANS: usize = 25;
const SEGS_IN: usize = 35;

/// What the kernel knows of a handshake (`TCP_INFO`, tcp(7)); `None` if it does not tell enough.
pub fn handshake(socket: &OwnedFd) -> Option<Handshake> {
    let mut info = MaybeUninit::<[u32; TCP_INFO_WORDS]>::uninit();
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: `info` is live and `length` is its size; an older kernel writes less and sets `length`.
    let result = unsafe {
        getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &mut length)
    };
    let words = if result == 0 { length as usize / size_of::<u32>() } else { 0 };
    // SAFETY: the kernel has written so many words, at most as many as there are.
    let info = unsafe { slice::from_raw_parts(info.as_ptr().cast::<u32>(), words.min(TCP_INFO_WORDS)) };
    Some(Handshake {
        resent: *info.get(TOTAL_RETRANS)?,
        round_trip: Nanos::new(u64::from(info[ROUND_TRIP]) * 1000),
        is_exact: words >= EXACT_WORDS,
        acknowledged: Nanos::from_millis(info[LAST_ACK_RECV].into()),
        path_mtu: info[PATH_MTU],
        received: info.get(SEGS_IN).copied(),
    })
}

/// Whether both ends of a connection have the same address and port: the socket is connected to itself.
pub fn is_connected_to_itself(socket: &OwnedFd) -> bool {
    let mut ends = [[0_u8; size_of::<libc::sockaddr_in6>()]; 2];
    for (call, address) in [libc::getsockname, libc::getpeername].into_iter().zip(&mut ends) {
        let mut length = size_of_val(address) as libc::socklen_t;
        // SAFETY: `address` is live, and `length` is its size.
        if done(unsafe { call(socket.as_raw_fd(), address.as_mut_ptr().cast(), &raw mut length) }).is_err() {
            return false;
        }
    }
    ends[0] == ends[1]
}
