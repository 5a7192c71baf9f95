use super::*;
use crate::base::time::{Nanos, WallTime};

fn utc(unix: i64) -> WallTime {
    WallTime { unix, nanos: 0, offset: 0 }
}

/// 2025-10-09 00:00:00 UTC.
const DAY: i64 = 1_759_968_000;

const HEADER: &str = "Timestamp           | Service              | Conn<1s | Conn1-5s | DNS<1s |  DNS1-5s | DNSFail | ConnFailed | Total\n";

/// A row of the daily log with this stamp: connected, slow, failed lookups, failed connects.
fn row(unix: i64, service: &str, [fast, slow, lookups, connects]: [u64; 4]) -> String {
    let (dns, total) = (fast + slow + connects, fast + slow + lookups + connects);
    let stamp = utc(unix);
    format!(
        "{stamp} | {service:<20} | {fast:>7} | {slow:>8} | {dns:>6} | {:>8} | {lookups:>7} | {connects:>10} | {total:>5}\n",
        0
    )
}

const GOOD: [u64; 4] = [150, 0, 0, 0];
const DOWN: [u64; 4] = [0, 0, 0, 150];

/// Rows every 5 minutes, the first one at so many minutes of the day.
fn rows(minute: i64, service: &str, counts: &[[u64; 4]]) -> String {
    let mut rows = String::new();
    for (i, counts) in counts.iter().enumerate() {
        rows.push_str(&row(DAY + minute * 60 + i as i64 * 300, service, *counts));
    }
    rows
}

fn event(unix: i64, kind: &str, service: &str, text: &str) -> String {
    let endpoint = if service == "-" { "-" } else { "h:1" };
    format!("{} | {kind} | {service} | {endpoint} | {text}\n", utc(unix).as_moment())
}

fn down(since: i64, service: &str) -> String {
    let text = format!("connect refused by 192.0.2.7, since {}, 3 failed", utc(since).as_moment());
    event(since + 4, "down", service, &text)
}

fn up(since: i64, seconds: i64, service: &str) -> String {
    let since_text = utc(since).as_moment();
    let text = format!("connected to 192.0.2.7 in 11.1 ms, down for {seconds} s since {since_text}, 9 failed");
    event(since + seconds + 2, "up", service, &text)
}

fn unwatched(from: i64, to: i64) -> String {
    event(to, "killed", "-", &format!("nobody watched from {} to {}", utc(from).as_moment(), utc(to).as_moment()))
}

/// Reads each text as a file, in pieces of so many bytes.
fn read_pieces(report: &mut Report, files: &[&str], piece: usize) {
    for (number, file) in files.iter().enumerate() {
        report.begin_file(&format!("f{number}"));
        let (mut buffer, mut rest) = (Vec::new(), file.as_bytes());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            buffer.extend(now);
            rest = later;
            let read = report.read(&buffer, buffer.len() > LONGEST);
            buffer.drain(..read);
        }
    }
}

fn report(from: Option<i64>, to: Option<i64>, files: &[&str]) -> Report {
    let mut report = Report::new(from, to, &[], utc);
    read_pieces(&mut report, files, 4096);
    report.finish(None);
    report
}

fn whole(files: &[&str]) -> Report {
    report(None, None, files)
}

/// Begin and end in minutes of the day, whether exact, whether common.
fn outages(report: &Report, service: usize) -> Vec<(i64, Option<i64>, bool, bool)> {
    let minute = |unix: i64| (unix - DAY).div_euclid(60);
    let outages = report.services[service].outages.list.iter();
    outages.map(|outage| (minute(outage.begin), outage.end.map(minute), outage.exact, outage.common)).collect()
}

/// When nobody watched, in seconds of the day.
fn gaps(report: &Report, service: usize) -> Vec<(i64, i64)> {
    report.services[service].unwatched.iter().map(|span| (span.begin - DAY, span.end - DAY)).collect()
}

#[test]
fn all_sums_are_those_of_the_rows() {
    let counts = [[100, 20, 3, 27], GOOD, [0, 0, 150, 0], DOWN];
    let text = format!("{HEADER}{}{}", rows(0, "web", &counts), rows(0, "a b", &counts[..2]));
    let report = whole(&[&text]);
    let [web, other] = &report.services[..] else { panic!("{:?}", report.services) };
    assert_eq!((web.name.as_str(), other.name.as_str()), ("web", "a b"));
    assert_eq!(web.columns, Columns::of([250, 20, 447, 0, 153, 177, 600]));
    assert_eq!(report.all.total, 900);
    assert_eq!((report.damaged, report.from, report.to), (0, Some(DAY - 300), Some(DAY + 900)));
    let worst = web.worst.expect("some have failed");
    assert_eq!((worst.span, worst.columns.failed()), ((DAY + 300, DAY + 600), 150));
}

#[test]
fn pieces_of_any_size_give_the_same_report() {
    let mut text = String::from(HEADER);
    for i in 0..40 {
        for service in ["web", "kassa-ä", "a service of more than twenty letters"] {
            text.push_str(&row(
                DAY + i * 300,
                service,
                if i % 9 == 0 { DOWN } else { [149 - i as u64, 1, 0, i as u64] },
            ));
        }
        if i % 7 == 0 {
            text.push_str("damaged\n");
            text.push_str(&HEADER.replace("1-5s", "1-3s"));
        }
    }
    let expected = format!("{:?}", whole(&[&text]));
    for piece in [1, 7, 100, 118, 119, 1000] {
        let mut report = Report::new(None, None, &[], utc);
        read_pieces(&mut report, &[&text], piece);
        report.finish(None);
        assert_eq!(format!("{report:?}"), expected, "{piece}");
    }
}

#[test]
fn the_period_has_the_stamps_from_its_begin_to_before_its_end() {
    let text = rows(0, "web", &[GOOD; 12]);
    let total = |from, to| report(from, to, &[&text]).all.total / 150;
    assert_eq!(total(Some(DAY + 300), Some(DAY + 900)), 2);
    assert_eq!(total(Some(DAY + 301), Some(DAY + 901)), 2);
    assert_eq!((total(Some(DAY + 3600), None), total(None, Some(DAY))), (0, 0));
    assert_eq!((total(Some(DAY), None), total(None, Some(DAY + 3600))), (12, 12));
}

#[test]
fn damaged_lines_are_counted_and_named_and_a_last_one_without_its_end_is_not_read_yet() {
    let good = row(DAY, "web", GOOD);
    let cut = &good[..60];
    let wrong = good.replace("  150\n", "  151\n");
    let long = "x".repeat(3 * LONGEST);
    let text = format!("{HEADER}{good}{cut}\n{wrong}\n{long}\n\u{0}\n{}{cut}", row(DAY + 300, "web", GOOD));
    for piece in [1, 4096, 1 << 20] {
        let mut report = Report::new(None, None, &[], utc);
        read_pieces(&mut report, &["", &text], piece);
        report.finish(None);
        assert_eq!(report.all.total, 300, "{piece}");
        assert_eq!(report.named, ["f1:3", "f1:4", "f1:6", "f1:7"]);
    }
    let many = "x\n".repeat(100);
    let report = whole(&[&many]);
    assert_eq!((report.damaged, report.named.len(), report.services.len()), (100, NAMED, 0));
}

#[test]
fn an_outage_is_that_of_the_events_to_the_second() {
    let since = DAY + 3601;
    let text = rows(0, "web", &[&[GOOD; 12][..], &[[70, 0, 0, 80], DOWN, [10, 0, 0, 140]], &[GOOD; 9]].concat());
    let events = format!("{}{}", down(since, "web"), up(since, 677, "web"));
    for files in [[text.as_str(), &events], [&events, &text]] {
        let report = whole(&files);
        let [outage] = &report.services[0].outages.list[..] else { panic!("{:?}", outages(&report, 0)) };
        assert_eq!((outage.begin, outage.end, outage.seconds, outage.exact), (since, Some(since + 677), 677, true));
        assert_eq!((outage.reason.as_str(), outage.endpoint.as_str()), ("connect refused by 192.0.2.7", "h:1"));
        assert_eq!(report.services[0].outages.seconds, 677);
    }
    // Its begin is in a file that is not there any more.
    let only_end = up(since, 677, "web");
    assert_eq!(outages(&whole(&[&text, &only_end]), 0), [(60, Some(71), true, false)]);
    // It goes on.
    let begun = down(since, "web");
    let failing = rows(0, "web", &[&[GOOD; 12][..], &[[70, 0, 0, 80]], &[DOWN; 11]].concat());
    let report = whole(&[&failing, &begun]);
    assert_eq!(outages(&report, 0), [(60, None, true, false)]);
    assert_eq!(report.services[0].outages.seconds, (23 * 300 - 3601) as u64);
    // It ended after the period.
    let part = super::tests::report(Some(DAY), Some(DAY + 3700), &[&text, &events]);
    assert_eq!(outages(&part, 0), [(60, Some(71), true, false)]);
    let before = super::tests::report(Some(DAY), Some(DAY + 3600), &[&text, &events]);
    assert_eq!(outages(&before, 0), []);
}

#[test]
fn without_events_an_outage_is_the_intervals_in_which_no_probe_connected() {
    let part = [70, 0, 0, 80];
    let text = rows(0, "web", &[&[GOOD; 3][..], &[part, DOWN, DOWN, [0, 0, 150, 0], part], &[GOOD; 3]].concat());
    let report = whole(&[&text]);
    assert_eq!(outages(&report, 0), [(15, Some(30), false, false)]);
    assert_eq!((report.services[0].outages.list[0].reason.as_str()), "connect failed");
    let text = rows(0, "web", &[GOOD, [0, 0, 150, 0]]);
    let report = whole(&[&text]);
    assert_eq!(outages(&report, 0), [(0, None, false, false)]);
    assert_eq!(report.services[0].outages.list[0].reason, "lookup failed");
}

#[test]
fn rows_tell_of_outages_on_days_without_events_only() {
    let late = DAY + 86_400 + 7200;
    let mut text = rows(0, "web", &[GOOD, DOWN, GOOD]);
    for (i, counts) in [GOOD, DOWN, GOOD].into_iter().enumerate() {
        text.push_str(&row(late + i as i64 * 300, "web", counts));
    }
    let events = format!("{}{}", down(DAY + 10, "web"), up(DAY + 10, 250, "web"));
    let report = whole(&[&text, &events]);
    assert_eq!(outages(&report, 0), [(0, Some(4), true, false), (1560, Some(1565), false, false)]);
}

#[test]
fn an_outage_whose_end_is_not_told_ends_when_rows_know_better() {
    let begun = down(DAY + 3601, "web");
    // All probes of the second half hour from there have connected.
    let mended = rows(0, "web", &[&[GOOD; 12][..], &[DOWN; 6], &[GOOD; 20]].concat());
    assert_eq!(outages(&whole(&[&mended, &begun]), 0), [(60, Some(90), false, false)]);
    // The target was removed.
    let removed = rows(0, "web", &[&[GOOD; 12][..], &[DOWN; 6]].concat()) + &rows(0, "db", &[GOOD; 50]);
    assert_eq!(outages(&whole(&[&removed, &begun]), 0), [(60, Some(85), false, false)]);
    let later = report(Some(DAY + 86_400), None, &[&rows(24 * 60, "db", &[GOOD; 9]), &begun]);
    assert_eq!(later.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["db"]);
    // With two targets rows do not tell which one.
    let other = begun.replace("h:1", "h:2") + &begun;
    assert_eq!(outages(&whole(&[&mended, &other]), 0).iter().filter(|outage| outage.1.is_none()).count(), 2);
}

#[test]
fn rows_behind_the_period_tell_when_an_outage_ended_and_those_before_it_when_it_began() {
    let text = rows(0, "web", &[&[GOOD; 12][..], &[DOWN; 12], &[GOOD; 12]].concat());
    for (from, to) in [(0, 5400), (4000, 10_000), (4000, 5400), (3600, 7200)] {
        let part = report(Some(DAY + from), Some(DAY + to), &[&text]);
        assert_eq!(outages(&part, 0), [(55, Some(115), false, false)], "{from} {to}");
        assert!(part.services[0].outages.seconds <= (to - from) as u64);
    }
    assert_eq!(outages(&report(Some(DAY), Some(DAY + 3000), &[&text]), 0), []);
    assert_eq!(outages(&report(Some(DAY + 8000), None, &[&text]), 0), []);
}

#[test]
fn a_report_that_was_held_up_splits_no_outage() {
    let mut text = rows(0, "web", &[GOOD, GOOD, GOOD, GOOD, DOWN, DOWN]);
    text.push_str(&row(DAY + 45 * 60, "web", [0, 0, 0, 600]));
    text.push_str(&rows(50, "web", &[DOWN, GOOD]));
    let report = whole(&[&text]);
    assert_eq!((outages(&report, 0), gaps(&report, 0)), (vec![(15, Some(50), false, false)], vec![]));
}

#[test]
fn an_outage_of_the_first_row_has_all_of_its_interval() {
    let report = whole(&[&rows(5, "web", &[DOWN, DOWN, GOOD, GOOD])]);
    assert_eq!(outages(&report, 0), [(0, Some(10), false, false)]);
    assert_eq!(report.services[0].worst.expect("it failed").span, (DAY, DAY + 300));
}

#[test]
fn a_report_interval_that_was_changed_is_no_gap() {
    let mut text = String::new();
    for minute in 0..240 {
        text.push_str(&row(DAY + minute * 60, "web", [30, 0, 0, 0]));
    }
    text.push_str(&rows(245, "web", &[[0, 0, 0, 150]; 40]));
    let report = whole(&[&text]);
    assert_eq!((outages(&report, 0), gaps(&report, 0)), (vec![(240, None, false, false)], vec![]));
}

#[test]
fn a_short_gap_that_is_told_hides_no_long_one() {
    let text = rows(0, "web", &[GOOD; 12]) + &rows(360, "web", &[GOOD; 12]);
    let report = whole(&[&text, &unwatched(DAY + 3300, DAY + 3600)]);
    assert_eq!(gaps(&report, 0), [(3300, 21_300)]);
}

#[test]
fn events_of_one_machine_say_nothing_of_another() {
    let mut report = Report::new(None, None, &[], utc);
    for (name, text) in [
        ("m1/rows", rows(0, "web", &[&[GOOD; 12][..], &[DOWN; 3], &[GOOD; 12]].concat())),
        ("m2/rows", rows(0, "api", &[&[GOOD; 12][..], &[DOWN; 3], &[GOOD; 12]].concat())),
        ("m1/events", unwatched(DAY + 60, DAY + 120) + &down(DAY + 3301, "web") + &up(DAY + 3301, 900, "web")),
    ] {
        report.begin_file(name);
        assert_eq!(report.read(text.as_bytes(), false), text.len());
    }
    report.finish(None);
    assert_eq!((gaps(&report, 0), gaps(&report, 1)), (vec![(60, 120)], vec![]));
    assert_eq!(outages(&report, 0), [(55, Some(70), true, true)]);
    assert_eq!(outages(&report, 1), [(55, Some(70), false, true)]);
}

#[test]
fn a_service_with_two_targets_that_are_down_is_one_service() {
    let text = rows(0, "web", &[GOOD, DOWN, GOOD]) + &rows(0, "db", &[GOOD; 3]) + &rows(0, "x", &[GOOD; 3]);
    let one = down(DAY + 10, "web") + &up(DAY + 10, 250, "web");
    let report = whole(&[&text, &one, &one.replace("h:1", "h:2")]);
    assert_eq!(outages(&report, 0), [(0, Some(4), true, false); 2]);
    assert_eq!((report.services[0].outages.seconds, report.services[0].several), (250, true));
}

#[test]
fn what_is_not_shown_counts_for_what_most_services_were() {
    let text: String = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|service| rows(0, service, &[GOOD, if *service < "c" { DOWN } else { GOOD }, GOOD]))
        .collect();
    let mut report = Report::new(None, None, &["a", "b"], utc);
    read_pieces(&mut report, &[&text], 4096);
    report.finish(None);
    assert_eq!((report.services.len(), outages(&report, 0)), (2, vec![(0, Some(5), false, false)]));
}

#[test]
fn an_outage_says_for_how_long_nobody_watched_it() {
    let text = rows(0, "web", &[&[GOOD; 12][..], &[DOWN; 30]].concat());
    let events = down(DAY + 3301, "web") + &unwatched(DAY + 4000, DAY + 5000);
    let report = whole(&[&text, &events]);
    assert_eq!(report.services[0].outages.list[0].unwatched, 1000);
}

#[test]
fn more_outages_than_are_kept_are_counted_also_beside_events() {
    let counts: Vec<_> = (0..240).flat_map(|_| [GOOD, DOWN]).collect();
    let text = rows(0, "web", &counts);
    let alone = whole(&[&text]);
    let told = whole(&[&text, &event(DAY - 86_400, "start", "-", "tcpmon 0.2.0, 2 targets")]);
    for report in [alone, told] {
        let outages = &report.services[0].outages;
        assert_eq!((outages.count(), outages.seconds), (240, 240 * 300));
    }
}

#[test]
fn samples_count_at_the_end_of_a_chosen_period() {
    let mut text = String::new();
    for i in 0..600 {
        let moment = utc(DAY + i * 2).as_moment().to_string();
        text.push_str(&format!("{}.000{},web,h,1,192.0.2.7,0.5,10.000,connected,,0\n", &moment[..19], &moment[19..]));
    }
    let text = text.replace(",0.5,", ",0.500,");
    let total = |from, to| report(Some(DAY + from), Some(DAY + to), &[&text]).all.total;
    assert_eq!((total(0, 600), total(100, 400), total(0, 2), total(1200, 1300)), (300, 150, 1, 0));
}

#[test]
fn an_outage_of_most_services_is_common_in_a_period_between_two_rows_too() {
    let names = ["web", "db", "api"];
    let text: String = names.iter().map(|name| rows(0, name, &[GOOD; 4])).collect();
    for (down_now, is_common) in [(&names[..], true), (&names[..2], true), (&names[..1], false)] {
        let told = down_now.iter().map(|name| down(DAY + 310, name) + &up(DAY + 310, 60, name));
        let events: String = told.collect();
        let part = report(Some(DAY + 320), Some(DAY + 340), &[&text, &events]);
        assert_eq!(outages(&part, 0), [(5, Some(6), true, is_common)], "{down_now:?}");
    }
}

#[test]
fn rows_whose_time_goes_back_have_their_own_time() {
    let text =
        row(DAY, "web", GOOD) + &row(DAY + 300, "web", GOOD) + &row(DAY, "db", GOOD) + &row(DAY + 300, "web", GOOD);
    assert_eq!(report(None, Some(DAY + 180), &[&text]).all.total, 300);
}

#[test]
fn a_flapping_target_goes_down_and_up_in_a_minute() {
    let events = [
        down(DAY, "web"),
        event(DAY + 60, "flapping", "web", "12 more changes in this minute, now up"),
        event(DAY + 120, "flapping", "web", "11 more changes in this minute, now down"),
        up(DAY + 118, 62, "web"),
    ]
    .concat();
    let report = whole(&[&rows(0, "web", &[GOOD; 4]), &events]);
    assert_eq!(outages(&report, 0), [(0, Some(1), false, false), (1, Some(3), true, false)]);
}

#[test]
fn outages_of_most_services_at_once_are_marked() {
    let mut text = String::new();
    for (service, counts) in
        [("a", [GOOD, DOWN, DOWN, GOOD, DOWN]), ("b", [GOOD, GOOD, DOWN, GOOD, GOOD]), ("c", [GOOD; 5])]
    {
        text.push_str(&rows(0, service, &counts));
    }
    let report = whole(&[&text]);
    assert_eq!(outages(&report, 0), [(0, Some(10), false, true), (15, None, false, false)]);
    assert_eq!(outages(&report, 1), [(5, Some(10), false, true)]);
    let alone = whole(&[&rows(0, "a", &[GOOD, DOWN])]);
    assert_eq!(outages(&alone, 0), [(0, None, false, false)]);
}

#[test]
fn nobody_watched_between_the_end_of_a_run_and_the_next_start() {
    let text = rows(0, "web", &[GOOD; 6]) + &row(DAY + 3600, "web", [120, 0, 0, 0]) + &rows(65, "web", &[GOOD; 6]);
    // Of the events, to the second.
    let events = unwatched(DAY + 1502, DAY + 3360);
    assert_eq!(gaps(&whole(&[&text, &events]), 0), [(1502, 3360)]);
    // Of the rows: the probes of the last 4 minutes are there.
    assert_eq!(gaps(&whole(&[&text]), 0), [(1500, 3360)]);
    // A report that could not be written has its probes in the next one.
    let held = rows(0, "web", &[GOOD; 6]) + &row(DAY + 2400, "web", [450, 0, 0, 0]) + &rows(45, "web", &[GOOD; 6]);
    assert_eq!(gaps(&whole(&[&held]), 0), []);
    // No probe could be made.
    let none = rows(0, "web", &[GOOD, GOOD, GOOD, [0; 4], [0; 4], GOOD]);
    assert_eq!(gaps(&whole(&[&none]), 0), [(600, 1200)]);
}

#[test]
fn reports_that_drift_as_those_of_the_original_have_no_gap() {
    let mut text = String::new();
    let (mut unix, mut last) = (DAY, 0);
    for i in 0..100 {
        unix += if i == 50 { 3600 } else { 300 + i * 7 % 5 };
        last = if i == 50 { unix } else { last };
        text.push_str(&row(unix, "web", GOOD));
    }
    let report = whole(&[&text]);
    let [gap] = gaps(&report, 0)[..] else { panic!("{:?}", gaps(&report, 0)) };
    assert!(gap.0 == last - DAY - 3600 && (last - DAY - gap.1).abs_diff(302) <= 3, "{gap:?}");
}

#[test]
fn the_ends_of_a_chosen_period_without_rows_are_not_watched() {
    let text = rows(60, "web", &[GOOD; 6]);
    let (from, to) = (Some(DAY), Some(DAY + 7200));
    assert_eq!(gaps(&report(from, to, &[&text]), 0), [(0, 3300), (5100, 7200)]);
    assert_eq!(gaps(&report(Some(DAY + 3400), Some(DAY + 5300), &[&text]), 0), []);
    // The row before the period tells where its first one begins.
    assert_eq!(gaps(&report(Some(DAY + 4000), Some(DAY + 5300), &[&text]), 0), []);
    // A row that was written after the period covers it, all or in part.
    let within = |from, to| report(Some(DAY + from), Some(DAY + to), &[&text]);
    assert_eq!((gaps(&within(3910, 4190), 0), within(3910, 4190).next_row()), (vec![], Some(DAY + 4200)));
    assert_eq!(gaps(&within(1000, 3500), 0), [(1000, 3300)]);
    assert_eq!(gaps(&within(3600, 4190), 0), []);
    let nothing = report(Some(DAY + 20_000), Some(DAY + 30_000), &[&text]);
    assert_eq!(gaps(&nothing, 0), [(20_000, 30_000)]);
    // What events and rows both tell counts once.
    let events = unwatched(DAY - 100, DAY + 3300);
    assert_eq!(gaps(&report(from, to, &[&text, &events]), 0), [(0, 3300), (5100, 7200)]);
}

#[test]
fn two_targets_of_one_service_are_down_only_together() {
    let both = |first, second| move |i: i64| row(DAY + i * 300, "web", first) + &row(DAY + i * 300, "web", second);
    let text = [both(GOOD, GOOD)(0), both(GOOD, DOWN)(1), both(DOWN, DOWN)(2), both(GOOD, GOOD)(3)].concat();
    let report = whole(&[&text]);
    assert_eq!(report.all.total, 1200);
    assert_eq!(outages(&report, 0), [(5, Some(10), false, false)]);
    assert_eq!(gaps(&report, 0), []);
}

#[test]
fn times_are_means_of_percentiles_and_the_longest_time_and_causes_are_added_up() {
    let times = |minute: i64, numbers: &str, why: &str| {
        format!("{} | web                  | h:1                   | {numbers} | {why}\n", utc(DAY + minute * 60))
    };
    let text = [
        times(5, "0.7 | 1.9 | 12.4 | 11.1 | 14.0 | 1012.3 | 3 | 1", "connect refused 8; silent 192.0.2.1 2"),
        times(10, "- | - | - | 13.1 | 18.0 | 20.0 | 0 | 0", "silent 192.0.2.9 1; connect refused 1; connect gone 4"),
    ]
    .concat();
    let report = whole(&[&rows(0, "web", &[GOOD; 3]), &text]);
    let web = &report.services[0];
    let millis = |tenths: [u64; 3]| Some(tenths.map(|tenths| Nanos::new(tenths * 100_000)));
    assert_eq!(web.phases.map(|phase| phase.times()), [millis([7, 19, 124]), millis([121, 160, 10_123])]);
    assert_eq!((web.resent, web.skipped, web.silent.as_str()), (3, 1, "192.0.2.9"));
    assert_eq!(web.causes[Cause::ConnectRefused.index()], 9);
    assert_eq!(web.causes[Cause::Silent.index()], 3);
    assert_eq!(web.days.len(), 1);
    assert_eq!(web.days[0].phases[1].times(), millis([121, 160, 10_123]));
    let slots: Vec<_> = web.slots.iter().map(|slot| slot.phases[1].times()).collect();
    assert_eq!(slots, [None, millis([111, 140, 10_123]), millis([131, 180, 200])]);
}

#[test]
fn a_strip_has_the_worst_mark_of_each_half_hour_and_the_row_of_midnight_ends_its_day() {
    let mut counts = vec![GOOD; 12];
    counts[1] = [149, 1, 0, 0];
    counts[7] = [149, 0, 0, 1];
    counts[10] = DOWN;
    let mut text = rows(22 * 60, "web", &counts);
    text.push_str(&rows(23 * 60, "web", &[GOOD; 12]));
    text.push_str(&row(DAY + 86_400, "web", DOWN));
    let report = whole(&[&text]);
    let [day] = &report.services[0].days[..] else { panic!("{:?}", report.services[0].days) };
    use Mark::{Down, Good, Slow, Unwatched};
    assert_eq!(day.marks[43..], [Good, Slow, Down, Good, Down]);
    assert!(day.marks[..43].iter().all(|mark| *mark == Unwatched));
    // Of the first day it is the first.
    let first = whole(&[&rows(0, "web", &[GOOD; 2])]);
    assert_eq!((first.services[0].days.len(), first.services[0].days[0].marks[0]), (1, Good));
}

#[test]
fn slots_grow_with_the_period_and_none_is_lost() {
    let mut text = String::new();
    for hour in 0..24 * 40 {
        text.push_str(&row(DAY + hour * 3600, "web", if hour == 500 { DOWN } else { GOOD }));
    }
    // An older file comes last.
    let old = row(DAY - 86_400 * 30, "web", DOWN);
    let report = whole(&[&text, &old]);
    let slots = &report.services[0].slots;
    assert!(slots.len() > SLOTS / 2 && slots.len() <= 2 * SLOTS, "{}", slots.len());
    let mark = |unix: i64| slots[report.axis.slot(unix - 1) as usize].mark;
    assert_eq!((mark(DAY + 500 * 3600), mark(DAY - 86_400 * 30)), (Mark::Down, Mark::Down));
    assert_eq!((mark(DAY + 900 * 3600), mark(DAY - 86_400 * 10)), (Mark::Good, Mark::Unwatched));
    assert_eq!(slots.iter().filter(|slot| slot.mark == Mark::Down).count(), 2);
}

#[test]
fn the_first_row_has_all_slots_of_its_interval() {
    let text: String = (1..24).map(|hour| row(DAY + hour * 3600, "web", GOOD)).collect();
    let report = report(Some(DAY), Some(DAY + 86_400), &[&text]);
    let slots = &report.services[0].slots;
    assert_eq!((report.axis.width, slots.len()), (900, 92));
    assert!(slots.iter().all(|slot| slot.mark == Mark::Good), "{slots:?}");
    assert_eq!(gaps(&report, 0), []);
}

#[test]
fn the_hour_that_is_there_twice_is_read_in_its_order() {
    fn berlin(unix: i64) -> WallTime {
        WallTime { unix, nanos: 0, offset: if unix < 1_761_440_400 { 7200 } else { 3600 } }
    }
    let begin = 1_761_440_400 - 7200;
    let mut text = String::new();
    for i in 0..48 {
        let line = row(0, "web", if (20..22).contains(&i) { DOWN } else { GOOD });
        text.push_str(&line.replace("1970-01-01 00:00:00", &berlin(begin + i * 300).to_string()));
    }
    let mut report = Report::new(None, None, &[], berlin);
    read_pieces(&mut report, &[&text], 4096);
    report.finish(None);
    let [outage] = &report.services[0].outages.list[..] else { panic!("one outage") };
    assert_eq!((outage.begin, outage.end), (begin + 19 * 300, Some(begin + 21 * 300)));
    assert_eq!(gaps(&report, 0), []);
}

#[test]
fn samples_are_counted_where_there_are_no_rows() {
    let mut text = String::from("time,service,host,port,address,dns_ms,connect_ms,outcome,reason,syns_resent\n");
    for i in 0..600 {
        let moment = utc(DAY + i * 2).as_moment().to_string();
        let ending = match i {
            10 => "192.0.2.7,0.500,1500.000,connected,,1",
            20 => ",0.500,,lookup failed,timeout,0",
            30 => ",,,skipped,late (5 ticks),0",
            300..450 => "192.0.2.7,0.500,3.000,connect failed,refused,0",
            _ => "192.0.2.7,0.500,10.000,connected,,0",
        };
        text.push_str(&format!("{}.000{},web,h,1,{ending}\n", &moment[..19], &moment[19..]));
    }
    let report = whole(&[&text]);
    let web = &report.services[0];
    assert_eq!(web.columns, Columns::of([447, 1, 598, 0, 1, 150, 599]));
    assert_eq!((web.resent, web.skipped), (1, 5));
    assert_eq!(outages(&report, 0), [(10, Some(15), false, false)]);
    let [p50, _, max] = web.phases[1].times().expect("some have connected");
    assert!(p50.millis().abs_diff(10) <= 1 && max == Nanos::from_millis(1500), "{p50:?} {max:?}");
}

#[test]
fn only_the_wanted_services_are_shown_and_summed() {
    let text = rows(0, "web", &[GOOD; 3]) + &rows(0, "db", &[DOWN; 3]);
    let mut report = Report::new(None, None, &["db"], utc);
    read_pieces(&mut report, &[&text], 4096);
    report.finish(None);
    assert_eq!((report.services.len(), report.services[0].name.as_str(), report.all.total), (1, "db", 450));
}

#[test]
fn a_report_of_nothing_is_empty() {
    let report = whole(&["", HEADER]);
    assert_eq!((report.services.len(), report.from, report.to, report.all.total), (0, None, None, 0));
}
