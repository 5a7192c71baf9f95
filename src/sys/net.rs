//! TCP sockets that are connected and closed, and nothing else.

use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, UnixAddr, bind, connect, setsockopt, socket, sockopt,
};

use super::Errno;
use crate::target::Address;
use crate::time::{Instant, Nanos};

/// A nonblocking TCP socket of the family of `ip`, closed on exec.
pub fn open(ip: IpAddr) -> Result<OwnedFd, Errno> {
    let family = if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)
}

/// Takes a name that no other process on this box can have until the socket is closed: an abstract
/// address (unix(7)). `EADDRINUSE` where somebody has it. Nobody can connect to it.
pub fn claim(name: &str) -> Result<OwnedFd, Errno> {
    let claim = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    bind(claim.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    Ok(claim)
}

/// A socket such as a resolver asks with.
pub fn open_datagram() -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
}

/// Starts a connect. `Ok(true)`: accepted at once; `Ok(false)`: under way.
pub fn start_connect(socket: &OwnedFd, address: Address, port: u16) -> Result<bool, Errno> {
    let result = match address.ip {
        IpAddr::V4(ip) => connect(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(ip, port))),
        IpAddr::V6(ip) => {
            connect(socket.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(ip, port, 0, address.scope)))
        }
    };
    match result {
        Ok(()) => Ok(true),
        // An interrupted connect goes on like one under way (connect(2)).
        Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Connects from this local address, with a port that the kernel picks at the connect
/// (`IP_BIND_ADDRESS_NO_PORT`, ip(7)), so that only the whole pair of addresses must be free.
pub fn bind_source(socket: &OwnedFd, source: IpAddr) -> Result<(), Errno> {
    let yes: libc::c_int = 1;
    // SAFETY: the value is a live int and its size is given.
    unsafe {
        // Kernels before 4.2 do not know it, and then the port is picked here.
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const yes).cast(),
            size_of_val(&yes) as libc::socklen_t,
        );
    }
    match source {
        IpAddr::V4(ip) => bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(ip, 0))),
        IpAddr::V6(ip) => bind(socket.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(ip, 0, 0, 0))),
    }
}

/// Connects through this network device (`SO_BINDTODEVICE`, socket(7)).
pub fn bind_device(socket: &OwnedFd, device: &str) -> Result<(), Errno> {
    // SAFETY: the bytes are live and their number is given; the kernel needs no NUL behind them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            device.as_ptr().cast(),
            device.len() as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

/// The index of a network device (if_nametoindex(3)); `ENODEV` where there is none.
pub fn device_index(device: &str) -> Result<u32, Errno> {
    nix::net::if_::if_nametoindex(device)
}

/// Lets close(2) send a reset (`SO_LINGER` of zero, socket(7)).
pub fn reset_on_close(socket: &OwnedFd) -> Result<(), Errno> {
    setsockopt(socket, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })
}

/// Takes the error with which a connect ended (`SO_ERROR`); reading clears it. `Ok` is none.
pub fn take_error(socket: &OwnedFd) -> Result<(), Errno> {
    match nix::sys::socket::getsockopt(socket, sockopt::SocketError)? {
        0 => Ok(()),
        errno => Err(Errno::from_raw(errno)),
    }
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
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &mut length)
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
