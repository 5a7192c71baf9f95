//! Which time zone is the local one, for both glibc and musl: `TZ`, else /etc/localtime, else the
//! rule in /etc/TZ, which no C library but OpenWrt's old one reads, else UTC.

use core::cell::UnsafeCell;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::read;

use crate::limits;
use crate::path::Path;
use crate::text::Text;
use crate::zone::{self, Zone};

/// Where a system keeps its zone, and where OpenWrt keeps its rule.
const LOCALTIME: &str = "/etc/localtime";
const RULE: &str = "/etc/TZ";

/// Where the files with rules are.
const RULES: &str = "/usr/share/zoneinfo";

/// Where there is none.
const UTC: &str = "UTC0";

/// Bytes of a variable: `TZ=`, a zone and a NUL.
const ROOM: usize = 3 + limits::ZONE + 1;

/// `TZ=` with a zone and a NUL: the environment holds on to it (putenv(3)).
struct Variable(UnsafeCell<[u8; ROOM]>);

// SAFETY: the process has one thread.
unsafe impl Sync for Variable {}

static VARIABLE: Variable = Variable(UnsafeCell::new([0; ROOM]));

/// Settles which zone is the local one, and reads its rules (tzset(3)), for the first time or anew.
/// Gives what /etc/TZ has, where it is that file's turn and it makes no sense; it is UTC then.
pub fn settle() -> Option<Zone> {
    // SAFETY: the process has one thread, so nobody changes the environment meanwhile.
    let found = unsafe { libc::getenv(c"TZ".as_ptr()) };
    let mut wrong = None;
    if found.is_null() || core::ptr::eq(found, VARIABLE.0.get().cast::<libc::c_char>().wrapping_add(3)) {
        let zone = choose(&mut wrong);
        // A C library reads a file anew only after another zone.
        go_over_to(UTC);
        go_over_to(zone.as_str());
    } else {
        tell();
    }
    wrong
}

/// Makes this the zone.
fn go_over_to(zone: &str) {
    // SAFETY: the process has one thread, and nobody borrows the variable.
    let bytes = unsafe { &mut *VARIABLE.0.get() };
    bytes.fill(0);
    bytes[..3].copy_from_slice(b"TZ=");
    bytes[3..3 + zone.len()].copy_from_slice(zone.as_bytes());
    // SAFETY: the variable is static, and ends with a NUL because no zone fills it.
    unsafe { libc::putenv(VARIABLE.0.get().cast()) };
    tell();
}

/// Lets the C library see the variable.
fn tell() {
    unsafe extern "C" {
        fn tzset();
    }
    // SAFETY: the process has one thread, so nobody reads the environment or the zone meanwhile.
    unsafe { tzset() };
}

fn choose(wrong: &mut Option<Zone>) -> Zone {
    let utc = Text::format(format_args!("{UTC}"));
    let mut content = [0; limits::ZONE];
    if is_compiled(LOCALTIME) {
        return Text::format(format_args!("{LOCALTIME}"));
    }
    let Some(line) = begin(RULE, &mut content).and_then(zone::first_line) else { return utc };
    if let Some(zone) = zone::of_rule(line.as_str()) {
        return zone;
    }
    if is_compiled(Path::format(format_args!("{RULES}/{line}")).as_str()) {
        return line;
    }
    *wrong = Some(line);
    utc
}

/// Whether this is a file of rules for the C library (tzfile(5)).
fn is_compiled(path: &str) -> bool {
    begin(path, &mut [0; 4]).is_some_and(|begin| begin == b"TZif")
}

/// How a file begins.
fn begin<'a>(path: &str, content: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty()).ok()?;
    let length = read(&file, content).ok()?;
    Some(&content[..length])
}
