//! The filter of system calls: a classic BPF program (seccomp(2)) made from the tables of `calls`. A call that is not
//! allowed fails with `EPERM`; the process is not killed.

mod calls;

use libc::{BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

use super::Role;
use crate::sys::{Errno, done};
use calls::{CLONE, CLONE3, CPU, HELPER, MONITOR, SOCKET, UNKNOWN};

/// Most instructions of a program: two for each call, and a few at both ends.
const LENGTH: usize = 300;

/// Offsets in the kernel's description of a call (`struct seccomp_data`): its number, its CPU, and the lower half of
/// its first argument.
const NUMBER: u32 = 0;
const ON_CPU: u32 = 4;
const ARGUMENT: u32 = if cfg!(target_endian = "big") { 20 } else { 16 };

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

/// Checks the CPU, and allows only the kinds of socket that connects, lookups and the system log need.
static BEGIN: [sock_filter; 15] = [
    load(ON_CPU),
    // A process can also make the calls of a related CPU (x86 on x86_64), which have other numbers.
    instruction(BPF_JMP | BPF_JEQ | BPF_K, CPU, 1, 0),
    end(REFUSE),
    load(NUMBER),
    only_if(BPF_JEQ, SOCKET as u32, 10),
    load(ARGUMENT),
    only_if(BPF_JEQ, libc::AF_INET as u32, 1),
    end(ALLOW),
    only_if(BPF_JEQ, libc::AF_INET6 as u32, 1),
    end(ALLOW),
    only_if(BPF_JEQ, libc::AF_UNIX as u32, 1),
    end(ALLOW),
    only_if(BPF_JEQ, libc::AF_NETLINK as u32, 1),
    end(ALLOW),
    end(REFUSE),
];

/// The monitor may fork; a helper may not.
static PROCESSES: [sock_filter; 5] =
    [only_if(BPF_JEQ, CLONE as u32, 4), load(ARGUMENT), only_if(BPF_JSET, NEW_NAMESPACE, 1), end(REFUSE), end(ALLOW)];

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
        program.allow(HELPER);
        if role == Role::Monitor {
            program.allow(MONITOR);
            program.push(&PROCESSES);
        }
        program.push(&END);
        program
    }
}

/// From now on this process and its children have only the system calls of this role.
pub fn confine(role: Role) -> Result<(), Errno> {
    #[cfg(all(target_arch = "x86", not(target_env = "gnu")))]
    if role == Role::Monitor {
        // Linux before 4.3 has only socketcall(2) for all calls on sockets, which no filter can tell apart. This
        // call with a family that does not exist shows whether socket(2) does.
        // SAFETY: the arguments are numbers.
        done(unsafe { libc::syscall(libc::SYS_socket, -1, 0, 0) } as libc::c_int).or_else(|errno| match errno {
            Errno::ENOSYS => Err(errno),
            _ => Ok(()),
        })?;
    }
    let mut program = Program::new(role);
    let whole = libc::sock_fprog { len: program.length as u16, filter: program.instructions.as_mut_ptr() };
    let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: `whole` and its instructions are live; the kernel copies them.
    done(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_SECCOMP, mode, &raw const whole) } as libc::c_int)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_fit_and_no_call_is_listed_twice() {
        for role in [Role::Monitor, Role::Helper] {
            let length = Program::new(role).length;
            assert!((150..LENGTH).contains(&length), "{role:?} needs {length}");
        }
        let mut calls: Vec<_> = HELPER.iter().chain(MONITOR).copied().flatten().collect();
        let count = calls.len();
        calls.sort();
        calls.dedup();
        assert_eq!(calls.len(), count);
    }

    #[test]
    fn no_call_that_runs_a_program_listens_or_changes_the_box_is_listed() {
        use libc::*;
        let calls = || HELPER.iter().chain(MONITOR).copied().flatten().map(|call| c_long::from(*call));
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
