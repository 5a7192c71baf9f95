//! A request of a web server, as CGI hands it over (RFC 3875): what it asks for. Any bytes are read; nothing of them
//! is kept but a time and the names of services.

use crate::base::text::Text;
use crate::base::time::Nanos;
use crate::base::{calendar, limits, words};

/// What is asked for, by its path behind the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing or `/`: the page for a browser.
    Page,
    /// `/metrics`: the counts for Prometheus.
    Metrics,
    /// `/status.json`: what `tcpmon status -j` prints.
    Status,
}

/// A request that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it asks for.
    pub content: Content,
    /// `last`: the time until now that the page is about.
    pub last: Nanos,
    /// `service`, as often as it is there; none: all.
    pub services: Vec<Text<{ limits::SERVICE }>>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is neither `GET` nor `HEAD`.
    Method,
    /// There is nothing at its path.
    Path,
    /// `last` is no time, or too short or long a one.
    Last,
    /// `service` can be no service, or is there too often.
    Service,
    /// No target has the service.
    Nobody,
}

impl Request {
    /// Reads the method, the path behind the program's, which the server has decoded, and the query, which it has not. A
    /// parameter of the query that has another name is not ours and is ignored. Without a method it is `GET`: then
    /// nobody but a person at a shell asks.
    pub fn parse(method: &[u8], path: &[u8], query: &[u8]) -> Result<Self, Refusal> {
        let content = match path {
            _ if ![&b"GET"[..], b"HEAD", b""].contains(&method) => return Err(Refusal::Method),
            b"" | b"/" => Content::Page,
            b"/metrics" => Content::Metrics,
            b"/status.json" => Content::Status,
            _ => return Err(Refusal::Path),
        };
        let mut request = Self { content, last: limits::PAGE, services: Vec::new() };
        let mut rest = Some(query);
        while let Some(query) = rest {
            let (parameter, others) = split(query, b'&');
            rest = others;
            let (name, value) = split(parameter, b'=');
            let value = value.unwrap_or_default();
            if name == b"last" {
                let (least, most) = limits::PERIOD;
                let last = decode(value).and_then(|value| calendar::parse_days(value.as_str()));
                request.last = last.filter(|last| (least..=most).contains(last)).ok_or(Refusal::Last)?;
            } else if name == b"service" {
                let service = decode(value).filter(|_| request.services.len() < limits::TARGETS);
                request.services.push(service.ok_or(Refusal::Service)?);
            }
        }
        Ok(request)
    }
}

/// The part before the first `separator`, and the part behind it if it is there.
#[inline(never)]
fn split(bytes: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|byte| *byte == separator) {
        Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
        None => (bytes, None),
    }
}

/// The text of a value (`+` is a blank, `%` and two digits are a byte); `None` if it is empty, too long for a service, no
/// UTF-8 or has control characters.
fn decode(value: &[u8]) -> Option<Text<{ limits::SERVICE }>> {
    let mut decoded = [0; limits::SERVICE];
    let (mut length, mut rest) = (0, value);
    while let [byte, others @ ..] = rest {
        (*decoded.get_mut(length)?, rest) = match (byte, others) {
            (b'%', [high, low, others @ ..]) => (digit(*high)? * 16 + digit(*low)?, others),
            (b'%', _) => return None,
            (b'+', _) => (b' ', others),
            (byte, _) => (*byte, others),
        };
        length += 1;
    }
    let text = words::utf8(&decoded[..length])?;
    if text.is_empty() || !words::is_clean(text, 0) { None } else { Text::copy(text) }
}

/// A hexadecimal digit.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, query: &str) -> Result<(Content, u64, Vec<String>), Refusal> {
        let request = Request::parse(b"GET", path.as_bytes(), query.as_bytes())?;
        let services = request.services.iter().map(|service| service.as_str().to_string()).collect();
        Ok((request.content, request.last.secs(), services))
    }

    fn query(query: &str) -> Result<(u64, Vec<String>), Refusal> {
        get("", query).map(|(_, last, services)| (last, services))
    }

    #[test]
    fn there_are_three_paths_and_no_other() {
        for (path, content) in [
            ("", Content::Page),
            ("/", Content::Page),
            ("/metrics", Content::Metrics),
            ("/status.json", Content::Status),
        ] {
            assert_eq!(get(path, ""), Ok((content, 86_400, vec![])), "{path}");
        }
        for path in ["//", "/metrics/", "metrics", "/Metrics", "/status", "/../etc/passwd", "/\r\nX: y", "/metrics\0"] {
            assert_eq!(get(path, ""), Err(Refusal::Path), "{path}");
        }
        assert_eq!(Request::parse(b"GET", b"/\xff", b""), Err(Refusal::Path));
    }

    #[test]
    fn only_get_and_head_are_answered_and_no_method_is_get() {
        for method in [&b"GET"[..], b"HEAD", b""] {
            assert!(Request::parse(method, b"/", b"").is_ok());
        }
        for method in [&b"POST"[..], b"get", b"GET ", b"OPTIONS", b"\xff", b"PUT"] {
            assert_eq!(Request::parse(method, b"/", b"last=x"), Err(Refusal::Method));
            assert_eq!(Request::parse(method, b"/none", b""), Err(Refusal::Method));
        }
    }

    #[test]
    fn the_time_is_that_of_last_and_the_latter_of_two_counts() {
        for (text, secs) in [
            ("last=24h", 86_400),
            ("last=14d", 14 * 86_400),
            ("last=1m", 60),
            ("last=366d", 366 * 86_400),
            ("last=2h&last=3h", 3 * 3600),
            ("last=%32%34h", 86_400),
            ("&&last=90m&", 5400),
        ] {
            assert_eq!(query(text), Ok((secs, vec![])), "{text}");
        }
        for text in ["last", "last=", "last=1", "last=h", "last=59s", "last=367d", "last=24h+", "last=-1h", "last=2=h"]
        {
            assert_eq!(query(text), Err(Refusal::Last), "{text}");
        }
        assert_eq!(query("last=99999999999999999999d"), Err(Refusal::Last));
    }

    #[test]
    fn services_are_decoded_and_what_can_be_none_is_refused() {
        let services = |text: &str| query(text).map(|(_, services)| services);
        for (text, decoded) in [
            ("service=web", vec!["web"]),
            ("service=web&service=db&service=web", vec!["web", "db", "web"]),
            ("service=a+b%2Bc%26d%3d%25", vec!["a b+c&d=%"]),
            ("service=%c3%A4%f0%9f%9a%80", vec!["ä🚀"]),
            ("service=a=b", vec!["a=b"]),
            ("service=%3Cscript%3E", vec!["<script>"]),
        ] {
            assert_eq!(services(text), Ok(decoded.iter().map(|text| text.to_string()).collect()), "{text}");
        }
        for text in ["service", "service=", "service=%", "service=%1", "service=%+1", "service=%gg", "service=a%00"] {
            assert_eq!(services(text), Err(Refusal::Service), "{text}");
        }
        for text in ["service=a%0d%0aX:+y", "service=%ff", "service=%c3", "service=%c2%85"] {
            assert_eq!(services(text), Err(Refusal::Service), "{text}");
        }
        let longest = "ä".repeat(32);
        assert_eq!(services(&format!("service={longest}")), Ok(vec![longest.clone()]));
        assert_eq!(services(&format!("service={longest}a")), Err(Refusal::Service));
        let most = "service=a&".repeat(limits::TARGETS);
        assert_eq!(services(&most).map(|services| services.len()), Ok(limits::TARGETS));
        assert_eq!(services(&format!("{most}service=a")), Err(Refusal::Service));
    }

    #[test]
    fn what_is_not_ours_is_ignored() {
        for text in ["_=1760020200", "x=%zz", "Last=x", "=", "&&&", "services=%", "last%3d1", "a=last=x", "\u{ff}"] {
            assert_eq!(query(text), Ok((86_400, vec![])), "{text}");
        }
    }
}
