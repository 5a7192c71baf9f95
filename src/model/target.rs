//! What is watched: a [`Target`] is a service's label, a host, a port, and the way to them.

use core::fmt;
use core::net::IpAddr;

use crate::base::limits;
use crate::base::line::Line;
use crate::base::text::Text;
use crate::base::time::Nanos;
use crate::base::words;

/// Which of a name's addresses are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// All that getaddrinfo returns (`AF_UNSPEC`).
    #[default]
    Any,
    /// IPv4 only.
    Inet,
    /// IPv6 only.
    Inet6,
}

/// One address to connect to, without its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address itself.
    pub ip: IpAddr,
    /// The interface of a link-local IPv6 address (`sin6_scope_id`); 0 for none.
    pub scope: u32,
}

impl Address {
    /// An address that needs no interface.
    pub const fn new(ip: IpAddr) -> Self {
        Self { ip, scope: 0 }
    }
}

impl Address {
    /// Appends the address, at most [`limits::ADDRESS`] bytes. The standard library's own Display takes 2 KB, and many times
    /// the instructions.
    pub fn push(&self, line: &mut Line<'_>) {
        match self.ip {
            IpAddr::V4(ip) => push_four(line, &ip.octets()),
            IpAddr::V6(ip) => push_six(line, &ip.octets()),
        }
        if self.scope != 0 {
            line.push(b'%');
            line.push_number(self.scope);
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = [0; limits::ADDRESS];
        let mut line = Line::new(&mut room);
        self.push(&mut line);
        f.write_str(line.as_str())
    }
}

fn push_four(line: &mut Line<'_>, octets: &[u8]) {
    for (i, octet) in octets.iter().enumerate() {
        if i > 0 {
            line.push(b'.');
        }
        push_octet(line, *octet);
    }
}

/// Appends a number below 256. Nearly every sample has four of them.
fn push_octet(line: &mut Line<'_>, octet: u8) {
    if octet > 99 {
        line.push(b'0' + octet / 100);
    }
    if octet > 9 {
        line.push(b'0' + octet / 10 % 10);
    }
    line.push(b'0' + octet % 10);
}

/// The start of an IPv6 address that holds an IPv4 address (RFC 4291, section 2.5.5.2).
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

fn push_six(line: &mut Line<'_>, octets: &[u8; 16]) {
    let [before @ .., _, _, _, _] = octets;
    if *before == MAPPED {
        line.push_bytes(b"::ffff:");
        return push_four(line, &octets[MAPPED.len()..]);
    }
    let group = |i: usize| (u32::from(octets[2 * i]) << 8) | u32::from(octets[2 * i + 1]);
    // The longest run of two or more zeros is left out; of equal runs the first (RFC 5952, section 4.2).
    let (mut run, mut length, mut end) = (0, 1, 0);
    for i in 0..8 {
        run = if group(i) == 0 { run + 1 } else { 0 };
        if run > length {
            (length, end) = (run, i + 1);
        }
    }
    for i in 0..8 {
        // A colon stands between two groups, and two colons for the run.
        if i + length < end || i >= end {
            if i > 0 {
                line.push(b':');
            }
            push_group(line, group(i));
        } else if i + length == end {
            line.push(b':');
        }
    }
    if end == 8 {
        line.push(b':');
    }
}

/// Appends a number of 16 bits in hexadecimal digits, without zeros before it.
fn push_group(line: &mut Line<'_>, group: u32) {
    for shift in [12, 8, 4, 0] {
        if group >> shift > 0 || shift == 0 {
            line.push(b"0123456789abcdef"[((group >> shift) & 15) as usize]);
        }
    }
}

/// Reads a text that is an IP address.
#[inline(never)]
pub fn literal(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// A service that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its label in the log. Labels may repeat.
    pub service: Text<{ limits::SERVICE }>,
    /// A host name or an IP literal, as configured but without brackets and scope.
    pub host: Text<{ limits::HOST }>,
    /// The device of a link-local literal (`fe80::1%eth0`); empty for none.
    pub scope: Text<{ limits::DEVICE }>,
    /// The TCP port, not zero.
    pub port: u16,
    /// The address, if the host is a literal: then no lookup is made.
    pub literal: Option<Address>,
    /// The family that lookups ask for.
    pub family: Family,
    /// The local address to connect from.
    pub source: Option<IpAddr>,
    /// The network device to connect through (`SO_BINDTODEVICE`); empty for any.
    pub device: Text<{ limits::DEVICE }>,
    /// Its own interval, if it has one.
    pub interval: Option<Nanos>,
    /// After how many failed probes in a row it is down, if that is its own.
    pub down_after: Option<u16>,
    /// After how many good ones it is up again, if that is its own.
    pub up_after: Option<u16>,
}

impl Default for Target {
    #[inline(never)]
    fn default() -> Self {
        Self {
            service: Text::new(),
            host: Text::new(),
            scope: Text::new(),
            port: 0,
            literal: None,
            family: Family::Any,
            source: None,
            device: Text::new(),
            interval: None,
            down_after: None,
            up_after: None,
        }
    }
}

impl Target {
    /// A target without options.
    pub fn new(service: &str, host: &str, port: u16) -> Result<Self, TargetError> {
        let mut target = Self::default();
        target.set_service(service)?;
        target.set_host(host)?;
        target.set_port(port)?;
        Ok(target)
    }

    /// Sets its label.
    pub fn set_service(&mut self, service: &str) -> Result<(), TargetError> {
        let is_label = !service.is_empty() && words::trim(service) == service && words::is_clean(service, b'|');
        if is_label && self.service.set(service) { Ok(()) } else { Err(TargetError::Service) }
    }

    /// Sets its host: a name or an IP literal, with or without brackets and scope. [`Target::check_host`] checks a name.
    pub fn set_host(&mut self, host: &str) -> Result<(), TargetError> {
        let bracketed = host.strip_prefix('[');
        let bare = bracketed.map_or(Some(host), |rest| rest.strip_suffix(']')).ok_or(TargetError::Host)?;
        let with_scope = words::split_once(bare, b'%');
        let (bare, scope) = with_scope.unwrap_or((bare, ""));
        let ip = literal(bare);
        if bare.is_empty() || !words::is_clean(bare, b'|') {
            return Err(TargetError::Host);
        }
        let looks_numeric = bare.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let has_colon = words::contains(bare, b':') && !words::contains(bare, b'/');
        if ip.is_none() && (looks_numeric || has_colon || bracketed.is_some()) {
            return Err(TargetError::Literal);
        }
        let is_link_local = matches!(ip, Some(IpAddr::V6(ip)) if ip.is_unicast_link_local());
        if is_link_local == scope.is_empty() || is_link_local != with_scope.is_some() {
            return Err(TargetError::Scope);
        }
        if !self.host.set(bare) {
            return Err(TargetError::Host);
        }
        if !words::is_clean(scope, b'|') || !self.scope.set(scope) {
            return Err(TargetError::Scope);
        }
        self.literal = ip.map(Address::new);
        Ok(())
    }

    /// Checks its host more strictly than [`Target::set_host`] does, which must still read the ledgers of earlier versions:
    /// a name is labels of 1 to 63 letters, digits and, within, `-` (RFC 1123, section 2.1), or `_`.
    pub fn check_host(&self) -> Result<(), TargetError> {
        let host = self.host.as_str();
        if !host.is_ascii() {
            return Err(TargetError::NotAscii);
        }
        let (mut length, mut before, mut is_valid) = (0_u32, b'.', true);
        for byte in host.strip_suffix('.').unwrap_or(host).bytes().chain([b'.']) {
            if byte == b'.' {
                is_valid &= (1..=63).contains(&length) && before != b'-';
                length = 0;
            } else {
                is_valid &= byte == b'_' || byte.is_ascii_alphanumeric() || (byte == b'-' && length > 0);
                length += 1;
            }
            before = byte;
        }
        if is_valid || self.literal.is_some() { Ok(()) } else { Err(TargetError::Host) }
    }

    /// Sets its port.
    pub fn set_port(&mut self, port: u16) -> Result<(), TargetError> {
        self.port = port;
        if port == 0 { Err(TargetError::Port) } else { Ok(()) }
    }

    /// Whether `other` is the same service at the same host and port: then its counts go on.
    pub fn is_same_as(&self, other: &Target) -> bool {
        self.port == other.port && self.service == other.service && self.host == other.host && self.scope == other.scope
    }

    /// The host and port as they are written: `host:443`, `[2001:db8::5]:443`.
    pub fn endpoint(&self) -> Endpoint<'_> {
        Endpoint(self)
    }
}

/// See [`Target::endpoint`].
pub struct Endpoint<'a>(&'a Target);

impl fmt::Display for Endpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Target { host, scope, port, literal, .. } = self.0;
        let is_six = literal.is_some_and(|address| address.ip.is_ipv6());
        let (open, close) = if is_six { ("[", "]") } else { ("", "") };
        let percent = if scope.is_empty() { "" } else { "%" };
        write!(f, "{open}{host}{percent}{scope}{close}:{port}")
    }
}

/// Why a target is invalid. Displayed behind the wrong part: what is wrong with it, and what is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// The label is empty or too long, or has characters that would break the table.
    Service,
    /// The host is empty or too long, or no host name.
    Host,
    /// The host has a character outside ASCII. An internationalized name has a form without.
    NotAscii,
    /// The host looks like an IP literal but is none.
    Literal,
    /// A link-local literal without its device, or another host with one.
    Scope,
    /// Port 0.
    Port,
}

// The texts have these numbers.
const _: () = assert!(limits::SERVICE == 64 && limits::HOST == 253);

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TargetError::Service => "is not 1 to 64 bytes without `|` and control characters",
            TargetError::Host => {
                "is no IP address and no name: dots between 1 to 63 letters, digits, `_` and, within, `-`, 253 in all"
            }
            TargetError::NotAscii => {
                "has a character beyond ASCII, which may be invisible; write the name's form that begins with xn--"
            }
            TargetError::Literal => "is no IP address, write one like 10.0.0.5 or 2001:db8::5",
            TargetError::Scope => {
                "is wrong: a link-local address names its device, like fe80::1%eth0, and no other host does"
            }
            TargetError::Port => "is no number from 1 to 65535",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_by_the_standard_library() {
        // Every pattern of zeros, 0xffff and another number, so also IPv4 addresses within IPv6 ones.
        for pattern in 0..3_u16.pow(8) {
            let groups: [u16; 8] =
                core::array::from_fn(|i| [0, 0xffff, 0x1a0][usize::from(pattern / 3_u16.pow(i as u32) % 3)]);
            let ip = IpAddr::from(groups);
            assert_eq!(Address::new(ip).to_string(), ip.to_string());
        }
        for octet in 0..=255 {
            let ip = IpAddr::from([octet, 0, 255 - octet, octet]);
            assert_eq!(Address::new(ip).to_string(), ip.to_string());
        }
        let link_local = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(Address { ip: link_local, scope: 7 }.to_string(), "fe80::1%7");
        let longest = Address { ip: IpAddr::from([u16::MAX; 8]), scope: u32::MAX }.to_string();
        assert_eq!((longest.len(), longest.ends_with("ffff%4294967295")), (limits::ADDRESS, true));
    }

    #[test]
    fn literals_are_known_and_names_are_not() {
        let literal = |host| Target::new("s", host, 1).map(|t| (t.literal.is_some(), t.endpoint().to_string()));
        assert_eq!(literal("10.0.0.5"), Ok((true, "10.0.0.5:1".into())));
        assert_eq!(literal("2001:db8::5"), Ok((true, "[2001:db8::5]:1".into())));
        assert_eq!(literal("[::1]"), Ok((true, "[::1]:1".into())));
        assert_eq!(literal("fe80::1%eth0"), Ok((true, "[fe80::1%eth0]:1".into())));
        assert_eq!(literal("fe80::1%3"), Ok((true, "[fe80::1%3]:1".into())));
        assert_eq!(literal("db.example"), Ok((false, "db.example:1".into())));
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_reason() {
        for (host, error) in [
            ("", TargetError::Host),
            ("10.0.0.256", TargetError::Literal),
            ("10.1", TargetError::Literal),
            ("010.0.0.1", TargetError::Literal),
            ("2001:db8:::5", TargetError::Literal),
            ("[db]", TargetError::Literal),
            ("[::1", TargetError::Host),
            ("fe80::1", TargetError::Scope),
            ("fe80::1%", TargetError::Scope),
            ("10.0.0.1%eth0", TargetError::Scope),
            ("name%eth0", TargetError::Scope),
            ("fe80::1%averyveryverylongname", TargetError::Scope),
            ("a|b", TargetError::Host),
            ("a b", TargetError::Host),
            ("a\u{7}b", TargetError::Host),
            ("www.example.com/path", TargetError::Host),
            ("=h", TargetError::Host),
        ] {
            let target = Target::new("s", host, 1).and_then(|target| target.check_host());
            assert_eq!(target.err(), Some(error), "{host}");
        }
        assert!(Target::new("s", &"h".repeat(limits::HOST), 1).is_ok());
        assert_eq!(Target::new("s", &"h".repeat(limits::HOST + 1), 1).err(), Some(TargetError::Host));
        assert_eq!(Target::new("s", "h", 0).err(), Some(TargetError::Port));
    }

    #[test]
    fn a_configured_host_is_a_name_by_rfc_1123_with_underscores() {
        let check = |host: &str| Target::new("s", host, 1).and_then(|target| target.check_host());
        let label = "x".repeat(63);
        for host in ["a", "a.b", "a.b.", "_sip._tcp.a-b.c", "a_", "3com.de", "xn--mnchen-3ya.de", "A1", &label, "::1"] {
            assert_eq!(check(host), Ok(()), "{host}");
        }
        for host in ["web..x", ".", "a..", ".a", "-a", "a-", "a.-b", "a-.b", &format!("{label}x"), "a:b", "x:1"] {
            assert!(matches!(check(host), Err(TargetError::Host | TargetError::Literal)), "{host}");
        }
        assert_eq!(check("mün.de"), Err(TargetError::NotAscii));
        assert_eq!(check("exa\u{200b}mple"), Err(TargetError::NotAscii));
    }

    #[test]
    fn a_service_is_a_label_that_keeps_the_table_whole() {
        for service in ["", " a", "a|b", "a\nb", &"s".repeat(limits::SERVICE + 1)] {
            assert_eq!(Target::new(service, "h", 1).err(), Some(TargetError::Service), "{service:?}");
        }
        for service in ["a", "promotion api", "kassa-äö", &"s".repeat(limits::SERVICE)] {
            assert!(Target::new(service, "h", 1).is_ok(), "{service:?}");
        }
    }
}
