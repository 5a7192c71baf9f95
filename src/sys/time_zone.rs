//! Which time zone is the local one, for both glibc and musl: `TZ`, else /etc/localtime, else the
//! rule in /etc/TZ, which no C library but OpenWrt's old one reads, else UTC.

use core::cell::UnsafeCell;
use core::ffi::c_char;
use core::ptr::null_mut;

use super::by_path::open;
use super::descriptor::read;
use crate::base::limits;
use crate::base::path;
use crate::model::time_zone::{self, TimeZone};

/// Where a system keeps its zone, and where OpenWrt keeps its rule.
const LOCALTIME: &str = "/etc/localtime";
const RULE: &str = "/etc/TZ";

/// Where the files with rules are.
const RULES: &str = "/usr/share/zoneinfo";

/// Where there is none.
const UTC: &str = "UTC0";

/// Bytes of a variable: `TZ=`, a zone and a NUL.
const ROOM: usize = 3 + limits::TIME_ZONE + 1;

/// `TZ=` with a zone and a NUL: the environment holds on to it (environ(7)).
struct Variable(UnsafeCell<[u8; ROOM]>);

// SAFETY: the process has one thread.
unsafe impl Sync for Variable {}

static VARIABLE: Variable = Variable(UnsafeCell::new([0; ROOM]));

unsafe extern "C" {
    /// environ(7).
    static mut environ: *mut *mut c_char;
    /// tzset(3).
    fn tzset();
}

/// Applies the zone is the local one, and reads its rules (tzset(3)), for the first time or anew.
/// Gives what /etc/TZ has, where it is that file's turn and it makes no sense; it is UTC then.
pub fn apply() -> Option<TimeZone> {
    // SAFETY: the process has one thread, so nobody changes the environment meanwhile.
    let found = unsafe { libc::getenv(c"TZ".as_ptr()) };
    let mut wrong = None;
    if found.is_null() {
        enter();
    }
    if found.is_null() || core::ptr::eq(found, VARIABLE.0.get().cast::<c_char>().wrapping_add(3)) {
        let zone = choose(&mut wrong);
        // A C library reads a file anew only after another zone.
        go_over_to(UTC);
        go_over_to(zone.as_str());
    } else {
        // SAFETY: the process has one thread, so nobody reads the environment or the zone meanwhile.
        unsafe { tzset() };
    }
    wrong
}

/// Puts the variable into the environment, for good. putenv(3) would do it, but has much code for one
/// that is there, and for taking it out again.
fn enter() {
    let mut variables = Vec::new();
    // SAFETY: the process has one thread, so nobody changes the environment meanwhile. It is an array that
    // ends with a null, and so is the new one, which lives for ever as the variable does.
    unsafe {
        let mut place = environ;
        while !(*place).is_null() {
            variables.push(*place);
            place = place.add(1);
        }
        variables.push(VARIABLE.0.get().cast());
        variables.push(null_mut());
        environ = variables.leak().as_mut_ptr();
    }
}

/// Makes this the zone.
fn go_over_to(zone: &str) {
    // SAFETY: the process has one thread, and nobody borrows the variable.
    let bytes = unsafe { &mut *VARIABLE.0.get() };
    bytes.fill(0);
    bytes[..3].copy_from_slice(b"TZ=");
    bytes[3..3 + zone.len()].copy_from_slice(zone.as_bytes());
    // SAFETY: the process has one thread, so nobody reads the environment or the zone meanwhile. The
    // variable ends with a NUL because no zone fills it.
    unsafe { tzset() };
}

fn choose(wrong: &mut Option<TimeZone>) -> TimeZone {
    let mut zone = TimeZone::new();
    if is_compiled(LOCALTIME) {
        zone.push(LOCALTIME);
        return zone;
    }
    let mut content = [0; limits::TIME_ZONE];
    if let Some(line) = begin(RULE, &mut content).and_then(time_zone::first_line) {
        if let Some(zone) = time_zone::of_rule(line) {
            return zone;
        }
        zone.push(line);
        if is_compiled(path::within(RULES, line).as_str()) {
            return zone;
        }
        *wrong = Some(zone);
        zone.clear();
    }
    zone.push(UTC);
    zone
}

/// Whether this is a file of rules for the C library (tzfile(5)).
fn is_compiled(path: &str) -> bool {
    begin(path, &mut [0; 4]).is_some_and(|begin| begin == b"TZif")
}

/// How a file begins.
fn begin<'a>(path: &str, content: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = open(path, libc::O_RDONLY | libc::O_NONBLOCK, 0).ok()?;
    let length = read(&file, content).ok()?;
    Some(&content[..length])
}
