//! Text in a fixed buffer: what is built at run time is built here, never on the heap.

use core::fmt;

/// At most `N` bytes of UTF-8.
///
/// Writing to it never fails: what does not fit is cut at a character's edge.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    length: u16,
    cut: bool,
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    /// The empty text.
    pub const fn new() -> Self {
        Self { length: 0, cut: false, bytes: [0; N] }
    }

    /// A copy of `text`, or `None` where it is longer than `N` bytes.
    pub fn copy(text: &str) -> Option<Self> {
        let mut copied = Self::new();
        copied.push(text);
        (!copied.cut).then_some(copied)
    }

    /// A text formatted from its parts, cut where it is longer than `N` bytes.
    pub fn format(parts: fmt::Arguments<'_>) -> Self {
        let mut text = Self::new();
        // `write_str` below never fails, and no Display of ours does.
        let _ = fmt::Write::write_fmt(&mut text, parts);
        text
    }

    /// Appends as much of `text` as fits; nothing, once something was cut.
    pub fn push(&mut self, text: &str) {
        append(&mut self.bytes, &mut self.length, &mut self.cut, text);
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        shown(&self.bytes, self.length)
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Forgets the content.
    pub fn clear(&mut self) {
        self.length = 0;
        self.cut = false;
    }
}

// Apart from the type, so that they are in the binary once and not for every size.

#[inline(never)]
fn append(bytes: &mut [u8], length: &mut u16, cut: &mut bool, text: &str) {
    let start = usize::from(*length);
    let mut taken = if *cut { 0 } else { text.len().min(bytes.len() - start) };
    while !text.is_char_boundary(taken) {
        taken -= 1;
    }
    *cut |= taken < text.len();
    bytes[start..start + taken].copy_from_slice(&text.as_bytes()[..taken]);
    *length = (start + taken) as u16;
}

#[inline(never)]
fn shown(bytes: &[u8], length: u16) -> &str {
    // Only whole characters ever come in, so this cannot fail; an empty text would be the
    // harmless answer if it did.
    core::str::from_utf8(&bytes[..usize::from(length)]).unwrap_or_default()
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

impl<const N: usize> AsRef<str> for Text<N> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl<const N: usize> Eq for Text<N> {}

/// A number of things, in words: `1 tick`, `2 ticks`.
pub struct Count<'a>(pub u64, pub &'a str);

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_exactly_its_size_fits_and_one_byte_more_does_not() {
        assert_eq!(Text::<4>::copy("abcd").map(|t| t.as_str().len()), Some(4));
        assert!(Text::<4>::copy("abcde").is_none());
    }

    #[test]
    fn what_does_not_fit_is_cut_at_a_whole_character() {
        let text = Text::<4>::format(format_args!("{}{}", "ab", "äö"));
        assert_eq!((text.as_str(), text.cut), ("abä", true));
    }

    #[test]
    fn nothing_follows_what_was_cut() {
        let text = Text::<4>::format(format_args!("{}{}", "abcä", "d"));
        assert_eq!((text.as_str(), text.cut), ("abc", true));
    }

    #[test]
    fn a_cleared_text_is_new() {
        let mut text = Text::<2>::format(format_args!("abc"));
        text.clear();
        assert_eq!((text.as_str(), text.cut, text.is_empty()), ("", false, true));
    }
}
