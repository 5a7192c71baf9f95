//! The scenes: who runs the program, in which directories, and what it does there.

use nix::sys::signal::Signal;

pub const ROOT: u32 = 0;
/// Whose program it is.
pub const USER: u32 = 20_001;
/// The other user, who swaps names.
pub const OTHER: u32 = 20_002;
/// The user `nobody`. A run that becomes nobody may be taken over: then nobody is the other user.
pub const NOBODY: u32 = 65_534;

/// A scene.
pub struct Scene {
    pub name: &'static str,
    /// Who starts the program. The victims are this user's.
    pub user: u32,
    /// Who swaps names.
    pub other: u32,
    pub begin: Begin,
    /// `HERE` stands for the working directory, `CONF` for the configuration's path.
    pub config: &'static str,
    /// Whether the working directory has a ./tcpmon.conf of root's, too.
    pub configured_here: bool,
    pub steps: &'static [Step],
}

/// The directories at the beginning.
#[derive(Clone, Copy)]
pub struct Begin {
    /// Owner and mode of the working directory.
    pub here: (u32, u32),
    /// Owner, mode and content of `log` in it.
    pub log: Option<(u32, u32, Remnant)>,
    /// Owner and mode of `led`, where a ledger can be.
    pub led: Option<(u32, u32)>,
}

/// What an earlier run has left in the log's directory.
#[derive(Clone, Copy)]
pub enum Remnant {
    OldLogs,
    Ended,
    Killed,
    /// A ledger that names a process of the scene's user as its run.
    Forged,
}

/// A step of a scene. A process is named by its role: its command, or `background` for the one that `start` has made.
pub enum Step {
    /// Starts the program with these arguments.
    Launch(&'static str, &'static str),
    /// Waits until it has waited this many times, or has ended.
    Await(&'static str, u32),
    Send(&'static str, Signal),
    /// Writes another configuration.
    Configure(&'static str),
    /// Waits for its end.
    End(&'static str),
}

use Step::{Await, Configure, End, Launch, Send};

/// The role of the process that `start` makes.
pub const BACKGROUND: &str = "background";

const OPEN: (u32, u32) = (USER, 0o777);
const CLOSED: (u32, u32) = (ROOT, 0o755);

const RELATIVE: &str = "interval 10ms\nkeep 1d\nlog_dir log\ntarget web 127.0.0.1 1\n";
const ABSOLUTE: &str = "interval 10ms\nlog_dir HERE/log\ntarget web 127.0.0.1 1\n";
const ELSEWHERE: &str = "interval 10ms\nlog_dir log\nledger HERE/led/tcpmon.ledger\ntarget web 127.0.0.1 1\n";
const RENAMED: &str = "interval 10ms\nkeep 1d\nlog_dir log\nledger second.ledger\ntarget web 127.0.0.1 1\n";
const OF_NOBODY: &str = "interval 10ms\nlog_dir HERE/log\nuser nobody\ntarget web 127.0.0.1 1\n";

/// A run in the background that `stop` ends.
const START_AND_STOP: &[Step] = &[
    Launch("start", "start -c CONF"),
    End("start"),
    Await(BACKGROUND, 2),
    Launch("stop", "stop -c CONF"),
    End("stop"),
];

/// One that a signal ends.
const START_AND_TERM: &[Step] = &[
    Launch("start", "start -c CONF"),
    End("start"),
    Await(BACKGROUND, 2),
    Send(BACKGROUND, Signal::SIGTERM),
    End(BACKGROUND),
];

/// The usual scene: both users can make names in the directory.
const SHARED: Scene = Scene {
    name: "",
    user: USER,
    other: OTHER,
    begin: Begin { here: OPEN, log: Some((USER, 0o777, Remnant::Ended)), led: None },
    config: ABSOLUTE,
    configured_here: false,
    steps: &[],
};

/// root, and a directory of nobody's.
const OVER_NOBODY: Scene = Scene {
    user: ROOT,
    other: NOBODY,
    begin: Begin { here: CLOSED, log: Some((NOBODY, 0o755, Remnant::Forged)), led: None },
    config: OF_NOBODY,
    ..SHARED
};

/// root, in a directory of somebody else's.
const ELSEWHERE_AS_ROOT: Scene = Scene {
    user: ROOT,
    begin: Begin { here: (OTHER, 0o755), log: None, led: None },
    config: RELATIVE,
    configured_here: true,
    ..SHARED
};

pub const ALL: &[Scene] = &[
    Scene {
        name: "run",
        begin: Begin { here: OPEN, log: Some((USER, 0o777, Remnant::OldLogs)), led: None },
        config: RELATIVE,
        steps: &[Launch("run", "run -n 4 -c CONF"), Await("run", 2), Send("run", Signal::SIGUSR1), End("run")],
        ..SHARED
    },
    Scene {
        name: "ledger-elsewhere",
        begin: Begin { here: OPEN, log: None, led: Some(OPEN) },
        config: ELSEWHERE,
        steps: &[Launch("run", "run -n 2 -c CONF"), End("run")],
        ..SHARED
    },
    Scene {
        name: "recovery",
        begin: Begin { here: OPEN, log: Some((USER, 0o777, Remnant::Killed)), led: None },
        config: RELATIVE,
        steps: &[Launch("run", "run -n 2 -c CONF"), End("run")],
        ..SHARED
    },
    Scene {
        name: "reload",
        begin: Begin { here: OPEN, log: Some((USER, 0o777, Remnant::Ended)), led: None },
        config: RELATIVE,
        steps: &[
            Launch("run", "run -c CONF"),
            Await("run", 2),
            Configure(RENAMED),
            Send("run", Signal::SIGHUP),
            Await("run", 5),
            Send("run", Signal::SIGTERM),
            End("run"),
        ],
        ..SHARED
    },
    Scene { name: "start-stop", steps: START_AND_STOP, ..SHARED },
    Scene { name: "status", steps: &[Launch("status", "status -c CONF"), End("status")], ..SHARED },
    Scene { name: "status-json", steps: &[Launch("status", "status -j -c CONF"), End("status")], ..SHARED },
    Scene {
        name: "root-start",
        begin: Begin { here: CLOSED, log: Some((ROOT, 0o755, Remnant::Ended)), led: None },
        steps: START_AND_TERM,
        ..OVER_NOBODY
    },
    Scene {
        name: "root-start-new",
        begin: Begin { here: CLOSED, log: None, led: None },
        steps: START_AND_TERM,
        ..OVER_NOBODY
    },
    Scene {
        name: "root-start-stop",
        begin: Begin { here: CLOSED, log: Some((NOBODY, 0o755, Remnant::OldLogs)), led: None },
        steps: START_AND_STOP,
        ..OVER_NOBODY
    },
    Scene { name: "root-stop", steps: &[Launch("stop", "stop -c CONF"), End("stop")], ..OVER_NOBODY },
    Scene { name: "root-status", steps: &[Launch("status", "status -c CONF"), End("status")], ..OVER_NOBODY },
    Scene { name: "root-check", steps: &[Launch("check", "check"), End("check")], ..ELSEWHERE_AS_ROOT },
    Scene {
        name: "root-once",
        steps: &[Launch("once", "once --timeout 200ms --slow 100ms"), End("once")],
        ..ELSEWHERE_AS_ROOT
    },
];
