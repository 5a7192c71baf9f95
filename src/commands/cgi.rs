//! `tcpmon cgi`: answers one request of this box's web server (CGI/1.1, RFC 3875). It only reads, writes nothing but its
//! answer, and is confined before it looks at the request.

use core::mem::ManuallyDrop;

use super::{FAILURE, SUCCESS, exit, view};
use crate::base::limits;
use crate::base::said::Said;
use crate::base::text::Text;
use crate::base::time::Nanos;
use crate::core::report::Report;
use crate::model::cli::Cli;
use crate::model::request::{Content, Refusal, Request};
use crate::render::answer::{self, Status};
use crate::render::cells::put;
use crate::render::{Seen, json, metrics, page};
use crate::shell::console::Console;
use crate::shell::locks::Names;
use crate::shell::log_files::LogFiles;
use crate::shell::place::{Found, Place};
use crate::shell::sandbox::confine_answer;
use crate::shell::snapshot::SnapshotError;
use crate::shell::time_zone;
use crate::sys::{clock, environment};

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
    let services: Vec<&str> = request.services.iter().map(|service| service.as_str()).collect();
    let seen = seen.map(|seen| Seen { services: &services, ..seen });
    let is_page = request.content == Content::Page;
    if let Some((place, _)) = found.filter(|_| is_page) {
        if write_page(body, place, seen.as_ref(), (request.last, &services), console)? {
            return Ok(Status::Content(Content::Page));
        }
        body.clear();
    }
    let Some(seen) = seen else {
        put(body, format_args!("tcpmon: cgi: {message}\n"));
        return Ok(Status::Unavailable);
    };
    if !has_all_services(&seen) {
        return Err(Refusal::Nobody);
    }
    if request.content == Content::Metrics {
        metrics::write(body, &seen);
    } else {
        json::write(body, &seen);
    }
    Ok(Status::Content(request.content))
}

/// Writes the page for a browser; without a ledger that can be read, it is about the daily files alone. Returns whether there
/// is either.
#[inline(never)]
fn write_page(
    body: &mut String,
    place: &Place,
    seen: Option<&Seen<'_>>,
    (last, services): (Nanos, &[&str]),
    console: &mut Console,
) -> Result<bool, Refusal> {
    let now = clock::wall();
    let (from, to) = view::until_now(last, now);
    // Never dropped: the process ends soon.
    let mut report = ManuallyDrop::new(Report::new(from, to, services, clock::local));
    let mut reader = LogFiles::new(&mut report, console);
    reader.add(place.log_dir.as_str());
    reader.read();
    let is_known = |service: &&str| report.services.iter().any(|known| known.name == **service);
    if !services.iter().all(is_known) && !seen.is_some_and(has_all_services) {
        return Err(Refusal::Nobody);
    }
    report.finish(Some(now.unix));
    page::write(&mut |piece| body.push_str(piece), &report, seen, now, clock::local);
    Ok(seen.is_some() || report.files > 0)
}

/// Whether each service that was asked for is that of a target.
#[inline(never)]
fn has_all_services(seen: &Seen<'_>) -> bool {
    let rows = seen.rows(true);
    seen.services.iter().all(|service| rows.iter().any(|(_, target)| target.service.as_str() == *service))
}
