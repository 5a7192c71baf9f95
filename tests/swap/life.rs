//! One life of a scene: its steps, with at most one swap at one call.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::Result;
use crate::area::{Area, identity};
use crate::calls::{self, Name};
use crate::decoy::Decoy;
use crate::plan::{Case, Moment, Seen};
use crate::scene::{BACKGROUND, Scene, Step};
use crate::swapper::{self, Swap, Target};
use crate::tracer::{Event, Tracer};

/// How long a life may last.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A process of the program.
struct Process {
    role: String,
    parent: Option<Pid>,
    /// Its calls that name something of the scene, from 1.
    nth: u32,
    /// How often it has waited.
    waits: u32,
    /// Whether Landlock is in force for it.
    confined: bool,
    /// The call in which it is: its name, and its number.
    call: (&'static str, i64),
    /// What must be swapped when the call has been made.
    due: Option<Target>,
}

/// What happened in a life.
#[derive(Default)]
pub struct Lived {
    /// The calls that name something, in their order.
    pub seen: Vec<Seen>,
    /// Whether the call of the case was made.
    pub reached: bool,
    pub swap: Option<Swap>,
    /// Whether Landlock was in force for the process at the swap.
    pub confined: bool,
    /// The process that has the pid of one that ended.
    pub taken: Option<Decoy>,
    /// What went wrong by itself: it hung, or died of a signal.
    pub wrong: Vec<String>,
}

/// A life in its area.
pub struct Life<'a> {
    pub binary: &'a Path,
    pub scene: &'a Scene,
    pub area: &'a Area,
    pub decoys: &'a [Decoy],
    /// A ledger that names a decoy of the scene's user.
    pub ledger: &'a [u8],
    pub case: Option<&'a Case>,
}

impl Life<'_> {
    /// Lives it. At the end no process of it is left.
    pub fn live(&self) -> Result<Lived> {
        let mut tracer = Tracer::default();
        let mut processes = BTreeMap::new();
        let mut lived = Lived::default();
        let result = self.play(&mut tracer, &mut processes, &mut lived);
        tracer.kill_all();
        result.map(|()| lived)
    }

    fn play(&self, tracer: &mut Tracer, processes: &mut BTreeMap<Pid, Process>, lived: &mut Lived) -> Result {
        let until = Instant::now() + LIMIT;
        for step in self.scene.steps {
            match step {
                Step::Launch(role, arguments) => {
                    let pid = tracer.launch(&mut self.command(arguments)?)?;
                    processes.insert(pid, Process::new(role, None));
                }
                Step::Configure(text) => self.area.configure(text)?,
                Step::Send(role, signal) => {
                    for pid in with_role(processes, role) {
                        kill(pid, *signal)?;
                    }
                }
                Step::Await(..) | Step::End(_) => {}
            }
            while !is_done(step, processes) {
                let Some(event) = tracer.next(until)? else {
                    for process in processes.values() {
                        let (call, number) = process.call;
                        lived.wrong.push(format!("{} did not end, it is in call {number} {call}", process.role));
                    }
                    return Ok(());
                };
                if !self.handle(event, tracer, processes, lived)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn command(&self, arguments: &str) -> Result<Command> {
        let file = |name: &str| File::options().create(true).append(true).open(self.area.output(name));
        let mut command = Command::new(self.binary);
        command.args(self.area.text(arguments).split(' ')).current_dir(self.area.here());
        command.env("TZ", "UTC").env("LC_ALL", "C").env_remove("LD_LIBRARY_PATH");
        command.uid(self.scene.user).gid(self.scene.user);
        command.stdin(Stdio::null()).stdout(file("out")?).stderr(file("err")?);
        Ok(command)
    }

    /// Handles an event. Returns whether the life goes on.
    fn handle(
        &self,
        event: Event,
        tracer: &mut Tracer,
        processes: &mut BTreeMap<Pid, Process>,
        lived: &mut Lived,
    ) -> Result<bool> {
        match event {
            Event::Entry { pid, number, arguments } => {
                let (call, names) = calls::names(pid, number, &arguments);
                let targets = self.targets(call, &names, pid, processes);
                let Some(process) = processes.get_mut(&pid) else { return Ok(true) };
                process.call = (call, number);
                process.waits += u32::from(calls::is_wait(number));
                if !targets.is_empty() {
                    process.nth += 1;
                    let label = self.label(call, &names);
                    let target = self.case.filter(|case| case.role == process.role && case.nth == process.nth);
                    lived.reached |= target.is_some();
                    let target = target.and_then(|case| targets.get(case.target).cloned().zip(Some(case.moment)));
                    let (role, nth) = (process.role.clone(), process.nth);
                    lived.seen.push(Seen { role, nth, label, targets });
                    match target {
                        Some((target, Moment::Before)) => {
                            self.swap(pid, &target, &names, (tracer, processes, lived))?
                        }
                        Some((target, Moment::After)) => process.due = Some(target),
                        None => {}
                    }
                }
                tracer.go_on(pid);
            }
            Event::Exit { pid, result } => {
                let Some(process) = processes.get_mut(&pid) else { return Ok(true) };
                let (call, number) = std::mem::take(&mut process.call);
                process.confined |= number == libc::SYS_landlock_restrict_self && result == 0;
                if let Some(target) = process.due.take() {
                    self.swap(pid, &target, &[], (tracer, processes, lived))?;
                }
                if calls::is_signal(call) && self.decoys.iter().chain(&lived.taken).any(|decoy| decoy.harm().is_some())
                {
                    return Ok(false);
                }
                tracer.go_on(pid);
            }
            Event::Forked { parent, child } => {
                if let Some(process) = processes.get(&parent) {
                    let role = if process.role == "start" { BACKGROUND } else { "helper" };
                    let mut new = Process::new(role, Some(parent));
                    new.confined = process.confined;
                    processes.insert(child, new);
                }
                tracer.go_on(parent);
            }
            Event::Ended { pid, signal } => {
                let process = processes.remove(&pid);
                if let (Some(process), Some(signal)) = (process, signal) {
                    // Helpers are killed by the loop.
                    if process.role != "helper" {
                        lived.wrong.push(format!("{} died of {signal}", process.role));
                    }
                }
            }
        }
        Ok(true)
    }

    /// What can be swapped at a call: names below the working directory, if the other user may write there, and
    /// processes of the program that are not the caller's own children.
    fn targets(&self, call: &str, names: &[Name], pid: Pid, processes: &BTreeMap<Pid, Process>) -> Vec<Target> {
        let here = self.area.here();
        let mut targets = Vec::new();
        for name in names {
            match name {
                Name::File(path) => {
                    for path in path.ancestors().take_while(|path| path.starts_with(&here) && **path != here) {
                        let is_last = name == &Name::File(path.to_owned());
                        let is_directory = path.is_dir() || !is_last || call.starts_with("mkdir");
                        let target =
                            if is_directory { Target::Directory(path.into()) } else { Target::File(path.into()) };
                        let directory = path.parent().unwrap_or(&here);
                        if swapper::can_write(self.scene.other, directory) && !targets.contains(&target) {
                            targets.push(target);
                        }
                    }
                }
                Name::Process(other) => {
                    let is_ours = processes.get(other).is_some_and(|process| process.parent != Some(pid));
                    if is_ours && *other != pid {
                        targets.push(Target::Process);
                    }
                }
            }
        }
        targets
    }

    fn label(&self, call: &str, names: &[Name]) -> String {
        let here = self.area.here();
        let names: Vec<String> = names
            .iter()
            .map(|name| match name {
                Name::File(path) => path.strip_prefix(&here).unwrap_or(path).display().to_string(),
                Name::Process(_) => "the run's pid".to_owned(),
            })
            .collect();
        format!("{call} {}", names.join(" "))
    }

    fn swap(
        &self,
        pid: Pid,
        target: &Target,
        names: &[Name],
        (tracer, processes, lived): (&mut Tracer, &mut BTreeMap<Pid, Process>, &mut Lived),
    ) -> Result {
        let Some(case) = self.case else { return Ok(()) };
        lived.confined = processes.get(&pid).is_some_and(|process| process.confined);
        match target {
            Target::File(path) | Target::Directory(path) => {
                lived.swap = swapper::swap(self.area, self.scene, self.ledger, path, case)?;
            }
            Target::Process => {
                let named = names.iter().find_map(|name| match name {
                    Name::Process(other) => Some(*other),
                    Name::File(_) => None,
                });
                // After the call: the process that runs beside this one.
                let other = named.or_else(|| processes.keys().copied().find(|other| *other != pid));
                let Some(other) = other.filter(|other| tracer.traces(*other)) else { return Ok(()) };
                tracer.kill(other);
                processes.remove(&other);
                // As a user whom the caller may signal.
                lived.taken = Some(Decoy::with_pid(self.owner_of_the_run(), other)?);
                let path = PathBuf::from(format!("/proc/{other}"));
                lived.swap =
                    Some(Swap { variant: case.variant, identity: identity(&path)?, path, planted: None, _lock: None });
            }
        }
        Ok(())
    }

    /// The user that the run in the background becomes.
    fn owner_of_the_run(&self) -> u32 {
        if self.scene.config.contains("user nobody") { crate::scene::NOBODY } else { self.scene.user }
    }
}

impl Process {
    fn new(role: &str, parent: Option<Pid>) -> Self {
        Self { role: role.to_owned(), parent, nth: 0, waits: 0, confined: false, call: ("", -1), due: None }
    }
}

fn with_role(processes: &BTreeMap<Pid, Process>, role: &str) -> Vec<Pid> {
    processes.iter().filter(|(_, process)| process.role == role).map(|(pid, _)| *pid).collect()
}

/// Whether the scene may go on after this step.
fn is_done(step: &Step, processes: &BTreeMap<Pid, Process>) -> bool {
    let of_role = |wanted: &str, is_done: fn(&Process, u32) -> bool, count: u32| {
        processes.values().filter(|process| process.role == wanted).all(|process| is_done(process, count))
    };
    match step {
        Step::Launch(..) | Step::Configure(_) | Step::Send(..) => true,
        Step::Await(role, count) => of_role(role, |process, count| process.waits >= count, *count),
        Step::End(role) => of_role(role, |_, _| false, 0),
    }
}
