//! Small files, as of proc(5), and the numbers in them.

use super::by_path::open;
use super::descriptor;
use crate::base::words;

/// The content, as far as `room` holds it. `None` if it cannot be read.
pub fn read<'a>(path: &str, room: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = open(path, libc::O_RDONLY | libc::O_NONBLOCK, 0).ok()?;
    let length = descriptor::read(&file, room).ok()?;
    Some(&room[..length])
}

/// The number at the front of a field, cut to 32 bits. The first field is 0.
pub fn field(line: &[u8], separator: u8, number: usize) -> Option<u32> {
    let field = line.split(|byte| *byte == separator).nth(number)?;
    Some(words::leading_number(words::utf8(field)?)?.0 as u32)
}
