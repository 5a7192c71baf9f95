//! A request of a web server: method, path and query, separated by NUL, which no variable of the environment can have.

use tcpmon::base::calendar;
use tcpmon::base::limits;
use tcpmon::model::request::{Content, Refusal, Request};
use tcpmon::render::answer::{self, Status};

/// Any request is understood as a simpler reader does, survives being written out in full, and gets a head of which
/// no byte is its own.
pub fn holds(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == 0);
    let [method, path, query] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let parsed = Request::parse(method, path, query);
    assert_eq!(parsed, simpler(method, path, query));
    match parsed {
        Ok(request) => {
            says_the_same_in_full(&request);
            head_is_whole(Status::Content(request.content), query.len());
        }
        Err(refusal) => {
            let line = answer::refusal(refusal);
            assert!(line.ends_with('\n') && line.lines().count() == 1 && line.is_ascii(), "{line:?}");
            head_is_whole(Status::Refused(refusal), line.len());
        }
    }
}

/// The same with the standard library.
fn simpler(method: &[u8], path: &[u8], query: &[u8]) -> Result<Request, Refusal> {
    if !["GET", "HEAD", ""].iter().any(|known| known.as_bytes() == method) {
        return Err(Refusal::Method);
    }
    let content = match std::str::from_utf8(path) {
        Ok("" | "/") => Content::Page,
        Ok("/metrics") => Content::Metrics,
        Ok("/status.json") => Content::Status,
        Ok(_) | Err(_) => return Err(Refusal::Path),
    };
    let mut request = Request { content, last: limits::PAGE, services: Vec::new() };
    for parameter in query.split(|byte| *byte == b'&') {
        let mut sides = parameter.splitn(2, |byte| *byte == b'=');
        let (name, value) = (sides.next().unwrap_or_default(), decoded(sides.next().unwrap_or_default()));
        match name {
            b"last" => {
                let last = value.and_then(|value| calendar::parse_days(&value)).ok_or(Refusal::Last)?;
                if last < limits::PERIOD.0 || last > limits::PERIOD.1 {
                    return Err(Refusal::Last);
                }
                request.last = last;
            }
            b"service" => {
                let service = value.and_then(|value| tcpmon::base::text::Text::copy(&value)).ok_or(Refusal::Service)?;
                if request.services.len() == limits::TARGETS {
                    return Err(Refusal::Service);
                }
                request.services.push(service);
            }
            _ => {}
        }
    }
    Ok(request)
}

/// A value of `application/x-www-form-urlencoded`, if a service can be called so or a time be written so.
fn decoded(value: &[u8]) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = value.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [*rest.next()?, *rest.next()?];
                let is_hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
                let digits = std::str::from_utf8(&digits).ok().filter(|_| is_hexadecimal)?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => *byte,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    let is_right = !text.is_empty() && text.len() <= limits::SERVICE && !text.contains(char::is_control);
    is_right.then_some(text)
}

/// The same request with every byte of its services as two digits.
fn says_the_same_in_full(request: &Request) {
    let path = ["/", "/metrics", "/status.json"][request.content as usize];
    let mut query = format!("last={}", request.last);
    for service in &request.services {
        query.push_str("&service=");
        query.extend(service.as_bytes().iter().map(|byte| format!("%{byte:02x}")));
    }
    let again = Request::parse(b"HEAD", path.as_bytes(), query.as_bytes());
    assert_eq!(again.as_ref(), Ok(request), "{query}");
}

/// A head is lines of a name and a value, the length among them, up to the only empty line.
fn head_is_whole(status: Status, length: usize) {
    let mut head = String::new();
    answer::write_head(&mut head, status, length);
    let lines: Vec<&str> = head.strip_suffix("\r\n\r\n").expect("it ends with an empty line").split("\r\n").collect();
    assert!(lines[0].starts_with("Status: ") && lines.contains(&&*format!("Content-Length: {length}")), "{head:?}");
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a name");
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-'), "{line:?}");
        assert!(!value.is_empty() && !value.contains(char::is_control), "{line:?}");
    }
}
