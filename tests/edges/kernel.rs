//! What the kernel says about processes and sockets of the program under test.

use std::fs;
use std::net::SocketAddr;

use nix::unistd::Pid;

/// A process as `/proc` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: Pid,
    pub name: String,
    /// `R`, `S`, `Z` and so on, as proc_pid_stat(5) has them.
    pub state: char,
    /// When it started, which tells it from a later process with the same pid.
    pub started: u64,
    parent: i32,
}

impl Process {
    /// The process with this pid; `None` when there is none.
    pub fn of(pid: Pid) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.split_once('(')?;
        // The name may contain parentheses: the last one is its end.
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        Some(Self {
            pid,
            name: name.to_owned(),
            state: fields[0].chars().next()?,
            parent: fields[1].parse().ok()?,
            started: fields[19].parse().ok()?,
        })
    }

    /// Whether this process still runs; a zombie does not.
    pub fn runs(&self) -> bool {
        Self::of(self.pid).is_some_and(|now| now.started == self.started && now.state != 'Z')
    }
}

/// The children of a process, including zombies.
pub fn children(parent: Pid) -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Process::of(Pid::from_raw(pid)))
        .filter(|process| process.parent == parent.as_raw())
        .collect()
}

/// The children of a process that are no zombies.
pub fn helpers(parent: Pid) -> Vec<Process> {
    children(parent).into_iter().filter(|process| process.state != 'Z').collect()
}

/// The open file descriptors of a process: number and target (`socket:[1234]`, or a path).
pub fn descriptors(pid: Pid) -> Vec<(u64, String)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs and is ours");
    let open = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let number = path.file_name()?.to_str()?.parse().ok()?;
        Some((number, fs::read_link(path).ok()?.to_string_lossy().into_owned()))
    });
    open.collect()
}

/// The lowest free descriptor number of a process, which its next descriptor gets.
pub fn lowest_free_descriptor(pid: Pid) -> u64 {
    let open = descriptors(pid);
    (0..).find(|number| open.iter().all(|(used, _)| used != number)).expect("some number is free")
}

/// How many sockets of this namespace have sent a SYN to `to` and got no answer yet.
pub fn unanswered(to: SocketAddr) -> usize {
    const SYN_SENT: &str = "02";
    let SocketAddr::V4(to) = to else { panic!("only IPv4 is looked for, not {to}") };
    // proc_pid_net(5): the address as one number in the machine's order, then the port, in hexadecimal.
    let remote = format!("{:08X}:{:04X}", u32::from_ne_bytes(to.ip().octets()), to.port());
    let table = fs::read_to_string("/proc/self/net/tcp").expect("/proc is mounted");
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[2] == remote && row[3] == SYN_SENT).count()
}

/// How many sockets of this namespace still keep the port of a connection that has ended.
pub fn sockets_in_time_wait() -> usize {
    const TIME_WAIT: &str = "06";
    let tables = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.filter(|row| row.split_whitespace().nth(3) == Some(TIME_WAIT)).count()
}

/// A counter of this namespace's TCP (RFC 4022): `ActiveOpens` are the connects that sent a SYN,
/// `AttemptFails` those that were refused or given up, `RetransSegs` the segments that were sent again.
pub fn tcp_counter(name: &str) -> u64 {
    let table = fs::read_to_string("/proc/self/net/snmp").expect("/proc is mounted");
    let mut lines = table.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, numbers) = (lines.next().expect("the names"), lines.next().expect("the numbers"));
    let at = names.split(' ').position(|n| n == name).expect("a counter of TCP");
    numbers.split(' ').nth(at).expect("as many numbers as names").parse().expect("a number")
}
