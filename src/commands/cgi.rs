//! `tcpmon cgi`: answers one request of this box's web server (CGI/1.1, RFC 3875). It only reads, writes nothing but its
//! answer, and is confined before it looks at the request.

use super::{FAILURE, SUCCESS, exit, view};
use crate::base::limits;
use crate::base::said::Said;
use crate::base::text::Text;
use crate::model::cli::Cli;
use crate::model::request::{Content, Refusal, Request};
use crate::render::answer::{self, Status};
use crate::render::cells::put;
use crate::render::{Seen, json, metrics};
use crate::shell::console::Console;
use crate::shell::locks::Names;
use crate::shell::place::{Found, Place};
use crate::shell::sandbox::confine_answer;
use crate::shell::snapshot::SnapshotError;
use crate::shell::time_zone;
use crate::sys::environment;

/// What is said where not even the place of the ledger is known.
const NO_PLACE: &str = "the configuration does not say where the ledger is, tcpmon check shows why";

/// What is said of a ledger that this user may not read, behind that.
const BY_CRON: &str = "; let the web server run this as the ledger's user, or let cron write what it serves: \
                       tcpmon metrics -o FILE, tcpmon report --html -o FILE";

/// Answers a request. Exit status: 0 if the answer was written, whatever it is.
pub fn cgi(cli: Cli, console: &mut Console) -> ! {
    let place = Place::read(cli, console);
    // What these read cannot be read any more afterwards.
    time_zone::read(&mut Said::default(), console);
    let names = Names::open();
    let (is_wanted, log_dir) = place.as_ref().map_or((true, ""), |place| (place.sandbox, place.log_dir.as_str()));
    let rules = confine_answer(is_wanted, log_dir);
    let found = place.as_ref().map(|place| (place, place.look(names.as_ref())));
    let seen = found.as_ref().and_then(|(_, found)| view::seen(found, &[]));
    drop(names);
    if let Some(rules) = rules {
        // A kernel without Landlock has made none.
        let _ = rules.restrict();
    }

    // From here on the request may be looked at.
    let [method, path, query] = [c"REQUEST_METHOD", c"PATH_INFO", c"QUERY_STRING"].map(environment::bytes);
    let mut body = String::new();
    let asked = Request::parse(method, path, query);
    let answered = asked.and_then(|request| answer(&request, found.as_ref(), seen, &mut body, console));
    let status = answered.unwrap_or_else(|refusal| {
        body.push_str(answer::refusal(refusal));
        Status::Refused(refusal)
    });
    let mut head = String::new();
    answer::write_head(&mut head, status, body.len());
    let has_body = method != b"HEAD";
    let is_written = console.lines(&head, limits::READER) && (!has_body || console.lines(&body, limits::READER));
    exit(if is_written { SUCCESS } else { FAILURE })
}

/// Writes what the request asks for, or why it cannot be told.
fn answer(
    request: &Request,
    found: Option<&(&Place, Found)>,
    seen: Option<Seen<'_>>,
    body: &mut String,
    console: &mut Console,
) -> Result<Status, Refusal> {
    let mut message = Text::format(format_args!("{NO_PLACE}"));
    if let Some((place, found)) = found {
        message = view::message(place, found);
        if found.snapshot.as_ref().is_err_and(SnapshotError::lacks_rights) {
            message.push(BY_CRON);
        }
    }
    if !message.is_empty() {
        console.say("cgi", format_args!("{message}"));
    }
    let Some(seen) = seen else {
        put(body, format_args!("tcpmon: cgi: {message}\n"));
        return Ok(Status::Unavailable);
    };
    let services: Vec<&str> = request.services.iter().map(|service| service.as_str()).collect();
    let seen = Seen { services: &services, ..seen };
    match request.content {
        Content::Page => return Ok(page(body, &seen, request)),
        Content::Metrics | Content::Status if !has_all_services(&seen) => return Err(Refusal::Nobody),
        Content::Metrics => metrics::write(body, &seen),
        Content::Status => json::write(body, &seen),
    }
    Ok(Status::Content(request.content))
}

/// Writes the page for a browser.
fn page(body: &mut String, _: &Seen<'_>, _: &Request) -> Status {
    body.push_str("no page yet\n");
    Status::Unavailable
}

/// Whether each service that was asked for is that of a target.
#[inline(never)]
fn has_all_services(seen: &Seen<'_>) -> bool {
    let rows = seen.rows(true);
    seen.services.iter().all(|service| rows.iter().any(|(_, target)| target.service.as_str() == *service))
}
