//! The identity of a process.

/// A process. Its start tells it from a later process with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessId {
    /// Its pid.
    pub pid: u32,
    /// When it was started, in clock ticks since boot (field 22 of /proc/PID/stat).
    pub born: u32,
}
