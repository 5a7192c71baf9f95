//! The time zone as /etc/TZ has it: a rule in the form of POSIX (XBD 8.3, `TZ`), or the name of a
//! file with rules. The C libraries make different things of one that is wrong, so it is read here.

use crate::limits;
use crate::text::Text;

/// A zone as the variable `TZ` has it.
pub type Zone = Text<{ limits::ZONE }>;

/// The first line of such a file, without blanks around it; `None` where nothing is there.
pub fn first_line(content: &[u8]) -> Option<Zone> {
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = core::str::from_utf8(line).unwrap_or("?").trim();
    (!line.is_empty()).then(|| Text::format(format_args!("{line}")))
}

/// What `TZ` is to be for this rule: the rule, with the days that glibc takes where it names a
/// summer time and not when it is; musl takes none. `None` where it is no rule.
pub fn of_rule(rule: &str) -> Option<Zone> {
    let rest = offset(name(rule)?, 24)?;
    let mut zone = Text::copy(rule)?;
    if rest.is_empty() {
        return Some(zone);
    }
    let rest = name(rest)?;
    let rest = if rest.is_empty() || rest.starts_with(',') { rest } else { offset(rest, 24)? };
    if rest.is_empty() {
        zone.push(",M3.2.0,M11.1.0");
        return Some(zone);
    }
    let rest = date(date(rest)?)?;
    rest.is_empty().then_some(zone)
}

/// What follows a name: three letters or more, or anything of letters, digits and signs in `<>`.
fn name(text: &str) -> Option<&str> {
    let (length, rest) = match text.strip_prefix('<') {
        Some(quoted) => {
            let (name, rest) = quoted.split_once('>')?;
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'-';
            (if name.bytes().all(fits) { name.len() } else { 0 }, rest)
        }
        None => {
            let length = text.bytes().take_while(u8::is_ascii_alphabetic).count();
            (length, &text[length..])
        }
    };
    (length >= 3).then_some(rest)
}

/// What follows a time of up to so many hours: `[+-]hh[:mm[:ss]]`.
fn offset(text: &str, hours: u32) -> Option<&str> {
    let mut rest = number(text.strip_prefix(['+', '-']).unwrap_or(text), 0, hours)?;
    for _ in 0..2 {
        if let Some(part) = rest.strip_prefix(':') {
            rest = number(part, 0, 59)?;
        }
    }
    Some(rest)
}

/// What follows a day of the year and a time: `,Mm.w.d`, `,Jn` or `,n`, and `/time`.
fn date(text: &str) -> Option<&str> {
    let text = text.strip_prefix(',')?;
    let rest = if let Some(month) = text.strip_prefix('M') {
        let week = number(month, 1, 12)?.strip_prefix('.')?;
        number(number(week, 1, 5)?.strip_prefix('.')?, 0, 6)?
    } else if let Some(day) = text.strip_prefix('J') {
        number(day, 1, 365)?
    } else {
        number(text, 0, 365)?
    };
    match rest.strip_prefix('/') {
        Some(time) => offset(time, 167),
        None => Some(rest),
    }
}

/// What follows a number within these bounds.
fn number(text: &str, least: u32, most: u32) -> Option<&str> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(length);
    let number: u32 = digits.parse().ok()?;
    (least..=most).contains(&number).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_from_what_is_none() {
        for rule in [
            "UTC0",
            "GMT0",
            "<+04>-4",
            "<+0330>-3:30",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "NZST-12NZDT,M9.5.0,M4.1.0/3",
            "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
            "IST-2IDT,M3.4.4/26,M10.5.0",
            "EET-2EEST,M3.4.4/50,M10.4.4/50",
            "AAA12:34:56BBB+11:00,J60/2:30,364/24",
        ] {
            assert_eq!(of_rule(rule), Text::copy(rule), "{rule}");
        }
        for none in [
            "",
            "UTC",
            "CE-1",
            "CET-25",
            "CET-1:60",
            "CET-1x",
            "CET-1CEST,",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M13.5.0,M10.5.0",
            "CET-1CEST,M3.6.0,M10.5.0",
            "CET-1CEST,M3.5.7,M10.5.0",
            "CET-1CEST,M3.5.0,M10.5.0/168",
            "CET-1CEST,J0,J366",
            "CET-1CEST,M3.5.0,M10.5.0 ",
            "<+04-4",
            "<+0/>-4",
            "Europe/Berlin",
            "UTC0\0",
        ] {
            assert_eq!(of_rule(none), None, "{none}");
        }
    }

    #[test]
    fn a_summer_time_without_days_has_those_of_glibc() {
        let zone = |rule| of_rule(rule).map(|zone| zone.to_string());
        assert_eq!(zone("EST5EDT").as_deref(), Some("EST5EDT,M3.2.0,M11.1.0"));
        assert_eq!(zone("EST5EDT4").as_deref(), Some("EST5EDT4,M3.2.0,M11.1.0"));
    }

    #[test]
    fn the_first_line_counts() {
        let line = |content: &[u8]| first_line(content).map(|zone| zone.to_string());
        assert_eq!(line(b" <+04>-4 \r\nUTC0\n").as_deref(), Some("<+04>-4"));
        assert_eq!(line(b"UTC0").as_deref(), Some("UTC0"));
        assert_eq!((line(b""), line(b" \nUTC0")), (None, None));
        assert_eq!(line(b"\xff\n").as_deref(), Some("?"));
    }
}
