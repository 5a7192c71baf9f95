//! Sockets: TCP ones, which are connected and closed and nothing else, and those within this box.

use core::ffi::{c_int, c_void};
use core::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{Errno, done, length, made};
use crate::target::Address;
use crate::time::{Instant, Nanos};

/// A nonblocking TCP socket of the family of `ip`, closed on exec.
pub fn open(ip: IpAddr) -> Result<OwnedFd, Errno> {
    let family = if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    socket(family, libc::SOCK_STREAM | libc::SOCK_NONBLOCK)
}

/// Takes a name that no other process on this box can have until the socket is closed: an abstract
/// address (unix(7)). `EADDRINUSE` where somebody has it. Nobody can connect to it.
pub fn claim(name: &str) -> Result<OwnedFd, Errno> {
    let claim = socket(libc::AF_UNIX, libc::SOCK_DGRAM)?;
    with_name(libc::bind, &claim, 1, name)?;
    Ok(claim)
}

/// A nonblocking socket whose packets go to who listens at this path.
pub(super) fn open_local(path: &str) -> Result<OwnedFd, Errno> {
    let socket = socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK)?;
    with_name(libc::connect, &socket, 0, path)?;
    Ok(socket)
}

/// A socket such as a resolver asks with.
pub fn open_datagram() -> Result<OwnedFd, Errno> {
    socket(libc::AF_INET, libc::SOCK_DGRAM)
}

fn socket(family: c_int, kind: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: the kernel makes this descriptor, and nothing else owns it.
    unsafe { made(libc::socket(family, kind | libc::SOCK_CLOEXEC, 0)) }
}

// The C library's have code for kernels before Linux 2.6.27 and 5.1. Where all calls on sockets were one
// before Linux 4.3 (socketcall(2)) they are used still.
#[cfg(target_arch = "x86")]
use libc::{getsockopt, socketpair};

#[cfg(not(target_arch = "x86"))]
unsafe fn socketpair(family: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { libc::syscall(libc::SYS_socketpair, family, kind, protocol, pair) as c_int }
}

#[cfg(not(target_arch = "x86"))]
unsafe fn getsockopt(
    socket: c_int,
    level: c_int,
    option: c_int,
    value: *mut c_void,
    length: *mut libc::socklen_t,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { libc::syscall(libc::SYS_getsockopt, socket, level, option, value, length) as c_int }
}

/// Two sockets, closed on exec: a packet that goes into one comes out of the other.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut pair = [0; 2];
    // SAFETY: `pair` is live and has room for both.
    done(unsafe { socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, pair.as_mut_ptr()) })?;
    // SAFETY: the kernel has just made both, and nothing else owns them.
    Ok(unsafe { (OwnedFd::from_raw_fd(pair[0]), OwnedFd::from_raw_fd(pair[1])) })
}

/// Sends one packet; never blocks and never raises `SIGPIPE`.
pub(super) fn send(socket: &OwnedFd, packet: &[u8]) -> Result<usize, Errno> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: `packet` is live and its size is given.
    length(unsafe { libc::send(socket.as_raw_fd(), packet.as_ptr().cast(), packet.len(), flags) })
}

/// recv(2).
pub(super) fn receive(socket: &OwnedFd, packet: &mut [u8], flags: c_int) -> Result<usize, Errno> {
    // SAFETY: `packet` is live and its size is given.
    length(unsafe { libc::recv(socket.as_raw_fd(), packet.as_mut_ptr().cast(), packet.len(), flags) })
}

/// bind(2) or connect(2).
type Call = unsafe extern "C" fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int;

/// Calls with an address of IPv4 or IPv6.
fn with_address(call: Call, socket: &OwnedFd, address: Address, port: u16) -> Result<(), Errno> {
    let (socket, port) = (socket.as_raw_fd(), port.to_be());
    let result = match address.ip {
        IpAddr::V4(ip) => {
            let address = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: port,
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: the address is live and its size is given.
            unsafe { call(socket, (&raw const address).cast(), size_of_val(&address) as libc::socklen_t) }
        }
        IpAddr::V6(ip) => {
            let address = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: port,
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: ip.octets() },
                sin6_scope_id: address.scope,
            };
            // SAFETY: the address is live and its size is given.
            unsafe { call(socket, (&raw const address).cast(), size_of_val(&address) as libc::socklen_t) }
        }
    };
    done(result)
}

/// Calls with an address within this box (unix(7)): a path, or any name after a NUL.
fn with_name(call: Call, socket: &OwnedFd, nuls: usize, name: &str) -> Result<(), Errno> {
    // `struct sockaddr_un`: the family, and 108 bytes.
    let mut address = [0; 2 + 108];
    address[..2].copy_from_slice(&(libc::AF_UNIX as libc::sa_family_t).to_ne_bytes());
    let length = 2 + nuls + name.len();
    address.get_mut(2 + nuls..length).ok_or(Errno::ENAMETOOLONG)?.copy_from_slice(name.as_bytes());
    // SAFETY: the address is live, and no longer than that.
    done(unsafe { call(socket.as_raw_fd(), address.as_ptr().cast(), length as libc::socklen_t) })
}

/// Starts a connect. `Ok(true)`: accepted at once; `Ok(false)`: under way.
pub fn start_connect(socket: &OwnedFd, address: Address, port: u16) -> Result<bool, Errno> {
    match with_address(libc::connect, socket, address, port) {
        Ok(()) => Ok(true),
        // An interrupted connect goes on like one under way (connect(2)).
        Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Connects from this local address, with a port that the kernel picks at the connect
/// (`IP_BIND_ADDRESS_NO_PORT`, ip(7)), so that only the whole pair of addresses must be free.
pub fn bind_source(socket: &OwnedFd, source: IpAddr) -> Result<(), Errno> {
    // Kernels before 4.2 do not know it, and then the port is picked here.
    let _ = set(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1_i32.to_ne_bytes());
    with_address(libc::bind, socket, Address::new(source), 0)
}

/// Connects through this network device (`SO_BINDTODEVICE`, socket(7)).
pub fn bind_device(socket: &OwnedFd, device: &str) -> Result<(), Errno> {
    // The kernel needs no NUL behind it.
    set(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, device.as_bytes())
}

/// setsockopt(2).
fn set(socket: &OwnedFd, level: c_int, option: c_int, value: &[u8]) -> Result<(), Errno> {
    let length = value.len() as libc::socklen_t;
    // SAFETY: the value is live and its size is given.
    done(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value.as_ptr().cast(), length) })
}

/// The index of a network device (if_nametoindex(3)); `ENODEV` where there is none.
pub fn device_index(device: &str) -> Result<u32, Errno> {
    let mut name = [0_u8; libc::IFNAMSIZ];
    let Some(place) = name[..libc::IFNAMSIZ - 1].get_mut(..device.len()) else { return Err(Errno::ENODEV) };
    place.copy_from_slice(device.as_bytes());
    // SAFETY: `name` ends with a NUL because its last byte is one.
    match unsafe { libc::if_nametoindex(name.as_ptr().cast()) } {
        0 => Err(Errno::last()),
        index => Ok(index),
    }
}

/// Lets close(2) send a reset (`SO_LINGER` of zero, socket(7)).
pub fn reset_on_close(socket: &OwnedFd) -> Result<(), Errno> {
    // `struct linger`: whether it is on, and the seconds.
    let mut linger = [0; 8];
    linger[..4].copy_from_slice(&1_i32.to_ne_bytes());
    set(socket, libc::SOL_SOCKET, libc::SO_LINGER, &linger)
}

/// Takes the error with which a connect ended (`SO_ERROR`); reading clears it. `Ok` is none.
pub fn take_error(socket: &OwnedFd) -> Result<(), Errno> {
    let mut error: c_int = 0;
    let mut length = size_of_val(&error) as libc::socklen_t;
    // SAFETY: `error` is live and `length` is its size.
    done(unsafe {
        getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut error).cast(), &mut length)
    })?;
    if error == 0 { Ok(()) } else { Err(Errno::from_raw(error)) }
}

/// When a handshake ended that began with the connect at `started`, in the kernel's own words
/// (`TCP_INFO`, linux/tcp.h): its round trip where no SYN was sent again, else when the peer last
/// acknowledged something, which without data sent is the handshake, in ticks of 1 to 10 ms.
pub fn handshake_end(socket: &OwnedFd, started: Instant, now: Instant) -> Option<Instant> {
    // SAFETY: `tcp_info` is plain data for which zeroes are a valid value.
    let mut info: libc::tcp_info = unsafe { core::mem::zeroed() };
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: `info` is live and `length` is its size; an older kernel writes less and says so.
    let result = unsafe {
        getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &mut length)
    };
    let reaches = core::mem::offset_of!(libc::tcp_info, tcpi_total_retrans) + size_of::<u32>();
    if result != 0 || (length as usize) < reaches {
        return None;
    }
    if info.tcpi_total_retrans == 0 && info.tcpi_rtt > 0 {
        return Some(started + Nanos::new(u64::from(info.tcpi_rtt) * 1000));
    }
    let ago = Nanos::from_millis(u64::from(info.tcpi_last_ack_recv));
    (ago <= now.since(started)).then(|| now.before(ago))
}
