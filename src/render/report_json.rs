//! The content of `tcpmon report -j`: one line of JSON (RFC 8259).

use super::cells::put;
use super::json::{NONE, Quoted, fill, write_counts};
use super::report::unwatched;
use crate::base::time::Nanos;
use crate::core::report::{Latency, Outage, Report, Service, Span};
use crate::model::cause::{Cause, Phase};
use crate::model::outcome::Columns;

/// Writes the line, with its newline.
#[inline(never)]
pub fn write(out: &mut String, report: &Report) {
    put(out, format_args!("{{\"version\":{},", Quoted(&env!("CARGO_PKG_VERSION"))));
    let moment = |unix: Option<i64>| unix.map_or(NONE, at);
    fill(out, "\"from\":#,\"to\":#,\"all\":{", &|i| moment(if i == 0 { report.from } else { report.to }));
    let mut unwatched_seconds = 0;
    report.services.iter().for_each(|service| unwatched_seconds += unwatched(service));
    write_sums(out, &report.all, unwatched_seconds);
    out.push_str("},\"services\":[");
    write_list(out, &report.services, &mut |out, service| write_service(out, report, service));
    fill(out, "],\"damaged\":#,\"damaged_lines\":[", &|_| report.damaged);
    write_list(out, &report.named, &mut |out, name| put(out, format_args!("{}", Quoted(name))));
    out.push_str("]}\n");
}

/// A moment; one before 1970 is 0.
fn at(unix: i64) -> u64 {
    unix.max(0) as u64
}

/// Writes each item, with commas between.
fn write_list<T>(out: &mut String, items: &[T], write: &mut dyn FnMut(&mut String, &T)) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, item);
    }
}

/// Writes counts, and what is made of them.
#[inline(never)]
fn write_sums(out: &mut String, columns: &Columns, unwatched: u64) {
    let Columns { conn_slow, conn_failed, dns_slow, dns_fail, total, .. } = *columns;
    let connected = columns.connected();
    let numbers = [total, connected, conn_slow, conn_failed, dns_slow, dns_fail, unwatched];
    fill(
        out,
        "\"total\":#,\"connected\":#,\"slow\":#,\"conn_failed\":#,\"dns_slow\":#,\"dns_fail\":#,\"unwatched_seconds\":#,\
         \"availability\":",
        &|i| numbers[i],
    );
    // Rounded down: 1 only if every probe has connected.
    match (connected * 1_000_000).checked_div(total) {
        Some(millionths) => put(out, format_args!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)),
        None => out.push_str("null"),
    }
}

#[inline(never)]
fn write_service(out: &mut String, report: &Report, service: &Service) {
    put(out, format_args!("{{\"service\":{},", Quoted(&service.name)));
    write_sums(out, &service.columns, unwatched(service));
    out.push_str(",\"unwatched\":[");
    write_list(out, &service.unwatched, &mut |out, span: &Span| {
        fill(out, "{\"begin\":#,\"end\":#}", &|i| at([span.begin, span.end][i]));
    });
    out.push_str("],\"outages\":[");
    write_list(out, &service.outages.list, &mut write_outage);
    let Service { outages, resent, skipped, .. } = service;
    let numbers = [outages.count(), outages.seconds, *resent, *skipped];
    fill(out, "],\"outages_total\":#,\"down_seconds\":#,\"syns_resent\":#,\"skipped\":#,\"worst\":", &|i| numbers[i]);
    match &service.worst {
        Some(worst) => {
            let (begin, end) = worst.span;
            fill(out, "{\"begin\":#,\"end\":#", &|i| at([begin, end][i]));
            write_counts(out, ",\"counts\":", &worst.columns);
            out.push('}');
        }
        None => out.push_str("null"),
    }
    write_causes(out, service);
    write_phases(out, &service.phases);
    out.push_str(",\"times\":[");
    let mut comma = "";
    for (number, slot) in service.slots.iter().enumerate() {
        if slot.phases.iter().any(|phase| phase.times().is_some()) {
            let begin = report.axis.base + number as i64 * report.axis.width;
            out.push_str(core::mem::replace(&mut comma, ","));
            fill(out, "{\"begin\":#,\"end\":#", &|i| at(begin + i as i64 * report.axis.width));
            write_phases(out, &slot.phases);
            out.push('}');
        }
    }
    out.push_str("]}");
}

fn write_outage(out: &mut String, outage: &Outage) {
    let end = outage.end.map_or(NONE, at);
    let numbers = [at(outage.begin), end, outage.seconds, outage.unwatched, outage.exact.into(), outage.common.into()];
    let keys = "{\"begin\":#,\"end\":#,\"seconds\":#,\"unwatched_seconds\":#,\"exact\":?,\"common\":?";
    fill(out, keys, &|i| numbers[i]);
    put(out, format_args!(",\"reason\":{},\"target\":{}}}", Quoted(&outage.reason), Quoted(&outage.endpoint)));
}

/// Writes the failures with their phases and reasons, and the causes of slowness.
#[inline(never)]
fn write_causes(out: &mut String, service: &Service) {
    out.push_str(",\"reasons\":[");
    let mut comma = "";
    for (cause, count) in Cause::ALL.iter().zip(service.causes) {
        if let (Some((phase, reason)), 1..) = (cause.failure(), count) {
            let phase = if phase == Phase::Lookup { "lookup" } else { "connect" };
            let token = reason.token();
            let comma = core::mem::replace(&mut comma, ",");
            put(out, format_args!("{comma}{{\"phase\":\"{phase}\",\"reason\":\"{token}\",\"count\":{count}}}"));
        }
    }
    let slow = [Cause::SlowByResentSyns, Cause::SlowPath, Cause::SlowLookup, Cause::Silent];
    fill(out, "],\"slow_by_resent_syns\":#,\"slow_path\":#,\"slow_lookup\":#,\"silent\":#", &|i| {
        service.causes[slow[i].index()].into()
    });
}

/// Writes the times of lookups and connects.
#[inline(never)]
fn write_phases(out: &mut String, phases: &[Latency; 2]) {
    for (key, phase) in [",\"dns\":", ",\"connect\":"].into_iter().zip(phases) {
        out.push_str(key);
        match phase.times() {
            Some(times) => fill(out, "{\"p50_ms\":%,\"p95_ms\":%,\"max_ms\":%}", &|i| times.map(Nanos::get)[i]),
            None => out.push_str("null"),
        }
    }
}
