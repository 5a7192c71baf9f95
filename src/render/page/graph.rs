//! Drawings of a page, as inline SVG that is as wide as the page lets it be: the strip of a service, and the curves of its
//! times. All have the same axis of time, and all curves the same logarithmic axis of lengths of time. These are drawn once,
//! and used by reference. A slot is one unit wide.

use crate::base::calendar::LocalTime;
use crate::base::text::Text;
use crate::base::time::Nanos;
use crate::base::words;
use crate::core::report::{Axis, Mark, Report, SLOTS, Service, Slot};
use crate::render::cells::put;
use crate::render::overview::Length;

/// How high a decade of time is, in pixels.
const DECADE: u32 = 30;

/// How high the curves are: five decades from 0.1 ms on.
const HEIGHT: u32 = 5 * DECADE;

/// Most intervals of the axis of time.
const INTERVALS: i64 = 6;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// What is between two labels of the axis of time, in seconds: the first that has few enough.
static STEPS: [i64; 17] = [
    60,
    300,
    600,
    1800,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    60 * DAY,
    365 * DAY,
    730 * DAY,
];

/// The marks, the best one first: what each means, its class, and the middle of its bar. The worse, the higher.
pub static MARKS: [(Mark, &str, &str, &str); 6] = [
    (Mark::Good, "all fast", "g", "27.5"),
    (Mark::Slow, "some slow", "s", "26"),
    (Mark::Failed, "up to 10 % failed", "f", "23.5"),
    (Mark::Bad, "more failed", "b", "20"),
    (Mark::Down, "all failed", "d", "15"),
    (Mark::Unwatched, "nobody watched", "u", "20"),
];

/// The curves, the first one drawn first: which of the times, its name and its class.
static CURVES: [(usize, &str, &str); 3] = [(2, "max", "z"), (1, "p95", "y"), (0, "p50", "x")];

/// The phases of a probe.
static PHASES: [&str; 2] = ["Lookup", "Connect"];

/// The slots of a report that are drawn: from which one on, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    axis: Axis,
    first: usize,
    count: usize,
}

impl Slots {
    /// Those of the report's period.
    pub fn of(report: &Report) -> Self {
        let (axis, last) = (report.axis, 2 * SLOTS as i64 - 1);
        // Without a row the axis has no begin.
        let slot = |unix: i64| (unix.saturating_sub(axis.base) / axis.width).clamp(0, last) as usize;
        let first = report.from.map_or(0, slot);
        // An interval that ends with the period's last second is in the slot of the second before.
        let end = slot(report.to.map_or(i64::MAX, |to| to - 2));
        Self { axis, first, count: end.saturating_sub(first) + 1 }
    }

    /// How long one is, in seconds.
    pub fn width(&self) -> i64 {
        self.axis.width
    }

    /// One of those that are drawn, of a service.
    fn slot<'a>(&self, service: &'a Service, number: usize) -> Option<&'a Slot> {
        service.slots.get(self.first + number)
    }

    #[inline(never)] // Called from two paths.
    fn mark(&self, service: &Service, number: usize) -> Mark {
        self.slot(service, number).map_or(Mark::Unwatched, |slot| slot.mark)
    }

    #[inline(never)] // LLVM would unroll the loop around it.
    fn times(&self, service: &Service, number: usize, phase: usize) -> Option<[Nanos; 3]> {
        self.slot(service, number)?.phases[phase].times()
    }
}

/// The first moment after this one at which a label stands: when the local clock shows a multiple of the step.
fn next_label(at: i64, step: i64, local: LocalTime) -> i64 {
    let offset = |unix| i64::from(local(unix).offset);
    let next = at + step - (at + offset(at)).rem_euclid(step);
    let moved = next + offset(at) - offset(next);
    if moved > at { moved } else { next }
}

/// Writes what all drawings use: the axis of time `:t`, and the axes and the grid of the curves `:v`.
#[inline(never)]
pub fn define(out: &mut String, slots: &Slots, local: LocalTime) {
    let begin = slots.axis.base + slots.first as i64 * slots.axis.width;
    let seconds = slots.count as i64 * slots.axis.width;
    let step = STEPS.iter().copied().find(|step| seconds / step <= INTERVALS).unwrap_or(3650 * DAY);
    out.push_str("<svg class=h aria-hidden=true><defs><g id=\":t\">");
    let mut grid = String::new();
    let mut at = begin - 1;
    loop {
        at = next_label(at, step, local);
        let permille = (at - begin) * 1000 / seconds;
        if permille >= 1000 {
            break;
        }
        let x: Text<8> = Text::format(format_args!("{}.{}", permille / 10, permille % 10));
        let line = |out: &mut String, from: u32, to: u32| {
            put(out, format_args!("<line x1=\"{x}%\" x2=\"{x}%\" y1=\"{from}\" y2=\"{to}\"/>"));
        };
        line(out, HEIGHT, HEIGHT + 4);
        line(&mut grid, 0, HEIGHT);
        // At the edges it would leave the drawing.
        if (20..=975).contains(&permille) {
            let (wall, y) = (local(at), HEIGHT + 16);
            let moment = wall.moment_of_second();
            let label = if wall.second_of_day() == 0 { &moment[5..10] } else { &moment[11..16] };
            put(out, format_args!("<text x=\"{x}%\" y=\"{y}\">{}</text>", words::utf8(label).unwrap_or_default()));
        }
    }
    put(out, format_args!("</g><g id=\":v\"><use href=\"#:t\"/>{grid}"));
    for (decade, label) in ["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s"].iter().enumerate() {
        let y = HEIGHT - decade as u32 * DECADE;
        put(
            out,
            format_args!(
                "<line x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/><text class=l x=\"-5\" y=\"{}\">{label}</text>",
                y + 4
            ),
        );
    }
    out.push_str("</g></defs></svg>\n");
}

/// Writes the bars of a service as `:` and its number. Slots with the same mark are one bar.
#[inline(never)]
pub fn define_strip(out: &mut String, service: &Service, number: usize, slots: &Slots) {
    put(
        out,
        format_args!(
            "<svg aria-hidden=true viewBox=\"0 0 {} 30\" preserveAspectRatio=none height=30><g id=\":{number}\">",
            slots.count
        ),
    );
    for (mark, _, class, y) in &MARKS {
        let mut is_first = true;
        let mut begin = 0;
        for at in 0..=slots.count {
            let is_it = at < slots.count && slots.mark(service, at) == *mark;
            if is_it {
                continue;
            }
            if begin < at {
                if is_first {
                    put(out, format_args!("<path class={class} d=\""));
                }
                is_first = false;
                put(out, format_args!("M{begin} {y}h{}", at - begin));
            }
            begin = at + 1;
        }
        out.push_str(if is_first { "" } else { "\"/>" });
    }
    out.push_str("</g></svg>");
}

/// Writes how each mark looks.
pub fn legend(out: &mut String) {
    for (_, meaning, class, y) in &MARKS {
        put(
            out,
            format_args!(
                " <span><svg viewBox=\"0 0 24 30\" aria-hidden=true><path class={class} d=\"M0 {y}h24\"/></svg>{meaning}</span>"
            ),
        );
    }
    out.push('\n');
}

/// Writes what the strip of a service shows, in words.
#[inline(never)]
pub fn describe_strip(out: &mut String, service: &Service, slots: &Slots) {
    let width = Length(slots.width());
    put(out, format_args!("{} intervals of {width}", slots.count));
    let mut before = ": ";
    for (mark, meaning, ..) in &MARKS {
        let count = (0..slots.count).filter(|at| slots.mark(service, *at) == *mark).count();
        if count > 0 {
            put(out, format_args!("{before}{count} {meaning}"));
            before = ", ";
        }
    }
}

/// Writes the strip of a service with its axis.
pub fn strip(out: &mut String, service: &Service, number: usize, slots: &Slots) {
    out.push_str("<svg class=t role=img><title>");
    describe_strip(out, service, slots);
    put(
        out,
        format_args!(
            "</title><svg viewBox=\"0 0 {} 30\" preserveAspectRatio=none height=30><use href=\"#:{number}\"/></svg>\
             <use href=\"#:t\" y=\"-120\"/></svg>\n",
            slots.count
        ),
    );
}

/// Writes the curves of each phase that was measured, in a box.
#[inline(never)]
pub fn curves(out: &mut String, service: &Service, slots: &Slots) {
    let mut box_of = "<div class=c>";
    // The times of an interval are in its last slot: it has so many.
    let covered = (service.usual() + slots.width() - 1) / slots.width();
    let covered = covered.clamp(1, slots.count as i64) as usize;
    for (phase, word) in PHASES.iter().enumerate() {
        let Some(times) = service.phases[phase].times() else { continue };
        put(out, format_args!("{box_of}<figure><figcaption>{word}:"));
        let mut title = String::new();
        for (which, name, class) in CURVES.iter().rev() {
            let time = times[*which].as_tenths();
            put(out, format_args!(" <b class={class}>{name}</b> {time} ms"));
            put(&mut title, format_args!(", {name} {time} ms"));
        }
        put(
            out,
            format_args!(
                "</figcaption><svg class=v role=img><title>{word} times{title}</title><use href=\"#:v\"/>\
                 <svg viewBox=\"-.5 0 {} {HEIGHT}\" preserveAspectRatio=none height={HEIGHT}>",
                slots.count
            ),
        );
        for (which, _, class) in &CURVES {
            put(out, format_args!("<path class={class} d=\""));
            path(out, slots.count, &|at| {
                let times = (at..at + covered).find_map(|at| slots.times(service, at, phase));
                times.map(|times| HEIGHT - height(times[*which]))
            });
            out.push_str("\"/>");
        }
        out.push_str("</svg></svg></figure>");
        box_of = "";
    }
    out.push_str(if box_of.is_empty() { "</div>\n" } else { "" });
}

/// How high a time is drawn, from 0.1 ms to 10 s.
fn height(time: Nanos) -> u32 {
    let tenths = (time.get() / 100_000).clamp(1, 100_000) as u32;
    let mut log = tenths.ilog2();
    // From 1 to 2, with 31 bits behind the point: each square is one more bit of the logarithm.
    let mut rest = u64::from(tenths << (31 - log));
    for _ in 0..8 {
        rest = (rest * rest) >> 31;
        log *= 2;
        if rest >> 32 > 0 {
            rest >>= 1;
            log += 1;
        }
    }
    // log10(2) is 0.30103.
    (log * (DECADE * 30_103 / 100) / 1000 + 128) >> 8
}

/// Writes a curve through the points that are there: as moves from point to point, one for all points in a row that are
/// equally high. One point alone is a dot.
fn path(out: &mut String, count: usize, y: &dyn Fn(usize) -> Option<u32>) {
    // The point that was drawn last; from there on to the one before this it is as high.
    let mut pen: Option<(usize, u32)> = None;
    let mut separator = "";
    for at in 0..=count {
        let next = if at < count { y(at) } else { None };
        let Some((x, height)) = pen else {
            if let Some(next) = next {
                put(out, format_args!("M{at} {next}"));
                (pen, separator) = (Some((at, next)), "l");
            }
            continue;
        };
        if next == Some(height) {
            continue;
        }
        if x + 1 < at {
            put(out, format_args!("{separator}{} 0", at - 1 - x));
            separator = " ";
        }
        pen = next.map(|next| (at, next));
        if let Some(next) = next {
            let change = next as i32 - height as i32;
            put(out, format_args!("{separator}1{}{change}", if change < 0 { "" } else { " " }));
            separator = " ";
        } else if separator == "l" {
            out.push_str("h0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decade_of_time_has_the_same_height_everywhere() {
        let of = |micros| height(Nanos::new(micros * 1000));
        assert_eq!([0, 1, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000].map(of), [0, 0, 0, 30, 60, 90, 120, 150]);
        assert_eq!([600_000_000, u64::MAX / 1000].map(of), [150, 150]);
        for tenths in 1..100_000_u32 {
            let exact = f64::from(tenths).log10() * 30.0;
            let drawn = f64::from(height(Nanos::new(u64::from(tenths) * 100_000)));
            assert!((exact - drawn).abs() <= 0.6, "{tenths}: {exact} {drawn}");
        }
    }
}
