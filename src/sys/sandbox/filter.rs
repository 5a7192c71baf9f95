//! The filter of system calls: a classic BPF program (seccomp(2)) made from the tables of `calls`. A call that is not
//! allowed fails with `EPERM`; the process is not killed.

mod calls;

use libc::{BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, c_int, sock_filter};

use super::Role;
use crate::sys::{Errno, done, system_call};
use calls::{CLONE, CLONE3, COMMAND, CPU, FORK, HELPER, IOCTL, MONITOR, SOCKET, UNKNOWN};

/// Most instructions of a program: two for each call, and a few at both ends.
const LENGTH: usize = 300;

/// Offsets in the kernel's description of a call (`struct seccomp_data`): its number, its CPU, and the lower halves of
/// its first and second argument, which have 64 bits on every CPU.
const NUMBER: u32 = 0;
const ON_CPU: u32 = 4;
const FIRST: u32 = if cfg!(target_endian = "big") { 20 } else { 16 };
const SECOND: u32 = FIRST + 8;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
/// For tests: a build with `--cfg tcpmon_fatal` is killed at a call that is not in the tables.
const REFUSE: u32 =
    if cfg!(tcpmon_fatal) { libc::SECCOMP_RET_KILL_PROCESS } else { libc::SECCOMP_RET_ERRNO | libc::EPERM as u32 };
const NO_SUCH_CALL: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// `CLONE_NEW*`: a process in a new namespace, where it would have rights again (clone(2)).
const NEW_NAMESPACE: u32 = 0x7e02_0000;

const fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

const fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0)
}

/// Skips the next `length` instructions if the comparison with `k` is false.
const fn only_if(comparison: u32, k: u32, length: u8) -> sock_filter {
    instruction(BPF_JMP | comparison | BPF_K, k, 0, length)
}

const fn end(answer: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, answer, 0, 0)
}

/// Checks the CPU, and loads the number of the call.
static BEGIN: [sock_filter; 4] = [
    load(ON_CPU),
    // A process can also make the calls of a related CPU (x86 on x86_64), which have other numbers.
    instruction(BPF_JMP | BPF_JEQ | BPF_K, CPU, 1, 0),
    end(REFUSE),
    load(NUMBER),
];

/// The kinds of socket that connects, lookups and the system log need.
static FAMILIES: [c_int; 4] = [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX, libc::AF_NETLINK];

/// The requests of ioctl(2) that only tell something: the length of the next answer of a name server (glibc), the index
/// of a network device, and whether a descriptor is a terminal (in the ways of glibc and of musl) and how large it is.
static REQUESTS: [c_int; 4] =
    [libc::FIONREAD as c_int, libc::SIOCGIFINDEX as c_int, libc::TCGETS as c_int, libc::TIOCGWINSZ as c_int];

/// The calls of socketcall(2) that make a server: listen, accept and accept4 (linux/net.h).
#[cfg(all(target_arch = "x86", target_env = "gnu"))]
static SERVING: [c_int; 3] = [4, 5, 18];

/// The monitor may fork; a helper may not.
static PROCESSES: [sock_filter; 5] =
    [only_if(BPF_JEQ, CLONE as u32, 4), load(FIRST), only_if(BPF_JSET, NEW_NAMESPACE, 1), end(REFUSE), end(ALLOW)];

static END: [sock_filter; 5] = [
    only_if(BPF_JEQ, CLONE3 as u32, 1),
    end(NO_SUCH_CALL),
    only_if(BPF_JGE, UNKNOWN as u32, 1),
    end(NO_SUCH_CALL),
    end(REFUSE),
];

struct Program {
    instructions: [sock_filter; LENGTH],
    length: usize,
}

impl Program {
    fn push(&mut self, instructions: &[sock_filter]) {
        // A program that is too long is cut. Then it does not end with a return, and the kernel refuses it.
        for instruction in instructions {
            if let Some(free) = self.instructions.get_mut(self.length) {
                *free = *instruction;
                self.length += 1;
            }
        }
    }

    /// Refuses a call whose argument at this offset is not one of these; with `refused` one whose argument is.
    fn check(&mut self, call: u16, argument: u32, values: &[c_int], refused: bool) {
        let count = values.len() as u8;
        self.push(&[only_if(BPF_JEQ, call.into(), count + 3), load(argument)]);
        for (value, left) in values.iter().zip((1..=count).rev()) {
            self.push(&[instruction(BPF_JMP | BPF_JEQ | BPF_K, *value as u32, left, 0)]);
        }
        let [other, listed] = if refused { [ALLOW, REFUSE] } else { [REFUSE, ALLOW] };
        self.push(&[end(other), end(listed)]);
    }

    fn allow(&mut self, calls: &[&[u16]]) {
        for calls in calls {
            for call in *calls {
                self.push(&[only_if(BPF_JEQ, (*call).into(), 1), end(ALLOW)]);
            }
        }
    }

    fn new(role: Role) -> Self {
        let mut program = Self { instructions: [end(REFUSE); LENGTH], length: 0 };
        program.push(&BEGIN);
        program.check(SOCKET, FIRST, &FAMILIES, false);
        program.check(IOCTL, SECOND, &REQUESTS, false);
        // glibc uses it for every call on a socket there.
        #[cfg(all(target_arch = "x86", target_env = "gnu"))]
        program.check(libc::SYS_socketcall as u16, FIRST, &SERVING, true);
        program.allow(HELPER);
        match role {
            Role::Helper => {}
            Role::Monitor => {
                program.allow(MONITOR);
                program.allow(FORK);
                program.push(&PROCESSES);
            }
            Role::Command => {
                program.allow(MONITOR);
                program.allow(COMMAND);
            }
        }
        program.push(&END);
        program
    }
}

/// From now on this process and its children have only the system calls of this role.
pub fn confine(role: Role) -> Result<(), Errno> {
    #[cfg(all(target_arch = "x86", not(target_env = "gnu")))]
    if role != Role::Helper {
        // Linux before 4.3 has only socketcall(2) for all calls on sockets, which no filter can tell apart. This
        // call with a family that does not exist shows whether socket(2) does.
        // SAFETY: the arguments are numbers.
        done(unsafe { system_call(libc::SYS_socket, [usize::MAX, 0, 0, 0, 0]) } as c_int).or_else(
            |errno| match errno {
                Errno::ENOSYS => Err(errno),
                _ => Ok(()),
            },
        )?;
    }
    let mut program = Program::new(role);
    let whole = libc::sock_fprog { len: program.length as u16, filter: program.instructions.as_mut_ptr() };
    let (option, mode) = (libc::PR_SET_SECCOMP as usize, libc::SECCOMP_MODE_FILTER as usize);
    // SAFETY: `whole` and its instructions are live; the kernel copies them.
    done(unsafe { system_call(libc::SYS_prctl, [option, mode, (&raw const whole).expose_provenance(), 0, 0]) as c_int })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_fit_and_no_call_is_listed_twice() {
        for role in [Role::Monitor, Role::Helper, Role::Command] {
            let length = Program::new(role).length;
            assert!((150..LENGTH).contains(&length), "{role:?} needs {length}");
        }
        let mut calls: Vec<_> = HELPER.iter().chain(MONITOR).chain(FORK).chain(COMMAND).copied().flatten().collect();
        let count = calls.len();
        calls.sort();
        calls.dedup();
        assert_eq!(calls.len(), count);
    }

    #[test]
    fn no_call_that_runs_a_program_listens_or_changes_the_box_is_listed() {
        use libc::*;
        let calls = || HELPER.iter().chain(MONITOR).chain(FORK).copied().flatten().map(|call| c_long::from(*call));
        for call in [
            SYS_execve,
            SYS_execveat,
            SYS_listen,
            SYS_accept,
            SYS_accept4,
            SYS_ptrace,
            SYS_mount,
            SYS_setuid,
            SYS_setresuid,
            SYS_setgroups,
            SYS_capset,
            SYS_unshare,
            SYS_setns,
            SYS_open_by_handle_at,
            SYS_bpf,
            SYS_process_vm_writev,
            SYS_init_module,
            SYS_reboot,
            SYS_mknodat,
            SYS_fchmodat,
            SYS_fchownat,
            SYS_chroot,
        ] {
            assert!(calls().all(|allowed| allowed != call), "{call}");
        }
        let helper: Vec<_> = HELPER.iter().copied().flatten().map(|call| c_long::from(*call)).collect();
        for call in [SYS_kill, SYS_clone, SYS_unlinkat, SYS_renameat2, SYS_mkdirat, SYS_ftruncate, SYS_prctl] {
            assert!(!helper.contains(&call), "{call}");
        }
    }
}
