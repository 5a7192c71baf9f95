//! The local time zone, for both glibc and musl: `TZ`, else /etc/localtime, else the rule in /etc/TZ, which only
//! OpenWrt's old libc reads itself, else UTC.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use core::ptr::null_mut;

use super::small_file::read;
use crate::base::{limits, path, words};
use crate::model::time_zone::{self, TimeZone};

/// The file with the system's time zone, and OpenWrt's file with a rule.
const LOCALTIME: &str = "/etc/localtime";
const RULE: &str = "/etc/TZ";

/// The directories in which musl looks for compiled time zones. The first is glibc's.
const ZONES: [&str; 3] = ["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo"];

/// The rule if none is configured.
const UTC: &str = "UTC0";

/// Bytes of the environment variable: `TZ=`, a time zone and a NUL.
const SIZE: usize = 3 + limits::TIME_ZONE + 1;

/// The environment variable `TZ`. The environment points into it (environ(7)).
struct Variable(UnsafeCell<[u8; SIZE]>);

// SAFETY: the process has one thread.
unsafe impl Sync for Variable {}

static VARIABLE: Variable = Variable(UnsafeCell::new([0; SIZE]));

unsafe extern "C" {
    /// environ(7).
    static mut environ: *mut *mut c_char;
    /// tzset(3).
    fn tzset();
}

/// Applies the local time zone: reads its rules (tzset(3)), for the first time or again. If `TZ` or /etc/TZ decides but is
/// not valid, local time is UTC; returns which of the two, and its content.
pub fn apply() -> Option<(&'static str, TimeZone)> {
    // SAFETY: the process has one thread, so nothing else changes the environment.
    let found = unsafe { libc::getenv(c"TZ".as_ptr()) };
    let mut invalid = None;
    if found.is_null() {
        add_to_environment();
    }
    if found.is_null() || core::ptr::eq(found, VARIABLE.0.get().cast::<c_char>().wrapping_add(3)) {
        let zone = choose(&mut invalid);
        // libc reads a file again only after a change of the time zone.
        set(UTC);
        set(zone.as_str());
    } else {
        // SAFETY: the process has one thread, so nothing else uses the environment or the time zone. The variable's value
        // ends with a NUL.
        let value = unsafe {
            tzset();
            CStr::from_ptr(found)
        };
        invalid = words::utf8(value.to_bytes()).and_then(unknown).map(|zone| ("TZ", zone));
    }
    invalid
}

/// The value of `TZ`, if the C library does not know it. It takes an empty one for UTC.
fn unknown(value: &str) -> Option<TimeZone> {
    let name = value.strip_prefix(':').unwrap_or(value);
    if name.is_empty() || known(name).is_some() {
        return None;
    }
    let mut unknown = TimeZone::new();
    unknown.push(value);
    Some(unknown)
}

/// Adds the variable to the environment. putenv(3) would carry code that replaces and removes variables, too.
fn add_to_environment() {
    let mut variables = Vec::new();
    // SAFETY: the process has one thread, so nothing else changes the environment. The old and the new array end
    // with a null pointer; the new array and the variable are never freed.
    unsafe {
        let mut next = environ;
        while !(*next).is_null() {
            variables.push(*next);
            next = next.add(1);
        }
        variables.push(VARIABLE.0.get().cast());
        variables.push(null_mut());
        environ = variables.leak().as_mut_ptr();
    }
}

/// Sets the time zone to this one.
fn set(zone: &str) {
    // SAFETY: the process has one thread, and nothing else borrows the variable.
    let bytes = unsafe { &mut *VARIABLE.0.get() };
    bytes.fill(0);
    bytes[..3].copy_from_slice(b"TZ=");
    bytes[3..3 + zone.len()].copy_from_slice(zone.as_bytes());
    // SAFETY: the process has one thread, so nothing else uses the environment or the time zone. The variable ends
    // with a NUL because no time zone fills it.
    unsafe { tzset() };
}

/// The time zone that is configured. `invalid` becomes the content of /etc/TZ if that is not valid.
fn choose(invalid: &mut Option<(&'static str, TimeZone)>) -> TimeZone {
    let mut zone = TimeZone::new();
    if is_compiled(LOCALTIME) {
        zone.push(LOCALTIME);
        return zone;
    }
    let mut content = [0; limits::TIME_ZONE];
    if let Some(line) = read(RULE, &mut content).and_then(time_zone::first_line) {
        if let Some(zone) = known(line) {
            return zone;
        }
        zone.push(line);
        *invalid = Some((RULE, zone));
        zone.clear();
    }
    zone.push(UTC);
    zone
}

/// The value of `TZ` for a rule, or for the name or path of a compiled time zone; `None` if it is neither.
#[inline(never)]
fn known(zone: &str) -> Option<TimeZone> {
    let directories = if zone.starts_with('/') { &[""][..] } else { &ZONES };
    let is_file = |directory| is_compiled(path::within(directory, zone).as_str());
    time_zone::of_rule(zone).or_else(|| {
        let is_there = directories.iter().any(|directory| is_file(directory));
        is_there.then(|| TimeZone::copy(zone)).flatten()
    })
}

/// Whether this file is a compiled time zone (tzfile(5)).
fn is_compiled(path: &str) -> bool {
    read(path, &mut [0; 4]).is_some_and(|begin| begin == b"TZif")
}
