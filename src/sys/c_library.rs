//! Functions of the C library that getaddrinfo(3) calls, in small: with musl the linker finds these first. musl's own
//! are made for long texts and many items, and would be 2 % of the program.

use core::ffi::{CStr, c_char, c_int, c_ulong, c_ulonglong, c_void};
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ptr::null;

use crate::base::words;

/// The highest `unsigned long`, which has 32 or 64 bits.
#[allow(clippy::unnecessary_cast)]
const LONG: u64 = c_ulong::MAX as u64;

/// strtoul(3).
///
/// # Safety
/// `text` ends with a NUL, and `end` is null or valid.
// SAFETY: no other function of the program has this name, as musl's is not linked then. The same holds for the
// functions below.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
pub unsafe extern "C" fn strtoul(text: *const c_char, end: *mut *const c_char, base: c_int) -> c_ulong {
    // SAFETY: the caller promises it.
    unsafe { number(text, end, base, LONG) as c_ulong }
}

/// strtoull(3).
///
/// # Safety
/// As for [`strtoul`].
// SAFETY: see `strtoul`.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
pub unsafe extern "C" fn strtoull(text: *const c_char, end: *mut *const c_char, base: c_int) -> c_ulonglong {
    // SAFETY: the caller promises it.
    unsafe { number(text, end, base, c_ulonglong::MAX) }
}

/// The number at the start of a text: blanks, a sign, a prefix of the base, digits. A higher one than `most` is
/// `ERANGE`.
///
/// # Safety
/// As for [`strtoul`].
unsafe fn number(text: *const c_char, end: *mut *const c_char, base: c_int, most: u64) -> u64 {
    // SAFETY: nothing behind the NUL is read: every byte that leads on to the next one is another.
    let byte = |at| unsafe { *text.add(at) } as u8;
    let digit = |at| match byte(at) {
        digit @ b'0'..=b'9' => digit - b'0',
        letter @ (b'A'..=b'Z' | b'a'..=b'z') => (letter | 32) - b'a' + 10,
        _ => u8::MAX,
    };
    let mut at = 0;
    while matches!(byte(at), b' ' | b'\t'..=b'\r') {
        at += 1;
    }
    let negative = byte(at) == b'-';
    if negative || byte(at) == b'+' {
        at += 1;
    }
    let mut base = base as u8;
    if matches!(base, 0 | 16) && byte(at) == b'0' && byte(at + 1) | 32 == b'x' && digit(at + 2) < 16 {
        base = 16;
        at += 2;
    } else if base == 0 {
        base = if byte(at) == b'0' { 8 } else { 10 };
    }
    let (digits, mut value) = (at, Some(0_u64));
    while digit(at) < base {
        let next = value.and_then(|value| value.checked_mul(base.into())?.checked_add(digit(at).into()));
        value = next.filter(|value| *value <= most);
        at += 1;
    }
    if !end.is_null() {
        // SAFETY: the caller promises that it is valid, and `at` is within the text.
        unsafe { *end = text.add(if at == digits { 0 } else { at }) };
    }
    match value {
        Some(value) if negative => value.wrapping_neg(),
        Some(value) => value,
        None => {
            super::Errno::ERANGE.set();
            most
        }
    }
}

/// strstr(3).
///
/// # Safety
/// Both texts end with a NUL.
// SAFETY: see `strtoul`.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
pub unsafe extern "C" fn strstr(mut text: *const c_char, part: *const c_char) -> *const c_char {
    // SAFETY: both texts end with a NUL, and nothing behind one is read.
    unsafe {
        let length = libc::strlen(part);
        while !text.is_null() && libc::strncmp(text, part, length) != 0 {
            text = if *text == 0 { null() } else { libc::strchr(text.add(1), (*part).into()) };
        }
    }
    text
}

/// qsort(3), for the few addresses of a name.
///
/// # Safety
/// `start` has `count` items of `width` bytes, and `compare` can compare them.
// SAFETY: see `strtoul`.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
pub unsafe extern "C" fn qsort(
    start: *mut c_void,
    count: usize,
    width: usize,
    compare: unsafe extern "C" fn(*const c_void, *const c_void) -> c_int,
) {
    for end in 1..count {
        for item in (1..=end).rev() {
            // SAFETY: `item` and the one before it are below `count`, and two items do not overlap.
            unsafe {
                let this = start.byte_add(item * width);
                let before = this.byte_sub(width);
                if compare(before, this) <= 0 {
                    break;
                }
                core::ptr::swap_nonoverlapping(before.cast::<u8>(), this.cast(), width);
            }
        }
    }
}

/// inet_pton(3). musl calls it with `AF_INET6` only, or with `AF_INET`.
///
/// # Safety
/// `text` ends with a NUL, and `address` has room for an address of the family.
// SAFETY: see `strtoul`.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
pub unsafe extern "C" fn inet_pton(family: c_int, text: *const c_char, address: *mut c_void) -> c_int {
    // SAFETY: the caller promises that it ends with a NUL.
    let text = words::utf8(unsafe { CStr::from_ptr(text) }.to_bytes()).unwrap_or_default();
    if family == libc::AF_INET {
        let Ok(found) = text.parse::<Ipv4Addr>() else { return 0 };
        // SAFETY: the caller promises the room.
        unsafe { address.cast::<[u8; 4]>().write(found.octets()) };
    } else {
        let Ok(found) = text.parse::<Ipv6Addr>() else { return 0 };
        // SAFETY: the caller promises the room.
        unsafe { address.cast::<[u8; 16]>().write(found.octets()) };
    }
    1
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test says where it failed")]
mod tests {
    use std::ffi::CString;

    use super::super::Errno;

    use super::*;

    /// Every text of up to `most` of these words.
    fn texts(words: &[&str], most: usize) -> Vec<String> {
        let mut found = vec![String::new()];
        let mut last = found.clone();
        for _ in 0..most {
            last = last.iter().flat_map(|text| words.iter().map(move |word| format!("{text}{word}"))).collect();
            found.extend_from_slice(&last);
        }
        found
    }

    /// What a function of strtoul(3)'s form does with a text: the number, its length in the text, whether it is `ERANGE`.
    fn read<T>(text: &str, function: impl FnOnce(*const c_char, *mut *const c_char) -> T) -> (T, usize, bool) {
        let text = CString::new(text).unwrap();
        let mut end = null();
        Errno::EPERM.set();
        let number = function(text.as_ptr(), &raw mut end);
        let out_of_range = Errno::last() == Errno::ERANGE;
        (number, end as usize - text.as_ptr() as usize, out_of_range)
    }

    #[test]
    fn numbers_are_read_as_libc_reads_them() {
        let mut all = texts(&[" ", "\t", "+", "-", "0", "x", "X", "7", "9", "f", "G", ".", "\u{e9}"], 4);
        for number in
            ["4294967295", "4294967296", "18446744073709551615", "18446744073709551616", "99999999999999999999"]
        {
            all.extend(["", "-", " +", "0", "0x", "ffffffffffffffff"].map(|before| format!("{before}{number}")));
        }
        for text in all {
            for base in [0, 2, 8, 10, 16, 36] {
                // SAFETY: the texts end with a NUL, and the end is valid.
                let (ours, theirs) = unsafe {
                    let ours = (
                        read(&text, |from, end| strtoul(from, end, base)),
                        read(&text, |from, end| strtoull(from, end, base)),
                    );
                    let theirs = (
                        read(&text, |from, end| libc::strtoul(from, end.cast(), base)),
                        read(&text, |from, end| libc::strtoull(from, end.cast(), base)),
                    );
                    (ours, theirs)
                };
                assert_eq!(ours, theirs, "{text:?} in base {base}");
            }
        }
    }

    #[test]
    fn a_number_of_32_bits_has_an_end() {
        let most = u32::MAX.into();
        // SAFETY: the texts end with a NUL, and the end is valid.
        let read = |text| read(text, |from, end| unsafe { number(from, end, 10, most) } as u32);
        assert_eq!(read("4294967295,"), (u32::MAX, 10, false));
        assert_eq!(read("4294967296,"), (u32::MAX, 10, true));
        assert_eq!(read("-4294967296,"), (u32::MAX, 11, true));
        assert_eq!(read("-2,"), (u32::MAX - 1, 2, false));
    }

    #[test]
    fn a_part_is_found_where_libc_finds_it() {
        let all = texts(&["a", "b"], 6);
        for text in &all {
            for part in &all {
                let (text, part) = (CString::new(text.as_str()).unwrap(), CString::new(part.as_str()).unwrap());
                // SAFETY: both end with a NUL.
                let both = unsafe {
                    (strstr(text.as_ptr(), part.as_ptr()), libc::strstr(text.as_ptr(), part.as_ptr()).cast_const())
                };
                assert_eq!(both.0, both.1, "{part:?} in {text:?}");
            }
        }
    }

    #[test]
    fn items_are_sorted_as_libc_sorts_them() {
        unsafe extern "C" fn compare(one: *const c_void, other: *const c_void) -> c_int {
            // SAFETY: the items are of this type.
            let (one, other) = unsafe { (*one.cast::<[u32; 7]>(), *other.cast::<[u32; 7]>()) };
            one[3].cmp(&other[3]) as c_int
        }
        for count in 0..=48 {
            // Different keys in some order, as 97 is prime.
            let mut ours: Vec<[u32; 7]> = (1..=count).map(|i| [i, i, i, i * 35 % 97, i, i, i]).collect();
            let mut theirs = ours.clone();
            // SAFETY: the items are live, and `compare` compares them.
            unsafe {
                qsort(ours.as_mut_ptr().cast(), ours.len(), size_of::<[u32; 7]>(), compare);
                libc::qsort(theirs.as_mut_ptr().cast(), theirs.len(), size_of::<[u32; 7]>(), Some(compare_of_libc));
            }
            assert_eq!(ours, theirs);
        }
        extern "C" fn compare_of_libc(one: *const c_void, other: *const c_void) -> c_int {
            // SAFETY: as there.
            unsafe { compare(one, other) }
        }
    }

    #[test]
    fn addresses_are_read_as_libc_reads_them() {
        unsafe extern "C" {
            #[link_name = "inet_pton"]
            fn of_libc(family: c_int, text: *const c_char, address: *mut c_void) -> c_int;
        }
        let mut all = texts(&["0", "1", "25", "6", "fF", "g", ":", ".", "%"], 6);
        // All lengths of addresses, with and without an IPv4 address at the end.
        for text in texts(&["1:", ":", "fe80:"], 9) {
            all.extend(["", "1", ":1", "00000", "1.2.3.4", "1.2.3.04", "1.2.3.256"].map(|end| format!("{text}{end}")));
        }
        for text in all {
            let ended = CString::new(text.as_str()).unwrap();
            for family in [libc::AF_INET, libc::AF_INET6] {
                let mut addresses = [[0_u8; 16]; 2];
                // SAFETY: the text ends with a NUL, and an address has at most 16 bytes.
                let results = unsafe {
                    (
                        inet_pton(family, ended.as_ptr(), addresses[0].as_mut_ptr().cast()),
                        of_libc(family, ended.as_ptr(), addresses[1].as_mut_ptr().cast()),
                    )
                };
                assert_eq!(results.0, results.1, "{text:?}");
                assert!(results.0 == 0 || addresses[0] == addresses[1], "{text:?}");
            }
        }
    }
}
