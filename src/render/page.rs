//! A report as a page for a browser: one HTML document without script that needs nothing else. It begins with the present,
//! if that is known, and with one sentence on the period; then come a table of all services and a section for each. It is
//! written in pieces, so that a thousand services need no more memory than one.

mod graph;
mod html;
mod section;

use super::cells::put;
use super::overview::{self, Length};
use super::report::{Percent, unwatched};
use super::{Row, Seen};
use crate::base::calendar::LocalTime;
use crate::base::text::Count;
use crate::base::time::WallTime;
use crate::base::{order, words};
use crate::core::health::State;
use crate::core::report::{Report, Service};
use crate::model::outcome::Columns;
use graph::Slots;
use html::{begin_table, end_table, link, name, text};

/// What is shown.
struct View<'a> {
    report: &'a Report,
    present: Option<&'a Seen<'a>>,
    /// The targets of the present.
    rows: Vec<Row<'a>>,
    slots: Slots,
    local: LocalTime,
}

/// Writes the page, made at `now`, piece by piece.
#[inline(never)]
pub fn write(emit: &mut dyn FnMut(&str), report: &Report, present: Option<&Seen<'_>>, now: WallTime, local: LocalTime) {
    let rows = present.map_or(Vec::new(), |seen| seen.rows(false));
    let view = View { report, present, rows, slots: Slots::of(report), local };
    let mut out = String::from(HEAD);
    summarize(&mut out, &view, true);
    for part in ["</title><style>", STYLE, "</style>", BODY] {
        out.push_str(part);
    }
    if let Some(seen) = present {
        write_present(&mut out, &view, seen);
    }
    out.push_str("<p class=a>");
    summarize(&mut out, &view, false);
    out.push('\n');
    write_period(&mut out, &view, now);
    if let Some(seen) = present {
        write_states(&mut out, &view, seen);
    }
    let has_data =
        |service: &Service| service.columns.total + service.outages.count() + service.events.len() as u64 > 0;
    if report.services.iter().any(has_data) {
        write_services(&mut out, &view, emit);
        for number in 0..report.services.len() {
            section::write(&mut out, &view, number);
            emit(&out);
            out.clear();
        }
    }
    write_end(&mut out, &view);
    emit(&out);
}

/// Begins a page; its title follows.
const HEAD: &str = concat!(
    "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>\
    <meta name=viewport content=\"width=device-width,initial-scale=1\">\
    <meta http-equiv=Content-Security-Policy content=\"default-src 'none';style-src ",
    style_source!(),
    "\"><title>tcpmon: ",
);

/// The style. One letter is a mark (`g s f b d u`), a curve (`x y z`) or a part of the page.
const STYLE: &str = concat!(
    ":root{color-scheme:light dark;--t:#1a1f26;--p:#fff;--m:#59636e;--l:#d5dbe1;--k:#0b57c2;",
    "--g:#6dbd94;--s:#cfa300;--f:#e57a00;--b:#d6401c;--d:#a3003c;--y:#b5500a;--z:#7a7f87}",
    "@media(prefers-color-scheme:dark){:root{--t:#e3e7ec;--p:#12161b;--m:#9aa5b1;--l:#333b45;--k:#7db4ff;",
    "--g:#2f8a60;--s:#d8b021;--f:#ff9a3c;--b:#ff6d45;--d:#ff4d85;--y:#ffa657;--z:#99a1ab}}",
    "*{box-sizing:border-box}",
    "body{margin:0;font:15px/1.45 system-ui,sans-serif;color:var(--t);background:var(--p);overflow-wrap:anywhere}",
    "main{max-width:76rem;margin:auto;padding:.5rem 1rem 2rem}",
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.94em;overflow-wrap:break-word}",
    "h1{font-size:1rem;margin:.5rem 0}h2{font-size:1.25rem;margin:1.5rem 0 .4rem}",
    "section{border-top:1px solid var(--l);margin-top:2rem}:target h2{background:var(--l)}",
    "p{margin:.4rem 0}.a{font-size:1.35rem;line-height:1.3}h1,.m,thead th,summary,dd{color:var(--m)}",
    "a{color:var(--k)}b.d,p.d{color:var(--d)}",
    ".w{overflow-x:auto;margin:.5rem 0}",
    "caption{text-align:left;font-weight:600;padding:.2rem 0}",
    "th,td{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-top:1px solid var(--l)}",
    "thead th{border:0;font-weight:400;vertical-align:bottom}",
    "tbody th{font-weight:400;overflow-wrap:anywhere;min-width:7em}.d>th{font-weight:700}",
    ".j td,.j th{vertical-align:middle}.j td{text-align:right}.j th+th{text-align:right}.j td+td{min-width:10rem}.j td+td+td{min-width:0}",
    "svg{display:block;width:100%}svg svg{overflow:visible}.h{position:absolute;width:0;height:0}",
    ".t,.v{margin-left:3.4rem;width:calc(100% - 3.6rem);overflow:visible;height:50px}.v{height:172px;margin-top:.6rem}",
    ".j .t{margin:0;width:100%;height:20px}",
    "path{fill:none}line{stroke:var(--l)}text{font-size:11px;fill:var(--m);text-anchor:middle}.l{text-anchor:end}",
    "path.g{stroke:var(--g);stroke-width:5}path.s{stroke:var(--s);stroke-width:8}",
    "path.f{stroke:var(--f);stroke-width:13}path.b{stroke:var(--b);stroke-width:20}",
    "path.d{stroke:var(--d);stroke-width:30}",
    ".u,.x,.y,.z{vector-effect:non-scaling-stroke}path.u{stroke:var(--m);stroke-dasharray:2 3}",
    ".x,.y,.z{stroke-linecap:round}.x{stroke:var(--k);stroke-width:2}",
    ".y{stroke:var(--y);stroke-width:1.5;stroke-dasharray:5 4}.z{stroke:var(--z);stroke-dasharray:1 3}",
    "b.x{border-bottom:3px solid var(--k)}b.y{border-bottom:2px dashed var(--y)}",
    "b.z{border-bottom:2px dotted var(--z)}",
    ".c{display:flex;flex-wrap:wrap;gap:0 2rem}figure{flex:1 1 20rem;min-width:0;margin:.6rem 0}",
    ".e td:first-child,.o td:nth-child(-n+2),.q td:nth-child(-n+2),.n td:nth-child(4){min-width:7em}.n td:nth-child(2){min-width:9em}",
    ".i span{white-space:nowrap}",
    ".i svg{display:inline-block;width:12px;height:15px;margin:0 .3em 0 .8em}",
    "@media print,(max-width:50rem){text:nth-of-type(even):not(.l){display:none}}",
    "@media(min-width:50rem){.w{display:inline-block;vertical-align:top;max-width:calc(100% - 2rem);margin-right:2rem}",
    ".w:has(.j){display:block;max-width:none;margin-right:0}.j{width:100%}.j th:nth-child(3){width:45%}",
    ".e td,.o td,.n td,.q td{white-space:nowrap}.e td:nth-child(3),.o td:nth-child(4){white-space:normal}}",
    "@media print{@page{size:A4;margin:12mm}body{font-size:8pt}main{padding:0;max-width:none}.w{display:block;overflow:visible}",
    ".j{width:100%}.j th:nth-child(3){width:35%}section,tr,figure{break-inside:avoid}h2{break-after:avoid}}",
);

/// What is behind the style.
const BODY: &str = "</head><body><main><h1>tcpmon report</h1>\n";

/// What the words mean, and the end of the page.
const WORDS: &str = "<h2>What the words mean</h2><dl>\
    <dt>probe<dd>A lookup of the name, then a connect. One that never ran is neither up nor down.\
    <dt>available<dd>The part of all probes that connected, rounded down: 100 % only if none failed.\
    <dt>outage<dd>From the first failed probe to the first good one, to the second, where the log of events has it. \
    Else, with a ~, the intervals of the log in which no probe connected.\
    <dt>nobody watched<dd>No monitor was there to probe: neither up nor down.\
    <dt>p50, p95<dd>Half of the times, and 95 % of them, are at most as long: the mean over intervals. \
    The max is the longest of all.</dl>\n</main></body></html>\n";

/// Writes the sentence that sums the period up. A title has no markup.
fn summarize(out: &mut String, view: &View<'_>, is_title: bool) {
    let Report { services, all, .. } = view.report;
    let (mut with, mut worst) = (0, 0);
    for (at, service) in services.iter().enumerate() {
        with += u64::from(service.outages.count() > 0);
        if service.outages.seconds > services[worst].outages.seconds {
            worst = at;
        }
    }
    let (count, failed) = (services.len(), all.failed());
    let Some(service) = services.get(worst).filter(|_| all.total > 0) else {
        return write_nothing(out, view);
    };
    match (with, count) {
        (0, 2..) => {
            return put(
                out,
                format_args!(
                    "None of {count} services had an outage: {failed} of {} failed.",
                    Count(all.total, "probe")
                ),
            );
        }
        (0 | 1, ..2) => {}
        _ => {
            let outages = if with == 1 { "an outage" } else { "outages" };
            put(out, format_args!("{with} of {count} services had {outages}: "));
        }
    }
    let write_name = if is_title { text } else { name };
    write_name(out, &service.name);
    match service.outages.count() {
        0 => out.push_str(" had no outage and was "),
        1 => out.push_str(" was down once for "),
        times => put(out, format_args!(" was down {times} times for ")),
    }
    if with > 0 {
        put(out, format_args!("{}, ", Length(service.outages.seconds as i64)));
    }
    put(out, format_args!("{} % available.", available(service)));
}

/// Writes why there is nothing to show.
fn write_nothing(out: &mut String, view: &View<'_>) {
    let Report { from, to, files, .. } = *view.report;
    out.push_str("No data: no row");
    for (word, moment) in [(" from ", from), (" to ", to)] {
        if let Some(moment) = moment {
            put(out, format_args!("{word}{}", (view.local)(moment)));
        }
    }
    put(out, format_args!(" in {}.", Count(files, "file")));
}

fn available(service: &Service) -> Percent {
    Percent(service.columns.connected(), service.columns.total)
}

/// Writes how many targets are down at present, what the run does, and what keeps it from its work.
fn write_present(out: &mut String, view: &View<'_>, seen: &Seen<'_>) {
    let mut lines = String::new();
    overview::write_head(&mut lines, seen, usize::MAX);
    let class = if lines.starts_with("all ") { "a" } else { "\"a d\"" };
    if seen.life.is_current() {
        overview::write_trouble(&mut lines, seen, &view.rows);
    }
    // Otherwise it begins with `Not running`, or is about the last time.
    let now = if seen.life.is_current() { "Now: " } else { "" };
    put(out, format_args!("<p class={class}>{now}"));
    let mut rest = lines.as_str();
    while let Some((line, behind)) = words::split_once(rest, b'\n') {
        text(out, line);
        rest = behind;
        out.push_str(if rest.is_empty() { "\n" } else { "<br>" });
    }
}

/// Writes a moment with the offset of the time zone.
fn write_moment(out: &mut String, wall: WallTime) {
    let moment = wall.moment_of_second();
    put(out, format_args!("{wall} UTC{}", words::utf8(&moment[23..]).unwrap_or_default()));
}

fn write_period(out: &mut String, view: &View<'_>, now: WallTime) {
    out.push_str("<p class=m>");
    for (word, moment) in &[("From ", view.report.from), (" to ", view.report.to), (". Made at ", Some(now.unix))] {
        if let Some(moment) = moment {
            out.push_str(word);
            write_moment(out, (view.local)(*moment));
        }
    }
    put(out, format_args!(" by tcpmon {}.\n", env!("CARGO_PKG_VERSION")));
}

/// Writes the state of each target: first those that are not up.
fn write_states(out: &mut String, view: &View<'_>, seen: &Seen<'_>) {
    let [unknown, up, down] = seen.states();
    out.push_str("<h2>Now</h2>\n");
    for (is_up, number, caption) in [(false, unknown + down, "Not up"), (true, up, "Up")] {
        if number == 0 {
            continue;
        }
        if is_up {
            put(out, format_args!("<details><summary>{number} up</summary>"));
        }
        begin_table(out, "n", caption, "Service|Last failure|State|Since|For|Target");
        for row @ (record, target) in &view.rows {
            if (record.state().0 == State::Up) != is_up {
                continue;
            }
            out.push_str("<tr><td>");
            let service = target.service.as_str();
            if view.report.services.iter().any(|known| known.name == service) {
                link(out, service);
            } else {
                name(out, service);
            }
            out.push_str("<td>");
            overview::write_last_failure(out, record, seen.now.unix);
            out.push_str("<td>");
            section::write_state(out, seen, row, ["<td>", "<td>"]);
            out.push_str("<td>");
            text(out, &section::endpoint(target));
        }
        end_table(out);
        out.push_str(if is_up { "</details>" } else { "" });
    }
}

/// Writes the table of all services, the least available one first.
fn write_services(out: &mut String, view: &View<'_>, emit: &mut dyn FnMut(&str)) {
    let Report { services, all, .. } = view.report;
    graph::define(out, &view.slots, view.local);
    out.push_str("<h2>Services</h2>\n<p class=i>Each bar is the worst of ");
    put(out, format_args!("{}:", Length(view.slots.width())));
    graph::legend(out);
    begin_table(
        out,
        "j",
        "The least available first",
        "Service|Available %|<svg class=t role=img><title>When</title><use href=\"#:t\" y=\"-148\"/></svg>|Outages|Down for|Failed|Slow %|Probes|Unwatched",
    );
    let order = order::by_number(services.len(), &|at| {
        let Service { columns, .. } = &services[at];
        (columns.connected() * 1_000_000).checked_div(columns.total).map_or(i64::MAX, |part| part as i64)
    });
    let mut sums = [0; 2];
    for (_, number) in order {
        let service = &services[number as usize];
        let (outages, seconds) = (service.outages.count(), service.outages.seconds);
        sums = [sums[0] + outages, sums[1] + seconds];
        out.push_str(if outages > 0 { "<tr class=d><th scope=row>" } else { "<tr><th scope=row>" });
        link(out, &service.name);
        put(out, format_args!("<td>{}<td>", available(service)));
        graph::define_strip(out, service, number as usize, &view.slots);
        write_numbers(out, [outages, seconds], &service.columns, unwatched(service));
        emit(out);
        out.clear();
    }
    if services.len() > 1 {
        put(out, format_args!("<tbody><tr><th scope=row>All<td>{}<td>", Percent(all.connected(), all.total)));
        write_numbers(out, sums, all, 0);
    }
    end_table(out);
}

/// Writes the other cells of a row of that table.
fn write_numbers(out: &mut String, [outages, seconds]: [u64; 2], columns: &Columns, unwatched: u64) {
    let length = |seconds: u64| Length(if seconds == 0 { -1 } else { seconds as i64 });
    let slow = Percent(columns.conn_slow, columns.total);
    let (failed, total) = (columns.failed(), columns.total);
    put(
        out,
        format_args!(
            "<td>{outages}<td>{}<td>{failed}<td>{slow}<td>{total}<td>{}\n",
            length(seconds),
            length(unwatched)
        ),
    );
}

/// Writes the monitor's own events, the damaged lines, and what the words mean.
fn write_end(out: &mut String, view: &View<'_>) {
    let Report { damaged, named, events, .. } = view.report;
    if !events.is_empty() {
        out.push_str("<h2>The monitor</h2>\n");
        section::write_events(out, view, events, false);
    }
    if *damaged > 0 {
        out.push_str("<h2>Damaged lines</h2>\n<p>");
        put(out, format_args!("{} could not be read and counted nowhere", Count(*damaged, "line")));
        let mut before = ": ";
        for line in named {
            out.push_str(before);
            name(out, line);
            before = ", ";
        }
        out.push_str(if *damaged > named.len() as u64 { " and more.\n" } else { ".\n" });
    }
    out.push_str(WORDS);
}

#[cfg(test)]
mod tests;
