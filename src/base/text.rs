//! Text in a fixed buffer, so that text at run time needs no heap.

use core::fmt;
use core::ops::{Deref, DerefMut};

use crate::base::words;

/// At most `N` bytes of UTF-8.
///
/// Writing to it never fails: text that does not fit is cut at a character boundary.
#[derive(Clone, Copy)]
pub struct Text<const N: usize>(Buffer<[u8; N]>);

/// A [`Text`] of any size. Its methods are here, so that the binary has them once and not for every size.
pub struct Buffer<B: ?Sized = [u8]> {
    length: u16,
    cut: bool,
    bytes: B,
}

impl<const N: usize> Text<N> {
    /// The empty text.
    pub const fn new() -> Self {
        const { assert!(N <= u16::MAX as usize) }
        Self(Buffer { length: 0, cut: false, bytes: [0; N] })
    }

    /// A copy of `text`; `None` if it is longer than `N` bytes.
    pub fn copy(text: &str) -> Option<Self> {
        let mut copied = Self::new();
        copied.set(text).then_some(copied)
    }

    /// A text formatted from these parts, cut after at most `N` bytes.
    pub fn format(parts: fmt::Arguments<'_>) -> Self {
        let mut text = Self::new();
        text.append(parts);
        text
    }
}

impl Buffer {
    /// Replaces the content by `text`, if that fits. Returns whether it does.
    #[inline(never)]
    pub fn set(&mut self, text: &str) -> bool {
        let fits = text.len() <= self.bytes.len();
        if fits {
            self.clear();
            self.push(text);
        }
        fits
    }

    /// Appends as much of `text` as fits; nothing after a cut.
    #[inline(never)]
    pub fn push(&mut self, text: &str) {
        let start = usize::from(self.length);
        let mut fitting = if self.cut { 0 } else { text.len().min(self.bytes.len() - start) };
        while !text.is_char_boundary(fitting) {
            fitting -= 1;
        }
        self.cut |= fitting < text.len();
        self.bytes[start..start + fitting].copy_from_slice(&text.as_bytes()[..fitting]);
        self.length = (start + fitting) as u16;
    }

    /// Formats these parts and appends as much as fits.
    #[inline(never)]
    pub fn append(&mut self, parts: fmt::Arguments<'_>) {
        // `write_str` below never fails, nor does a Display of ours.
        let _ = fmt::Write::write_fmt(self, parts);
    }

    /// The text.
    #[inline(never)]
    pub fn as_str(&self) -> &str {
        // This cannot fail, because only whole characters are stored.
        words::utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// How many characters it has: all bytes but those that continue a character.
    #[inline(never)]
    pub fn characters(&self) -> usize {
        self.as_bytes().iter().filter(|byte| !matches!(byte, 0x80..=0xbf)).count()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Removes the content.
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

/// A number of things. Displayed in words: `1 tick`, `2 ticks`.
pub struct Count<'a>(pub u64, pub &'a str);

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// Pieces of a text. Displayed one after the other.
pub struct Pieces<'a>(pub &'a [&'a str]);

impl fmt::Display for Pieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| f.write_str(piece))
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
    fn text_that_does_not_fit_is_cut_at_a_character_boundary() {
        let text = Text::<4>::format(format_args!("{}{}", "ab", "äö"));
        assert_eq!((text.as_str(), text.cut, text.characters()), ("abä", true, 3));
    }

    #[test]
    fn nothing_is_appended_after_a_cut() {
        let text = Text::<4>::format(format_args!("{}{}", "abcä", "d"));
        assert_eq!((text.as_str(), text.cut), ("abc", true));
    }

    #[test]
    fn a_cleared_text_is_as_new() {
        let mut text = Text::<2>::format(format_args!("abc"));
        text.clear();
        assert_eq!((text.as_str(), text.cut, text.is_empty()), ("", false, true));
    }
}
