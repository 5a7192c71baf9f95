//! The time zone in /etc/TZ: a rule in the form of POSIX (XBD 8.3, `TZ`), or the name of a file with rules.
//! The C libraries differ in what they make of an invalid rule, so it is checked here.

use crate::base::limits;
use crate::base::text::Text;
use crate::base::words;

/// A value of the variable `TZ`.
pub type TimeZone = Text<{ limits::TIME_ZONE }>;

/// The first line of the file, without blanks around it; `None` if it is empty.
pub fn first_line(content: &[u8]) -> Option<&str> {
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = words::trim(words::utf8(line).unwrap_or("?"));
    (!line.is_empty()).then_some(line)
}

/// The value of `TZ` for this rule; `None` if the rule is invalid. `UTC` and `GMT`, which OpenWrt writes, are valid, though
/// POSIX wants an offset. If it names a summer time without its dates,
/// glibc's dates are added: musl has no default for them.
pub fn of_rule(rule: &str) -> Option<TimeZone> {
    if matches!(rule, "UTC" | "GMT") {
        return Text::copy("UTC0");
    }
    let mut rest = Rest(rule.as_bytes());
    if !(rest.name() && rest.offset(24)) {
        return None;
    }
    let mut value = Text::copy(rule)?;
    if rest.0.is_empty() {
        return Some(value);
    }
    if !(rest.name() && (rest.0.is_empty() || rest.0[0] == b',' || rest.offset(24))) {
        return None;
    }
    if rest.0.is_empty() {
        value.push(",M3.2.0,M11.1.0");
    } else if !(rest.date() && rest.date() && rest.0.is_empty()) {
        return None;
    }
    Some(value)
}

/// The rest of a rule that is not read yet. Each method reads one part and returns whether it was there.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// One certain character.
    fn sign(&mut self, sign: u8) -> bool {
        let is_there = self.0.first() == Some(&sign);
        self.0 = &self.0[usize::from(is_there)..];
        is_there
    }

    /// A name: three or more letters, or letters, digits and signs in `<>`.
    fn name(&mut self) -> bool {
        let is_quoted = self.sign(b'<');
        let fits = |byte: &u8| {
            byte.is_ascii_alphabetic() || (is_quoted && (byte.is_ascii_digit() || *byte == b'+' || *byte == b'-'))
        };
        let length = self.0.iter().take_while(|byte| fits(byte)).count();
        self.0 = &self.0[length..];
        length >= 3 && (!is_quoted || self.sign(b'>'))
    }

    /// A time of at most this many hours: `[+-]hh[:mm[:ss]]`.
    fn offset(&mut self, hours: u32) -> bool {
        let _ = self.sign(b'+') || self.sign(b'-');
        self.number(0, hours) && (!self.sign(b':') || (self.number(0, 59) && (!self.sign(b':') || self.number(0, 59))))
    }

    /// A day of the year and a time: `,Mm.w.d`, `,Jn` or `,n`, and `/time`.
    fn date(&mut self) -> bool {
        let is_day = self.sign(b',')
            && if self.sign(b'M') {
                self.number(1, 12) && self.sign(b'.') && self.number(1, 5) && self.sign(b'.') && self.number(0, 6)
            } else {
                let from_one = self.sign(b'J');
                self.number(from_one.into(), 365)
            };
        is_day && (!self.sign(b'/') || self.offset(167))
    }

    /// A number within these bounds.
    fn number(&mut self, least: u32, most: u32) -> bool {
        let (mut number, mut is_there) = (0_u32, false);
        while let Some(digit @ b'0'..=b'9') = self.0.first() {
            number = number.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
            is_there = true;
            self.0 = &self.0[1..];
        }
        is_there && (least..=most).contains(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_are_accepted() {
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
        for invalid in [
            "",
            "CET",
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
            assert_eq!(of_rule(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn a_summer_time_without_dates_has_those_of_glibc() {
        let value = |rule| of_rule(rule).map(|value| value.to_string());
        assert_eq!(value("EST5EDT").as_deref(), Some("EST5EDT,M3.2.0,M11.1.0"));
        assert_eq!(value("EST5EDT4").as_deref(), Some("EST5EDT4,M3.2.0,M11.1.0"));
    }

    #[test]
    fn utc_and_gmt_need_no_offset() {
        assert_eq!(["UTC", "GMT"].map(of_rule), [Text::copy("UTC0"); 2]);
    }

    #[test]
    fn the_first_line_counts() {
        let line = |content: &[u8]| first_line(content).map(str::to_string);
        assert_eq!(line(b" <+04>-4 \r\nUTC0\n").as_deref(), Some("<+04>-4"));
        assert_eq!(line(b"UTC0").as_deref(), Some("UTC0"));
        assert_eq!((line(b""), line(b" \nUTC0")), (None, None));
        assert_eq!(line(b"\xff\n").as_deref(), Some("?"));
    }
}
