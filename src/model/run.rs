//! A run as another process sees it.

/// Whether a run has a lock, and which process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// None has it.
    None,
    /// A process has it that does not say yet which one it is: it starts, or has just been killed.
    Starting,
    /// The process with this pid has it.
    Here(u32),
    /// A process has it that cannot be seen from here: it is in another pid namespace.
    Elsewhere,
}
