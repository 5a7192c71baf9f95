//! What a page says of one service.

use super::html::{Escaped, anchor, name, table};
use super::{View, graph};
use crate::base::text::{Count, Pieces};
use crate::base::words;
use crate::core::health::State;
use crate::core::report::{Service, Shown};
use crate::model::target::Target;
use crate::render::cells::put;
use crate::render::overview::Length;
use crate::render::report::{Percent, Seconds};
use crate::render::{Row, Seen, times};

/// How many outages, and how many times without a watch, are listed: the longest ones.
const LISTED: usize = 20;

/// Writes the section of a service.
#[inline(never)]
pub fn write(out: &mut String, view: &View<'_>, number: usize) {
    let service = &view.report.services[number];
    out.push_str("<section id=\"");
    anchor(out, &service.name);
    out.push_str("\"><h2>");
    name(out, &service.name);
    out.push_str("</h2>\n");
    if let Some(seen) = view.present {
        for row in view.rows.iter().filter(|row| row.1.service.as_str() == service.name) {
            out.push_str("<p>Now ");
            write_state(out, seen, row, [" since ", ", for "]);
            out.push_str(": ");
            name(out, &endpoint(&row.1));
        }
    }
    write_counts(out, view, service);
    write_reasons(out, service);
    graph::strip(out, service, number, &view.slots);
    graph::curves(out, service, &view.slots);
    write_outages(out, view, service);
    write_events(out, view, &service.events, true);
    write_unwatched(out, view, service);
    out.push_str("</section>\n");
}

/// Host and port of a target.
#[inline(never)] // Called from two paths.
pub fn endpoint(target: &Target) -> String {
    let mut endpoint = String::new();
    put(&mut endpoint, format_args!("{}", target.endpoint()));
    endpoint
}

/// Writes the state of a target; if it is known, behind the two texts since when it has it, and for how long.
#[inline(never)] // Called from two paths.
pub fn write_state(out: &mut String, seen: &Seen<'_>, (record, _): &Row<'_>, between: [&str; 2]) {
    let (state, since) = record.state();
    let class = ["u", "n", "d"][state as usize];
    put(out, format_args!("<b class={class}>{}</b>{}", seen.word(state), between[0]));
    if state != State::Unknown {
        let age = Length((seen.now.unix - since).max(0));
        put(out, format_args!("{}{}{age}", (seen.local)(since), between[1]));
    } else {
        put(out, format_args!("-{}-", between[1]));
    }
}

/// Writes how many probes there were, and what became of them.
fn write_counts(out: &mut String, view: &View<'_>, service: &Service) {
    let columns = &service.columns;
    let (connected, total) = (columns.connected(), columns.total);
    let part = Percent(connected, total);
    put(out, format_args!("<p><b>{part} % available</b>: {connected} of {} connected", Count(total, "probe")));
    for (number, meaning) in [
        (columns.conn_slow, "slowly"),
        (columns.conn_failed, "connects failed"),
        (columns.dns_fail, "lookups failed"),
        (columns.dns_slow, "lookups were slow"),
        (service.resent, "SYNs were sent again"),
        (service.skipped, "ticks were skipped"),
    ] {
        if number > 0 {
            put(out, format_args!(", {number} {meaning}"));
        }
    }
    out.push('.');
    if let Some(worst) = &service.worst {
        let [from, to] = [worst.span.0, worst.span.1].map(view.local);
        let (failed, total) = (worst.columns.failed(), worst.columns.total);
        put(out, format_args!(" Worst interval: {failed} of {total} failed from {from} to {to}."));
    }
    out.push('\n');
}

/// Writes the causes with their counts.
fn write_reasons(out: &mut String, service: &Service) {
    if service.causes.iter().any(|count| *count > 0) {
        out.push_str("<p>Reasons: ");
        // A String takes everything.
        let _ = times::write_causes(&mut Escaped(out), &service.causes, Some(&service.silent));
        out.push_str(".\n");
    }
}

/// Whether this one of so many lengths is among the longest, of which so many are listed as [`LISTED`] says.
fn is_listed(at: usize, count: usize, length: &dyn Fn(usize) -> u64) -> bool {
    let is_longer = |other: &usize| length(*other) > length(at) || (length(*other) == length(at) && *other < at);
    count <= LISTED || (0..count).filter(is_longer).count() < LISTED
}

/// The caption of a list of which only the longest are shown.
fn caption(what: &str, count: u64) -> String {
    let mut caption = String::from(what);
    if count > LISTED as u64 {
        put(&mut caption, format_args!(": the {LISTED} longest of {count}"));
    }
    caption
}

fn write_outages(out: &mut String, view: &View<'_>, service: &Service) {
    let list = &service.outages.list;
    let mut cells = String::new();
    for (at, outage) in list.iter().enumerate() {
        if !is_listed(at, list.len(), &|at| list[at].seconds) {
            continue;
        }
        put(&mut cells, format_args!("{}\n", (view.local)(outage.begin)));
        match outage.end {
            Some(end) => put(&mut cells, format_args!("{}", (view.local)(end))),
            None => cells.push_str("still down"),
        }
        let rough = if outage.exact { "" } else { "~" };
        let common = if outage.common { "; most services were down" } else { "" };
        let length = Seconds(outage.seconds);
        put(&mut cells, format_args!("\n{rough}{length}\n{}{common}", outage.reason));
        if outage.unwatched > 0 {
            put(&mut cells, format_args!("; nobody watched for {} of it", Seconds(outage.unwatched)));
        }
        put(&mut cells, format_args!("\n{}\n", outage.endpoint));
    }
    let caption = caption("Outages", service.outages.count());
    table(out, "o", &caption, "Down from|Until|For|Why|Target", &cells);
}

/// Writes the newest events. The text of each has its parts between bars: its kind, perhaps its target, and what it says.
pub fn write_events(out: &mut String, view: &View<'_>, events: &[Shown], has_target: bool) {
    let mut cells = String::new();
    for event in events {
        let part = |text| words::split_once(text, b'|').unwrap_or((text, ""));
        let (kind, rest) = part(&event.text);
        let (target, text) = if has_target { part(rest) } else { ("", rest) };
        let parts = [words::trim(kind), "\n", words::trim(text), "\n"];
        put(&mut cells, format_args!("{}\n{}", (view.local)(event.at), Pieces(&parts)));
        if has_target {
            put(&mut cells, format_args!("{}\n", words::trim(target)));
        }
    }
    table(out, "e", "Newest events", if has_target { "Time|Event|Text|Target" } else { "Time|Event|Text" }, &cells);
}

fn write_unwatched(out: &mut String, view: &View<'_>, service: &Service) {
    let list = &service.unwatched;
    let mut cells = String::new();
    for (at, span) in list.iter().enumerate() {
        if is_listed(at, list.len(), &|at| list[at].seconds()) {
            let [begin, end] = [span.begin, span.end].map(view.local);
            put(&mut cells, format_args!("{begin}\n{end}\n{}\n", Length(span.seconds() as i64)));
        }
    }
    table(out, "q", &caption("Nobody watched", list.len() as u64), "From|Until|For", &cells);
}
