//! The filter of system calls: a classic BPF program (seccomp(2)) made from the tables of `calls`. A call that is not
//! allowed fails with `EPERM`; the process is not killed.

mod calls;

use libc::{BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, c_int, sock_filter};

use super::Role;
use crate::sys::{Errno, done, system_call};
use calls::{
    ANSWER, CLONE, CLONE3, COMMAND, CPU, FCNTL, FLOCK, FORK, HELPER, IOCTL, MONITOR, OPENAT, PROBES, READER, SOCKET,
    UNKNOWN,
};

/// Most instructions of a program: two for each call, and a few at both ends.
const LENGTH: usize = 300;

/// Offsets in the kernel's description of a call (`struct seccomp_data`): its number, its CPU, and the lower halves of
/// its first three arguments, which have 64 bits on every CPU.
const NUMBER: u32 = 0;
const ON_CPU: u32 = 4;
const FIRST: u32 = if cfg!(target_endian = "big") { 20 } else { 16 };
const SECOND: u32 = FIRST + 8;
const THIRD: u32 = SECOND + 8;

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

/// The flags of open(2) with which a file is written, made or cut (fcntl.h). What is only a path of a file has none of
/// them. `O_ACCMODE` of musl is not used: it has `O_PATH`.
const WRITING: u32 = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u32;

/// What an answer to a web server asks flock(2): whether there is a lock. One that waits, or that lasts against another
/// shared one, is not among them.
static LOCKS: [c_int; 2] = [libc::LOCK_SH | libc::LOCK_NB, libc::LOCK_UN];

/// What it asks fcntl(2): which process has a lock (in both forms on a CPU of 32 bits), and about its descriptors. With the
/// locks themselves it could pretend to be a run.
static QUESTIONS: &[c_int] = &[
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_GETLK,
    #[cfg(target_pointer_width = "32")]
    if cfg!(target_arch = "mips") { 33 } else { 12 },
];

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

    /// Refuses a call if its argument at this offset has one of these bits.
    fn check_bits(&mut self, call: u16, argument: u32, bits: u32) {
        self.push(&[
            only_if(BPF_JEQ, call.into(), 4),
            load(argument),
            only_if(BPF_JSET, bits, 1),
            end(REFUSE),
            end(ALLOW),
        ]);
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
        if role == Role::Answer {
            program.allow(READER);
            program.allow(ANSWER);
            program.check_bits(OPENAT, THIRD, WRITING);
            #[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
            program.check_bits(calls::OPEN, SECOND, WRITING);
            program.check(FLOCK, SECOND, &LOCKS, false);
            program.check(FCNTL, SECOND, QUESTIONS, false);
            #[cfg(target_pointer_width = "32")]
            program.check(calls::FCNTL64, SECOND, QUESTIONS, false);
        } else {
            program.check(SOCKET, FIRST, &FAMILIES, false);
            program.check(IOCTL, SECOND, &REQUESTS, false);
            // glibc uses it for every call on a socket there.
            #[cfg(all(target_arch = "x86", target_env = "gnu"))]
            program.check(libc::SYS_socketcall as u16, FIRST, &SERVING, true);
            program.allow(PROBES);
            program.allow(READER);
            program.allow(HELPER);
        }
        match role {
            Role::Helper | Role::Answer => {}
            Role::Monitor => {
                program.allow(MONITOR);
                program.allow(FORK);
                // It may fork; a helper may not.
                program.check_bits(CLONE, FIRST, NEW_NAMESPACE);
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
    if matches!(role, Role::Monitor | Role::Command) {
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
    fn the_programs_fit_and_no_call_is_listed_twice() {
        for role in [Role::Monitor, Role::Helper, Role::Command, Role::Answer] {
            let length = Program::new(role).length;
            assert!((120..LENGTH).contains(&length), "{role:?} needs {length}");
        }
        let lists = PROBES.iter().chain(READER).chain(HELPER).chain(MONITOR).chain(FORK).chain(COMMAND);
        let mut calls: Vec<_> = lists.copied().flatten().collect();
        let count = calls.len();
        calls.sort();
        calls.dedup();
        assert_eq!(calls.len(), count);
    }

    #[test]
    fn no_call_that_runs_a_program_listens_or_changes_the_box_is_listed() {
        use libc::*;
        let lists = || PROBES.iter().chain(READER).chain(HELPER).chain(MONITOR).chain(FORK).chain(ANSWER);
        let calls = || lists().copied().flatten().map(|call| c_long::from(*call));
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
        let helper: Vec<_> =
            PROBES.iter().chain(READER).chain(HELPER).copied().flatten().map(|call| c_long::from(*call)).collect();
        for call in [SYS_kill, SYS_clone, SYS_unlinkat, SYS_renameat2, SYS_mkdirat, SYS_ftruncate, SYS_prctl] {
            assert!(!helper.contains(&call), "{call}");
        }
    }

    #[test]
    fn an_answer_has_no_call_that_writes_a_file_makes_a_socket_or_reaches_another_process() {
        use libc::*;
        let answer: Vec<_> = READER.iter().chain(ANSWER).copied().flatten().map(|call| c_long::from(*call)).collect();
        for call in [
            SYS_socket,
            SYS_socketpair,
            SYS_connect,
            SYS_bind,
            SYS_sendto,
            SYS_sendmsg,
            SYS_recvmsg,
            SYS_clone,
            SYS_clone3,
            SYS_kill,
            SYS_tgkill,
            SYS_pidfd_open,
            SYS_pidfd_send_signal,
            SYS_unlinkat,
            SYS_renameat2,
            SYS_mkdirat,
            SYS_symlinkat,
            SYS_linkat,
            SYS_ftruncate,
            SYS_fallocate,
            SYS_fchmod,
            SYS_fchown,
            SYS_fchmodat,
            SYS_utimensat,
            SYS_prlimit64,
            SYS_prctl,
            SYS_ioctl,
            SYS_dup3,
            // Of these an argument is checked.
            SYS_openat,
            SYS_fcntl,
            SYS_flock,
        ] {
            assert!(!answer.contains(&call), "{call}");
        }
        for flags in [O_WRONLY, O_RDWR, O_WRONLY | O_APPEND, O_CREAT, O_TRUNC, O_TMPFILE | O_RDWR, O_WRONLY | O_RDWR] {
            assert_ne!(flags as u32 & WRITING, 0, "{flags:o}");
        }
        for flags in [O_RDONLY, O_PATH, O_DIRECTORY, O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_LARGEFILE] {
            assert_eq!(flags as u32 & WRITING, 0, "{flags:o}");
        }
    }
}
