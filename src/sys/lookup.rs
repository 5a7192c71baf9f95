//! getaddrinfo(3), called by the helpers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ptr;

use super::by_path::open;
use super::{Errno, net, small_file};
use crate::base::limits;
use crate::model::facts::{Fault, LookupFault};
use crate::model::message::Addresses;
use crate::model::target::{Address, Family};

/// The file that names the resolvers (resolv.conf(5)).
pub const RESOLVERS: &str = "/etc/resolv.conf";

/// The files without which getaddrinfo(3) gives a wrong answer; the second one has the known hosts (hosts(5)).
const FILES: [&str; 2] = [RESOLVERS, "/etc/hosts"];

/// A new line that names a resolver.
const SERVER: &[u8] = b"\nnameserver";

/// The first of the resolver's files that exists and that this process may not read.
pub fn forbidden_file() -> Option<&'static str> {
    let forbidden = |path: &&str| matches!(open(path, libc::O_RDONLY, 0), Err(Errno::EACCES | Errno::EPERM));
    FILES.into_iter().find(forbidden)
}

/// Whether the first few thousand bytes of [`RESOLVERS`] name a server. Without one the C library asks 127.0.0.1.
#[inline(never)]
pub fn has_server() -> bool {
    let mut room = [0; 8192];
    // A directive begins its line (resolv.conf(5)).
    room[0] = b'\n';
    let length = small_file::read(RESOLVERS, &mut room[1..]).map_or(0, <[u8]>::len);
    room[..=length].windows(SERVER.len()).any(|part| part == SERVER)
}

/// Looks up a name; blocks until the resolver answers. It passes no flags, so that A and AAAA are queried
/// even if this box has no address of that family. Addresses beyond [`limits::ADDRESSES`] are left out.
pub fn addresses(host: &str, family: Family) -> Result<Addresses, LookupFault> {
    let mut room = [0; limits::HOST + 1];
    let no_name = LookupFault { code: libc::EAI_NONAME, errno: Fault(0), socket: None };
    // The last byte stays zero.
    room[..limits::HOST].get_mut(..host.len()).ok_or(no_name)?.copy_from_slice(host.as_bytes());

    // SAFETY: `addrinfo` is plain data for which zeroes are a valid value: no hints.
    let mut hints: libc::addrinfo = unsafe { core::mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_family = match family {
        Family::Any => libc::AF_UNSPEC,
        Family::Inet => libc::AF_INET,
        Family::Inet6 => libc::AF_INET6,
    };
    let mut list = ptr::null_mut();
    // SAFETY: `room` ends with a NUL, `hints` and `list` are live; getaddrinfo keeps none of them.
    let error = unsafe { libc::getaddrinfo(room.as_ptr().cast(), ptr::null(), &hints, &mut list) };
    if error != 0 {
        let errno = Errno::last().into();
        return Err(LookupFault { code: error, errno, socket: net::open_datagram().err().map(Fault::from) });
    }
    let mut addresses = Addresses::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: `next` is a node of the list that getaddrinfo made, which ends with a null.
        let node = unsafe { &*next };
        if address(node).is_some_and(|address| !addresses.push(address)) {
            break;
        }
        next = node.ai_next;
    }
    if !list.is_null() {
        // SAFETY: getaddrinfo made the list, and nothing points into it any more.
        unsafe { libc::freeaddrinfo(list) };
    }
    Ok(addresses)
}

/// The address of a node; `None` if it is neither IPv4 nor IPv6.
fn address(node: &libc::addrinfo) -> Option<Address> {
    match node.ai_family {
        libc::AF_INET => {
            // SAFETY: for AF_INET getaddrinfo gives a sockaddr_in.
            let address = unsafe { ptr::read_unaligned(node.ai_addr.cast::<libc::sockaddr_in>()) };
            Some(Address::new(IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)))))
        }
        libc::AF_INET6 => {
            // SAFETY: for AF_INET6 getaddrinfo gives a sockaddr_in6.
            let address = unsafe { ptr::read_unaligned(node.ai_addr.cast::<libc::sockaddr_in6>()) };
            let ip = IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr));
            Some(Address { ip, scope: address.sin6_scope_id })
        }
        _ => None,
    }
}
