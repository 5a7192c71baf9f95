//! Daily files: the first byte is the size of the pieces in which they are read, the second the chosen period; NUL separates
//! files.

use tcpmon::base::time::WallTime;
use tcpmon::core::report::{LONGEST, Report};
use tcpmon::model::log_line::Line;
use tcpmon::model::outcome::Columns;
use tcpmon::render::{report, report_json};

use super::Bytes;

/// The begin of the chosen period: 2025-10-09 00:00:00 UTC.
const BEGIN: i64 = 1_759_968_000;

fn local(unix: i64) -> WallTime {
    WallTime { unix, nanos: 0, offset: if unix < BEGIN { 7200 } else { 3600 } }
}

/// The report does not depend on the pieces, its sums are those of the rows, every span has a begin and an end within the
/// period, and its JSON can be read.
pub fn holds(input: &[u8]) {
    let mut bytes = Bytes(input);
    let (piece, period) = (usize::from(bytes.byte()) + 1, bytes.byte());
    let from = (period & 1 == 1).then_some(BEGIN);
    let to = (period & 2 == 2).then_some(BEGIN + 3600 * i64::from(period));
    let now = (period & 4 == 4).then_some(BEGIN + 86_400);
    let files = || bytes.0.split(|byte| *byte == 0);
    let read = |piece: usize| {
        let mut report = Report::new(from, to, &[], local);
        for (number, file) in files().enumerate() {
            report.begin_file(&format!("f{number}"));
            let (mut buffer, mut rest) = (Vec::new(), file);
            while !rest.is_empty() {
                let (head, tail) = rest.split_at(piece.min(rest.len()));
                buffer.extend(head);
                rest = tail;
                let read = report.read(&buffer, buffer.len() > LONGEST);
                buffer.drain(..read);
            }
        }
        report.finish(now);
        report
    };
    let report = read(piece);
    assert_eq!(format!("{report:?}"), format!("{:?}", read(1 << 20)), "it depends on the pieces");
    if from.or(to).is_none() {
        adds_up(&report, files());
    }
    has_spans(&report);
    let mut text = String::new();
    report_json::write(&mut text, &report);
    let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(json["all"]["total"], report.all.total);
    report::write(&mut text, &report, local, 80);
}

/// Every whole line is counted, or damaged, or neither a row nor a sample.
fn adds_up<'a>(report: &Report, files: impl Iterator<Item = &'a [u8]>) {
    let (mut all, mut samples, mut damaged) = (Columns::default(), 0, 0);
    for file in files {
        let mut lines: Vec<_> = file.split(|byte| *byte == b'\n').collect();
        // It has no newline yet.
        lines.pop();
        for line in lines {
            match Line::read(line) {
                Line::Counted(row) => all.add(&row.columns),
                Line::Sampled(sampled) => {
                    let is_skip = matches!(sampled.ending, tcpmon::model::log_line::Sample::Skipped(_));
                    samples += u64::from(!is_skip);
                }
                Line::Damaged => damaged += 1,
                Line::Header | Line::Timed(_) | Line::Told(_) => {}
            }
        }
    }
    assert_eq!(report.all.total, all.total + samples);
    assert_eq!(report.damaged, damaged);
    assert!(report.all.is_sum());
    if samples == 0 {
        assert_eq!(report.all, all);
    }
}

fn has_spans(report: &Report) {
    for service in &report.services {
        for pair in service.unwatched.windows(2) {
            assert!(pair[0].end < pair[1].begin, "{:?}", service.unwatched);
        }
        for span in &service.unwatched {
            assert!(span.begin < span.end, "{span:?}");
            assert!(report.from.is_none_or(|from| span.begin >= from) || report.from > report.to, "{span:?}");
        }
        for outage in &service.outages.list {
            let end = outage.end.unwrap_or(i64::MAX);
            assert!(outage.begin <= end || outage.seconds == 0, "{outage:?}");
        }
        assert!(service.slots.len() <= 2 * tcpmon::core::report::SLOTS);
        assert!(service.days.windows(2).all(|pair| pair[0].day < pair[1].day));
    }
}
