//! getaddrinfo(3), as a helper calls it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ptr;
use std::ffi::CStr;

use super::{Errno, net, shortage};
use crate::base::limits;
use crate::model::message::{Addresses, Answer};
use crate::model::reason::{Reason, Shortage};
use crate::model::target::{Address, Family};

/// Looks a name up; blocks as long as the resolver does. No flags: A and AAAA are asked for
/// whatever addresses this box has, as a program asks that passes no hints.
pub fn addresses(host: &str, family: Family) -> Answer {
    let mut name = [0; limits::HOST + 1];
    let Some(place) = name.get_mut(..host.len()) else { return Answer::Failed(Reason::NameNotFound) };
    place.copy_from_slice(host.as_bytes());
    let Ok(name) = CStr::from_bytes_until_nul(&name) else { return Answer::Failed(Reason::NameNotFound) };

    // SAFETY: `addrinfo` is plain data for which zeroes are a valid value: no hints.
    let mut hints: libc::addrinfo = unsafe { core::mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_family = match family {
        Family::Any => libc::AF_UNSPEC,
        Family::Inet => libc::AF_INET,
        Family::Inet6 => libc::AF_INET6,
    };
    let mut list = ptr::null_mut();
    // SAFETY: `name` ends with a NUL, `hints` and `list` are live; getaddrinfo keeps none of them.
    let error = unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &hints, &mut list) };
    if error != 0 {
        return failure(error, Errno::last());
    }
    let mut addresses = Addresses::new();
    let mut entry = list;
    while !entry.is_null() {
        // SAFETY: `entry` is a node of the list that getaddrinfo made, which ends with a null.
        let node = unsafe { &*entry };
        if address(node).is_some_and(|address| !addresses.push(address)) {
            break;
        }
        entry = node.ai_next;
    }
    if !list.is_null() {
        // SAFETY: getaddrinfo made the list, and nothing points into it any more.
        unsafe { libc::freeaddrinfo(list) };
    }
    if addresses.as_slice().is_empty() { Answer::Failed(Reason::NoAddress) } else { Answer::Found(addresses) }
}

/// The address of one node; `None` for a family that is neither IPv4 nor IPv6.
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

/// What an error of getaddrinfo(3) means. The last two stand in glibc's netdb.h as extensions;
/// musl gives the first of them.
fn failure(error: libc::c_int, errno: Errno) -> Answer {
    const EAI_ADDRFAMILY: libc::c_int = -9;
    const EAI_NODATA: libc::c_int = -5;
    // Where it had no socket to ask with, glibc says that there is no such name.
    let no_socket = net::open_datagram().err().and_then(shortage);
    if let Some(shortage @ (Shortage::Descriptors | Shortage::Memory)) = no_socket {
        return Answer::Short(shortage);
    }
    Answer::Failed(match error {
        libc::EAI_NONAME => Reason::NameNotFound,
        EAI_NODATA | EAI_ADDRFAMILY => Reason::NoAddress,
        libc::EAI_AGAIN => Reason::ResolverSilent,
        libc::EAI_MEMORY => return Answer::Short(Shortage::Memory),
        libc::EAI_SYSTEM => match shortage(errno) {
            Some(shortage) if shortage != Shortage::Socket => return Answer::Short(shortage),
            Some(_) | None => Reason::ResolverFailed,
        },
        _ => Reason::ResolverFailed,
    })
}
