//! Text in a fixed buffer: what is built at run time is built here, never on the heap.

use core::fmt;
use core::ops::{Deref, DerefMut};

/// At most `N` bytes of UTF-8.
///
/// Writing to it never fails: what does not fit is cut at a character's edge.
#[derive(Clone, Copy)]
pub struct Text<const N: usize>(Buffer<[u8; N]>);

/// A [`Text`] of any size. What can be done with one is done here, so that it is in the binary
/// once and not for every size.
pub struct Buffer<B: ?Sized = [u8]> {
    length: u16,
    cut: bool,
    bytes: B,
}

impl<const N: usize> Text<N> {
    /// The empty text.
    pub const fn new() -> Self {
        Self(Buffer { length: 0, cut: false, bytes: [0; N] })
    }

    /// A copy of `text`, or `None` where it is longer than `N` bytes.
    pub fn copy(text: &str) -> Option<Self> {
        let mut copied = Self::new();
        copied.set(text).then_some(copied)
    }

    /// A text formatted from its parts, cut where it is longer than `N` bytes.
    pub fn format(parts: fmt::Arguments<'_>) -> Self {
        let mut text = Self::new();
        text.append(parts);
        text
    }
}

impl Buffer {
    /// Takes `text` in place of what is there, if it fits. Returns whether it does.
    #[inline(never)]
    pub fn set(&mut self, text: &str) -> bool {
        let fits = text.len() <= self.bytes.len();
        if fits {
            self.clear();
            self.push(text);
        }
        fits
    }

    /// Appends as much of `text` as fits; nothing, once something was cut.
    #[inline(never)]
    pub fn push(&mut self, text: &str) {
        let start = usize::from(self.length);
        let mut taken = if self.cut { 0 } else { text.len().min(self.bytes.len() - start) };
        while !text.is_char_boundary(taken) {
            taken -= 1;
        }
        self.cut |= taken < text.len();
        self.bytes[start..start + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length = (start + taken) as u16;
    }

    /// Appends what is formatted from these parts, as far as it fits.
    #[inline(never)]
    pub fn append(&mut self, parts: fmt::Arguments<'_>) {
        // `write_str` below never fails, and no Display of ours does.
        let _ = fmt::Write::write_fmt(self, parts);
    }

    /// The text.
    #[inline(never)]
    pub fn as_str(&self) -> &str {
        // Only whole characters ever come in, so this cannot fail; an empty text would be the
        // harmless answer if it did.
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// How many characters it has: bytes that do not go on with one.
    #[inline(never)]
    pub fn characters(&self) -> usize {
        self.as_bytes().iter().filter(|byte| !matches!(byte, 0x80..=0xbf)).count()
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

impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq for Buffer {
    #[inline(never)]
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Clone for Buffer<[u8; N]> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<const N: usize> Copy for Buffer<[u8; N]> {}

impl<const N: usize> Deref for Text<N> {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.0
    }
}

impl<const N: usize> DerefMut for Text<N> {
    fn deref_mut(&mut self) -> &mut Buffer {
        &mut self.0
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> AsRef<str> for Text<N> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
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
        assert_eq!((text.as_str(), text.cut, text.characters()), ("abä", true, 3));
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
