//! Pages of small reports. Browsers are asked by `make pagetest`.

use super::*;
use crate::base::text::Pieces;
use crate::core::ledger::{Ledger, Memory};
use crate::model::target::Target;
use crate::render::Life;

const BEGIN: i64 = 1_760_018_400;

/// Central European summer time, which ends after the test's days.
fn berlin(unix: i64) -> WallTime {
    WallTime { unix, nanos: 0, offset: if unix < 1_761_440_400 { 7200 } else { 3600 } }
}

/// Rows of five minutes of a service from [`BEGIN`] on: of each how many of 150 probes failed, and the p50 of its connects.
fn rows(name: &str, rows: &[(u64, Option<u32>)]) -> String {
    let mut text = String::new();
    for (at, (failed, time)) in rows.iter().enumerate() {
        let (stamp, good) = (berlin(BEGIN + 300 * (at as i64 + 1)), 150 - failed);
        put(&mut text, format_args!("{stamp} | {name} | {good} | 0 | 150 | 0 | 0 | {failed} | 150\n"));
        if let Some(time) = time {
            let why = if *failed > 0 { Pieces(&["connect refused 7"]) } else { Pieces(&["-"]) };
            put(
                &mut text,
                format_args!("{stamp} | {name} | h:1 | - | - | - | {time}.0 | {time}.0 | {time}.0 | 0 | 0 | {why}\n"),
            );
        }
    }
    text
}

fn report(text: &str, from: Option<i64>, to: Option<i64>) -> Report {
    let mut report = Report::new(from, to, &[], berlin);
    report.begin_file("tcp_stats_20251009.log");
    report.read(text.as_bytes(), false);
    report.finish(None);
    report
}

fn page(report: &Report, present: Option<&Seen<'_>>) -> String {
    let mut page = String::new();
    write(&mut |piece| page.push_str(piece), report, present, berlin(BEGIN + 7200), berlin);
    page
}

/// The part of a page from one text on to the next other one.
fn part<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let begin = page.find(from).unwrap_or_else(|| panic!("{from} is not in {page}"));
    let end = page[begin + from.len()..].find(to).unwrap_or_else(|| panic!("no {to} behind {from} in {page}"));
    &page[begin + from.len()..begin + from.len() + end]
}

const HOUR: [(u64, Option<u32>); 12] = [
    (0, Some(10)),
    (0, Some(10)),
    (0, Some(100)),
    (150, None),
    (150, None),
    (3, Some(1)),
    (30, Some(1)),
    (0, None),
    (0, Some(9000)),
    (0, Some(20)),
    (0, Some(10)),
    (0, Some(10)),
];

#[test]
fn a_browser_is_allowed_the_style_of_the_page_and_no_other() {
    use base64::prelude::{BASE64_STANDARD, Engine};
    use sha2::{Digest, Sha256};
    let page = page(&report("", None, None), None);
    let style = part(&page, "<style>", "</style>");
    assert_eq!(style_source!(), format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(style))));
    assert!(page.contains(concat!("style-src ", style_source!(), "\"")), "{page}");
    assert!(!page.contains(" style="), "{page}");
}

#[test]
fn a_strip_has_a_bar_for_all_slots_in_a_row_with_the_same_mark() {
    let report = report(&rows("web", &HOUR), Some(BEGIN), Some(BEGIN + 3900));
    let page = page(&report, None);
    assert_eq!(
        part(&page, "<svg aria-hidden=true viewBox=\"0 0 65 30\" preserveAspectRatio=none height=30>", "</g>"),
        "<g id=\":0\"><path class=g d=\"M0 27.5h15M35 27.5h25\"/><path class=f d=\"M25 23.5h5\"/>\
         <path class=b d=\"M30 20h5\"/><path class=d d=\"M15 15h10\"/><path class=u d=\"M60 20h5\"/>"
    );
    assert_eq!(
        part(part(&page, "<section", "</section>"), "<svg class=t role=img><title>", "</svg>\n"),
        "65 intervals of 1m: 40 all fast, 5 up to 10 % failed, 5 more failed, 10 all failed, 5 nobody watched</title>\
         <svg viewBox=\"0 0 65 30\" preserveAspectRatio=none height=30><use href=\"#:0\"/></svg><use href=\"#:t\" y=\"-120\"/>"
    );
    assert!(page.contains("Each bar is the worst of 1m:"), "{page}");
}

#[test]
fn a_curve_has_a_gap_where_nothing_was_measured_and_no_point_between_equal_ones() {
    let report = report(&rows("web", &HOUR), Some(BEGIN), Some(BEGIN + 3601));
    let page = page(&report, None);
    let figure = part(&page, "<figure>", "</figure>");
    let curve = "M0 90l9 0 1-30 4 0M25 120l9 0M40 1l4 0 1 80 4 0 1 9 9 0";
    assert_eq!(
        figure,
        format!(
            "<figcaption>Connect: <b class=x>p50</b> 1018.0 ms <b class=y>p95</b> 1018.0 ms <b class=z>max</b> 9000.0 ms\
             </figcaption><svg class=v role=img><title>Connect times, p50 1018.0 ms, p95 1018.0 ms, max 9000.0 ms</title>\
             <use href=\"#:v\"/><svg viewBox=\"-.5 0 60 150\" preserveAspectRatio=none height=150><path class=z d=\"{curve}\"/>\
             <path class=y d=\"{curve}\"/><path class=x d=\"{curve}\"/></svg></svg>"
        )
    );
    assert!(!page.contains("Lookup:"), "a literal has no lookups: {page}");
}

#[test]
fn one_point_alone_is_a_dot() {
    let report = report(&rows("web", &HOUR[..1]), Some(BEGIN), Some(BEGIN + 86_400));
    assert!(page(&report, None).contains("<path class=x d=\"M0 90h0\"/>"));
}

#[test]
fn the_axis_of_time_has_the_hours_of_the_local_clock_and_the_date_at_midnight() {
    let labels = |begin: i64, hours: i64| {
        let report = report(&rows("web", &HOUR), Some(begin), Some(begin + hours * 3600));
        let mut group = String::new();
        graph::define(&mut group, &Slots::of(&report), berlin);
        let texts = group.split("<text x=\"").skip(1).map(|text| {
            let (x, rest) = text.split_once("%\" y=\"166\">").unwrap();
            format!("{x} {}", rest.split_once('<').unwrap().0)
        });
        texts.collect::<Vec<_>>()
    };
    // 16:00 in Berlin.
    assert_eq!(labels(BEGIN, 1), ["16.6 16:10", "33.3 16:20", "50.0 16:30", "66.6 16:40", "83.3 16:50"]);
    assert_eq!(labels(BEGIN, 24), ["16.6 20:00", "33.3 10-10", "50.0 04:00", "66.6 08:00", "83.3 12:00"]);
    assert_eq!(labels(BEGIN, 24 * 365 / 12).len(), 4);
    // Summer time ends in the night to 2025-10-26: these twelve hours have thirteen.
    assert_eq!(labels(1_761_415_200, 13), ["15.3 22:00", "30.6 10-26", "45.9 02:00", "68.8 04:00", "84.1 06:00"]);
    for hours in [1, 2, 3, 5, 24, 25, 100, 1000, 10_000, 80_000] {
        let count = labels(BEGIN, hours).len();
        assert!((2..=7).contains(&count), "{count} in {hours} h");
    }
}

#[test]
fn the_sentence_names_the_service_that_was_down_the_longest() {
    let good = [(0, None); 12];
    let sentence = |text: &str, services: usize| {
        let report = report(text, Some(BEGIN), Some(BEGIN + 3601));
        assert_eq!(report.services.len(), services);
        let page = page(&report, None);
        assert_eq!(page.matches("<section id=").count(), services);
        assert_eq!(
            part(&page, "<title>", "</title>"),
            "tcpmon: ".to_string() + &part(&page, "<p class=a>", "\n").replace("<bdi>", "").replace("</bdi>", "")
        );
        part(&page, "<p class=a>", "\n").to_string()
    };
    let one = rows("web", &HOUR);
    assert_eq!(sentence(&one, 1), "<bdi>web</bdi> was down once for 10m, 81.500 % available.");
    assert_eq!(sentence(&rows("<b>", &good), 1), "<bdi>&lt;b&gt;</bdi> had no outage and was 100.000 % available.");
    let two = one.clone() + &rows("db", &good);
    assert_eq!(
        sentence(&two, 2),
        "1 of 2 services had an outage: <bdi>web</bdi> was down once for 10m, 81.500 % available."
    );
    let none = rows("a", &good) + &rows("b", &[(1, None); 12]);
    assert_eq!(sentence(&none, 2), "None of 2 services had an outage: 12 of 3600 probes failed.");
    let bad = (150, None);
    let three = rows("a", &[good[0], bad, good[0], bad, good[0], bad, good[0], good[0]]) + &two;
    assert_eq!(
        sentence(&three, 3),
        "2 of 3 services had outages: <bdi>a</bdi> was down 3 times for 15m, 62.500 % available."
    );
}

#[test]
fn without_a_row_the_page_says_so_and_has_no_empty_table() {
    let page_of = |from, to| page(&report("", from, to), None);
    let page = page_of(Some(BEGIN), Some(BEGIN + 3601));
    assert_eq!(
        part(&page, "<p class=a>", "\n"),
        "No data: no row from 2025-10-09 16:00:00 to 2025-10-09 17:00:01 in 1 file."
    );
    assert!(!page.contains("<table") && !page.contains("<svg"), "{page}");
    assert_eq!(part(&page_of(None, None), "<p class=a>", "\n"), "No data: no row in 1 file.");
    let later = part(&page_of(Some(BEGIN), None), "<p class=a>", "\n").to_string();
    assert_eq!(later, "No data: no row from 2025-10-09 16:00:00 in 1 file.");
    assert!(page_of(None, Some(BEGIN)).contains("No data: no row to 2025-10-09 16:00:00 in 1 file."));
}

#[test]
fn the_period_has_the_offset_of_either_end() {
    let page = page(&report("", Some(BEGIN), Some(1_761_440_400)), None);
    assert_eq!(
        part(&page, "<p class=m>", "\n"),
        format!(
            "From 2025-10-09 16:00:00 UTC+02:00 to 2025-10-26 02:00:00 UTC+01:00. Made at 2025-10-09 18:00:00 UTC+02:00 by tcpmon {}.",
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn a_section_tells_the_outages_the_reasons_and_the_worst_interval() {
    let mut text = rows("web", &HOUR) + &rows("db", &HOUR);
    text.push_str("2025-10-09T16:15:10+02:00 | down | web | h:1 | connect refused by 192.0.2.7, since 2025-10-09T16:15:04+02:00, 3 failed\n");
    text.push_str("2025-10-09T16:25:02+02:00 | up | web | h:1 | connected to 192.0.2.7 in 1.1 ms, down for 596 s since 2025-10-09T16:15:04+02:00, 298 failed\n");
    text.push_str("2025-10-09T16:20:00+02:00 | up | db | h:2 | connected to 192.0.2.7 in 1.1 ms, down for 9 s since 2025-10-09T16:19:00+02:00, 5 failed\n");
    text.push_str("2025-10-09T16:59:00+02:00 | start | - | - | tcpmon 0.2.0, 2 targets\nbroken\n");
    let page = page(&report(&text, Some(BEGIN), Some(BEGIN + 3601)), None);
    let section = part(&page, "<section id=\"web\">", "</section>");
    assert_eq!(
        part(section, "<h2><bdi>web</bdi></h2>\n", "<svg"),
        "<p><b>81.500 % available</b>: 1467 of 1800 probes connected, 333 connects failed. \
         Worst interval: 150 of 150 failed from 2025-10-09 16:15:00 to 2025-10-09 16:20:00.\n\
         <p>Reasons: connect refused 14.\n"
    );
    assert_eq!(
        part(section, "<caption>Outages</caption>", "</table>"),
        "<thead><tr><th scope=col>Down from<th scope=col>Until<th scope=col>For<th scope=col>Why<th scope=col>Target\
         <tbody><tr><td>2025-10-09 16:15:04<td>2025-10-09 16:25:00<td>9m56s<td>connect refused by 192.0.2.7<td>h:1"
    );
    assert!(
        part(section, "<caption>Newest events</caption>", "</table>")
            .contains("<td>2025-10-09 16:15:10<td>down<td>connect refused by")
    );
    assert!(
        part(&page, "<h2>The monitor</h2>", "</table>")
            .contains("<td>2025-10-09 16:59:00<td>start<td>tcpmon 0.2.0, 2 targets")
    );
    assert_eq!(
        part(&page, "<h2>Damaged lines</h2>\n<p>", "\n"),
        "1 line could not be read and counted nowhere: <bdi>tcp_stats_20251009.log:47</bdi>."
    );
}

#[test]
fn only_the_longest_outages_are_listed_and_the_others_are_counted() {
    let mut text = rows("web", &HOUR);
    for at in 0..40 {
        let (found, since) = (berlin(BEGIN + at * 60 + 30), berlin(BEGIN + at * 60).as_moment());
        put(
            &mut text,
            format_args!(
                "{} | up | web | h:1 | connected to 192.0.2.7 in 1.1 ms, down for {} s since {since}, 9 failed\n",
                found.as_moment(),
                at + 1
            ),
        );
    }
    let page = page(&report(&text, Some(BEGIN), Some(BEGIN + 3601)), None);
    let table = part(&page, "<caption>Outages: the 20 longest of 40</caption>", "</table>");
    assert_eq!(table.matches("<tr><td>").count(), 20);
    assert!(table.contains("<td>21s<td>") && !table.contains("<td>20s<td>"), "{table}");
}

#[test]
fn names_that_are_markup_stay_text_and_their_anchors_lead_to_them() {
    let names = ["<script>alert(1)</script>", "a b", "a%20b", "\"><img src=x>", "\u{202e}x", ":t", "'", "名"];
    let text: String = names.iter().map(|name| rows(name, &HOUR)).collect();
    let page = page(&report(&text, Some(BEGIN), Some(BEGIN + 3601)), None);
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'), "{page}");
    let ids: Vec<&str> = page.split(" id=\"").skip(1).map(|rest| rest.split_once('"').unwrap().0).collect();
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id) && !id.contains(' '), "{id}");
    }
    let links: Vec<&str> = page.split("href=\"#").skip(1).map(|rest| rest.split_once('"').unwrap().0).collect();
    assert!(links.len() >= names.len() && links.iter().all(|link| ids.contains(link)), "{links:?} {ids:?}");
}

#[test]
fn the_present_comes_first() {
    let local = berlin(BEGIN);
    let ledger = Ledger::create(Memory::own(2), 2, local);
    ledger.begin_run(crate::model::process_id::ProcessId { pid: 4711, born: 1 }, "", local);
    ledger.set_due(berlin(BEGIN + 7500));
    for (at, (name, state)) in [("web", State::Up), ("db", State::Down)].into_iter().enumerate() {
        let record = ledger.record(at);
        record.install(&Target::new(name, "192.0.2.7", 443).unwrap());
        record.set_order(at + 1);
        record.set_health(&crate::core::health::Health {
            state,
            since: BEGIN + 3600,
            ..crate::core::health::Health::NEW
        });
    }
    let (life, describe) = (Life::Running(4711), |_| "");
    let seen = Seen { ledger: &ledger, life, services: &[], now: berlin(BEGIN + 7200), local: berlin, describe };
    let report = report(&rows("web", &HOUR), Some(BEGIN), Some(BEGIN + 3601));
    let page = page(&report, Some(&seen));
    assert_eq!(
        part(&page, "<h1>tcpmon report</h1>\n", "<h2>Services</h2>").split_once("<svg").unwrap().0,
        "<p class=\"a d\">Now: 1 of 2 down; running as pid 4711 since 16:00:00, next report at 18:05:00\n\
         <p class=a><bdi>web</bdi> was down once for 10m, 81.500 % available.\n"
            .to_string()
            + &format!("<p class=m>{}\n", part(&page, "<p class=m>", "\n"))
            + "<h2>Now</h2>\n\
         <div class=w><table class=n><caption>Not up</caption><thead><tr><th scope=col>Service<th scope=col>Last failure\
         <th scope=col>State<th scope=col>Since<th scope=col>For<th scope=col>Target<tbody><tr><td><bdi>db</bdi><td>-\
         <td><b class=d>down</b><td>2025-10-09 17:00:00<td>1h<td>192.0.2.7:443</table></div>\n\
         <details><summary>1 up</summary><div class=w><table class=n><caption>Up</caption><thead><tr><th scope=col>Service\
         <th scope=col>Last failure<th scope=col>State<th scope=col>Since<th scope=col>For<th scope=col>Target<tbody><tr>\
         <td><a href=\"#web\"><bdi>web</bdi></a><td>-<td><b class=n>up</b><td>2025-10-09 17:00:00<td>1h<td>192.0.2.7:443</table></div>\n</details>"
    );
    assert!(
        page.contains("<p>Now <b class=n>up</b> since 2025-10-09 17:00:00, for 1h: <bdi>192.0.2.7:443</bdi>"),
        "{page}"
    );
}
