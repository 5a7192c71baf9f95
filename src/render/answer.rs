//! The head of an answer to a web server (RFC 3875, section 6), and the texts of those that are no content. Every line
//! is a constant but for a number: nothing of a request can come into it.

use super::cells::put;
use crate::model::request::{Content, Refusal};

/// What a head says. Each `Content-Type` belongs to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Here it is.
    Content(Content),
    /// The request is refused.
    Refused(Refusal),
    /// It cannot be told now.
    Unavailable,
}

/// What every answer says: it is not kept, it is what its type says, and a browser runs and loads nothing because of it.
const ALWAYS: &str = concat!(
    "Cache-Control: no-store\r\n",
    "X-Content-Type-Options: nosniff\r\n",
    "Content-Security-Policy: default-src 'none'; style-src ",
    style_source!(),
    "; form-action 'none'; frame-ancestors 'none'; base-uri 'none'\r\n",
    "Referrer-Policy: no-referrer\r\n",
);

/// The type of a line in words.
const PLAIN: &str = "text/plain; charset=utf-8";

/// Writes the head of an answer whose content has so many bytes.
pub fn write_head(out: &mut String, status: Status, length: usize) {
    let (line, kind, allow) = match status {
        Status::Content(Content::Page) => ("200 OK", "text/html; charset=utf-8", ""),
        // The format of Prometheus has a version.
        Status::Content(Content::Metrics) => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", ""),
        Status::Content(Content::Status) => ("200 OK", "application/json", ""),
        Status::Refused(Refusal::Method) => ("405 Method Not Allowed", PLAIN, "Allow: GET, HEAD\r\n"),
        Status::Refused(Refusal::Path | Refusal::Nobody) => ("404 Not Found", PLAIN, ""),
        Status::Refused(Refusal::Last | Refusal::Service) => ("400 Bad Request", PLAIN, ""),
        Status::Unavailable => ("503 Service Unavailable", PLAIN, ""),
    };
    put(out, format_args!("Status: {line}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{ALWAYS}{allow}\r\n"));
}

/// Why a request is refused, and what would be right: a line.
pub fn refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Method => "only GET and HEAD are answered\n",
        Refusal::Path => "there is nothing here, only /, /metrics and /status.json\n",
        Refusal::Last => "last is no time from 1m to 366d, write a number and its unit, like 90m, 24h or 14d\n",
        Refusal::Service => "service is no name of a service, or is there too often\n",
        Refusal::Nobody => "no target has this service\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_begins_with_its_status_and_ends_with_an_empty_line() {
        let head = |status, length| {
            let mut head = String::new();
            write_head(&mut head, status, length);
            head
        };
        assert_eq!(
            head(Status::Content(Content::Page), 4711).replace(style_source!(), "STYLE"),
            "Status: 200 OK\r\n\
             Content-Type: text/html; charset=utf-8\r\n\
             Content-Length: 4711\r\n\
             Cache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'none'; style-src STYLE; form-action 'none'; \
             frame-ancestors 'none'; base-uri 'none'\r\n\
             Referrer-Policy: no-referrer\r\n\
             \r\n"
        );
        let refused = head(Status::Refused(Refusal::Method), 0);
        assert!(refused.starts_with("Status: 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\n"));
        assert!(refused.ends_with("\r\nAllow: GET, HEAD\r\n\r\n"));
        let metrics = head(Status::Content(Content::Metrics), 1);
        assert!(metrics.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{metrics}");
    }
}
