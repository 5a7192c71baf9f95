//! The messages between the loop and a helper: a [`Request`] and its [`Reply`], each a single packet of a
//! `SOCK_SEQPACKET` pair.
//!
//! Both ends are the same binary, so numbers have the machine's own byte order. Decoding is total all the
//! same: bytes that are no message give `None`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::limits;
use crate::base::text::Text;
use crate::base::time::Nanos;
use crate::base::words;
use crate::model::reason::{Reason, Shortage};
use crate::model::target::{Address, Family};

/// Bytes of the longest request.
pub const REQUEST: usize = 4 + 1 + limits::HOST;

/// Bytes of the longest reply.
pub const REPLY: usize = 4 + 8 + 1 + ADDRESS * limits::ADDRESSES;

/// Bytes of one address: family, 16 bytes of address, scope.
const ADDRESS: usize = 1 + 16 + 4;

/// The kind of a reply: 0 means addresses, 1 + index means a reason, and this + index means a shortage.
const SHORT: u8 = 128;

/// A name to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The reply repeats it.
    pub token: u32,
    /// Which addresses are wanted.
    pub family: Family,
    /// The name.
    pub host: Text<{ limits::HOST }>,
}

impl Request {
    /// Writes the packet; returns its length.
    pub fn encode(&self, packet: &mut [u8; REQUEST]) -> usize {
        packet[..4].copy_from_slice(&self.token.to_ne_bytes());
        packet[4] = match self.family {
            Family::Any => 0,
            Family::Inet => 4,
            Family::Inet6 => 6,
        };
        let host = self.host.as_str().as_bytes();
        packet[5..5 + host.len()].copy_from_slice(host);
        5 + host.len()
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Option<Request> {
        let (token, rest) = packet.split_first_chunk()?;
        let (family, host) = rest.split_first()?;
        let family = match family {
            0 => Family::Any,
            4 => Family::Inet,
            6 => Family::Inet6,
            _ => return None,
        };
        let host = Text::copy(words::utf8(host)?)?;
        Some(Request { token: u32::from_ne_bytes(*token), family, host })
    }
}

/// At most [`limits::ADDRESSES`] addresses, in getaddrinfo's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    list: [Address; limits::ADDRESSES],
    count: usize,
}

impl Addresses {
    /// No addresses.
    pub const fn new() -> Self {
        Self { list: [Address::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED)); limits::ADDRESSES], count: 0 }
    }

    /// Adds an address. Returns whether there was room.
    pub fn push(&mut self, address: Address) -> bool {
        let Some(entry) = self.list.get_mut(self.count) else { return false };
        *entry = address;
        self.count += 1;
        true
    }

    /// The addresses.
    pub fn as_slice(&self) -> &[Address] {
        &self.list[..self.count]
    }
}

impl Addresses {
    /// Reads the addresses of a packet, at least one.
    fn decode(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.is_empty() || bytes.len() % ADDRESS != 0 {
            return None;
        }
        for address in bytes.chunks_exact(ADDRESS) {
            let [family, bits @ .., s0, s1, s2, s3] = address else { return None };
            let bits = u128::from_ne_bytes(bits.try_into().ok()?);
            let ip = match family {
                4 => IpAddr::V4(Ipv4Addr::from(bits as u32)),
                6 => IpAddr::V6(Ipv6Addr::from(bits)),
                _ => return None,
            };
            let scope = u32::from_ne_bytes([*s0, *s1, *s2, *s3]);
            if !self.push(Address { ip, scope }) {
                return None;
            }
        }
        Some(())
    }
}

impl Default for Addresses {
    fn default() -> Self {
        Self::new()
    }
}

/// The result of getaddrinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Addresses, at least one.
    Found(Addresses),
    /// The lookup failed.
    Failed(Reason),
    /// The helper could not do it, by a shortage of our own.
    Short(Shortage),
}

/// The end of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The request's token.
    pub token: u32,
    /// How long getaddrinfo took.
    pub elapsed: Nanos,
    /// Its result.
    pub answer: Answer,
}

impl Reply {
    /// Writes the packet; returns its length.
    pub fn encode(&self, packet: &mut [u8; REPLY]) -> usize {
        packet[..4].copy_from_slice(&self.token.to_ne_bytes());
        packet[4..12].copy_from_slice(&self.elapsed.get().to_ne_bytes());
        packet[12] = match &self.answer {
            Answer::Found(_) => 0,
            // A lookup has no reason that is an errno.
            Answer::Failed(Reason::Other(_)) => 1 + Reason::ResolverFailed.index() as u8,
            Answer::Failed(reason) => 1 + reason.index() as u8,
            Answer::Short(shortage) => SHORT + shortage.index() as u8,
        };
        let Answer::Found(addresses) = &self.answer else { return 13 };
        let mut end = 13;
        for Address { ip, scope } in addresses.as_slice() {
            let bytes = &mut packet[end..end + ADDRESS];
            let (family, bits) = match ip {
                IpAddr::V4(ip) => (4, u128::from(u32::from(*ip))),
                IpAddr::V6(ip) => (6, u128::from(*ip)),
            };
            bytes[0] = family;
            bytes[1..17].copy_from_slice(&bits.to_ne_bytes());
            bytes[17..].copy_from_slice(&scope.to_ne_bytes());
            end += ADDRESS;
        }
        end
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Option<Reply> {
        let ([t0, t1, t2, t3, elapsed @ .., kind], rest) = packet.split_first_chunk::<13>()?;
        let answer = match *kind {
            0 => {
                let mut addresses = Addresses::new();
                addresses.decode(rest)?;
                Answer::Found(addresses)
            }
            // A failure has no addresses.
            _ if !rest.is_empty() => return None,
            1..SHORT => Answer::Failed(*Reason::NAMED.get(usize::from(*kind) - 1)?),
            SHORT.. => Answer::Short(*Shortage::ALL.get(usize::from(*kind - SHORT))?),
        };
        let token = u32::from_ne_bytes([*t0, *t1, *t2, *t3]);
        Some(Reply { token, elapsed: Nanos::new(u64::from_ne_bytes(*elapsed)), answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(answer: Answer) -> Reply {
        Reply { token: 0xdead_beef, elapsed: Nanos::from_millis(1500), answer }
    }

    #[test]
    fn a_request_is_decoded_as_it_was_encoded() {
        for family in [Family::Any, Family::Inet, Family::Inet6] {
            let host = Text::format(format_args!("{}", "h".repeat(limits::HOST)));
            let request = Request { token: 7, family, host };
            let mut packet = [0; REQUEST];
            let length = request.encode(&mut packet);
            assert_eq!(Request::decode(&packet[..length]), Some(request));
        }
    }

    #[test]
    fn every_reply_is_decoded_as_it_was_encoded() {
        let mut addresses = Addresses::new();
        let mut answers = Reason::NAMED.map(Answer::Failed).to_vec();
        answers.extend(Shortage::ALL.map(Answer::Short));
        for i in 0..limits::ADDRESSES as u8 {
            let ip = if i % 2 == 0 { IpAddr::from([10, 0, 0, i]) } else { IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1]) };
            assert!(addresses.push(Address { ip, scope: u32::from(i) }));
            answers.push(Answer::Found(addresses));
        }
        assert!(!addresses.push(Address::new(IpAddr::from([10, 0, 0, 9]))), "one more than fit");
        for answer in answers {
            let mut packet = [0xff; REPLY];
            let length = reply(answer).encode(&mut packet);
            assert_eq!(Reply::decode(&packet[..length]), Some(reply(answer)));
            for cut in 0..length {
                let shorter = Reply::decode(&packet[..cut]);
                assert!(shorter.is_none() || matches!(answer, Answer::Found(a) if a.as_slice().len() > 1));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_message_are_none() {
        assert_eq!(Request::decode(&[0, 0, 0, 0, 5, b'h']), None, "family");
        assert_eq!(Request::decode(&[0, 0, 0, 0, 4, 0xff]), None, "not UTF-8");
        assert_eq!(Request::decode(&[0; 4]), None, "too short");
        assert_eq!(Request::decode(&[b'h'; REQUEST + 1]), None, "too long");
        let mut packet = [0; 13 + ADDRESS * (limits::ADDRESSES + 1)];
        assert_eq!(Reply::decode(&packet), None, "address family 0");
        for address in packet[13..].chunks_exact_mut(ADDRESS) {
            address[0] = 4;
        }
        assert_eq!(Reply::decode(&packet), None, "too many addresses");
        assert!(Reply::decode(&packet[..REPLY]).is_some());
        packet[12] = 1;
        assert_eq!(Reply::decode(&packet), None, "a failure with addresses");
        let is_message = |kind: &u8| {
            packet[12] = *kind;
            Reply::decode(&packet[..13]).is_some()
        };
        let kinds: Vec<u8> = (0..=255).filter(is_message).collect();
        assert_eq!(kinds, (1..=13).chain(128..=137).collect::<Vec<u8>>(), "kinds without addresses");
    }
}
