//! The list of system calls that a room has no business with, as a filter program for the kernel.

use std::mem::offset_of;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, c_int, c_long, seccomp_data,
    sock_filter,
};

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e; // AUDIT_ARCH_X86_64
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7; // AUDIT_ARCH_AARCH64

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
/// What a kernel without this family of sockets says, so programs know what to do with it.
const NO_FAMILY: u32 = libc::SECCOMP_RET_ERRNO | libc::EAFNOSUPPORT.cast_unsigned();
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();

/// Answered by EPERM whatever the arguments. Mostly what a room cannot do for lack of a capability anyway; the filter is
/// the second lock, and keeps code of the kernel out of reach where its bugs have been.
const DENIED: &[c_long] = &[
    // mounts
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    467, // open_tree_attr (Linux 6.15)
    libc::SYS_chroot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // other namespaces, files by handle around the mounts
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    // the keys of whoever started us: keyrings know no namespace
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // wide surfaces
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // the machine
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
];

/// Denied only when this argument has (all of) these bits, or is this number.
const DENIED_WITH: &[(c_long, usize, Argument)] = &[
    (libc::SYS_clone, 0, Argument::Bit(libc::CLONE_NEWUSER.cast_unsigned())),
    (libc::SYS_unshare, 0, Argument::Bit(libc::CLONE_NEWUSER.cast_unsigned())),
    // Typing into the terminal that the room shares with the caller's shell (CVE-2017-5226). The kernel looks at the
    // low half of the argument only, and so does the filter.
    (libc::SYS_ioctl, 1, Argument::Is(0x5412)), // TIOCSTI
    (libc::SYS_ioctl, 1, Argument::Is(0x541c)), // TIOCLINUX
    // The hypervisor's sockets lie outside every network namespace.
    (libc::SYS_socket, 0, Argument::Is(libc::AF_VSOCK.cast_unsigned())),
];

enum Argument {
    Bit(u32),
    Is(u32),
}

/// Which sockets a room may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sockets {
    /// All that its network namespace has a use for.
    All,
    /// None that leads out of this machine's kernel: for a room without network in the host's namespace.
    Local,
}

/// The families of [`Sockets::Local`].
const LOCAL: [c_int; 2] = [libc::AF_UNIX, libc::AF_NETLINK];

/// The filter: another architecture's calls kill, `clone3` "does not exist" (its flags are in memory, out of a filter's
/// sight; the C libraries fall back to `clone`), what is listed gets EPERM, all else passes.
pub(crate) fn filter(sockets: Sockets) -> Vec<sock_filter> {
    let mut program = vec![
        load(offset_of!(seccomp_data, arch)),
        jump(BPF_JEQ, ARCH, 1, 0),
        end(KILL),
        load(offset_of!(seccomp_data, nr)),
    ];
    // x32: the same calls under other numbers.
    #[cfg(target_arch = "x86_64")]
    program.extend([jump(BPF_JSET, 0x4000_0000, 0, 1), end(KILL)]);
    program.extend([jump(BPF_JEQ, number(libc::SYS_clone3), 0, 1), end(ENOSYS)]);
    for call in DENIED {
        program.extend([jump(BPF_JEQ, number(*call), 0, 1), end(EPERM)]);
    }
    for (call, index, argument) in DENIED_WITH {
        let (kind, value) = match argument {
            Argument::Bit(bit) => (BPF_JSET, *bit),
            Argument::Is(value) => (BPF_JEQ, *value),
        };
        program.extend([
            jump(BPF_JEQ, number(*call), 0, 4),
            load(offset_of!(seccomp_data, args) + 8 * index), // the low half: both architectures are little-endian
            jump(kind, value, 0, 1),
            end(EPERM),
            load(offset_of!(seccomp_data, nr)),
        ]);
    }
    if sockets == Sockets::Local {
        program.extend([
            jump(BPF_JEQ, number(libc::SYS_socket), 0, 4),
            load(offset_of!(seccomp_data, args)),
            jump(BPF_JEQ, LOCAL[0].cast_unsigned(), 2, 0),
            jump(BPF_JEQ, LOCAL[1].cast_unsigned(), 1, 0),
            end(NO_FAMILY),
        ]);
    }
    program.push(end(ALLOW));
    program
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn load(offset: usize) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, u32::try_from(offset).unwrap_or(0), 0, 0)
}

fn jump(kind: u32, value: u32, if_true: u8, if_false: u8) -> sock_filter {
    instruction(BPF_JMP | kind | BPF_K, value, if_true, if_false)
}

fn end(verdict: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, verdict, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer: a small machine for the instructions that `filter` uses.
    fn verdict(arch: u32, nr: c_long, args: [u64; 6]) -> u32 {
        verdict_of(&filter(Sockets::All), arch, nr, args)
    }

    fn verdict_of(program: &[sock_filter], arch: u32, nr: c_long, args: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(u32::try_from(nr).unwrap().to_le_bytes());
        data.extend(arch.to_le_bytes());
        data.extend(0_u64.to_le_bytes());
        args.iter().for_each(|arg| data.extend(arg.to_le_bytes()));
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let step = program[at];
            let (code, k) = (u32::from(step.code), step.k);
            at += 1;
            if code == BPF_LD | BPF_W | BPF_ABS {
                let k = k as usize;
                accumulator = u32::from_le_bytes(data[k..k + 4].try_into().unwrap());
            } else if code == BPF_RET | BPF_K {
                return k;
            } else {
                let holds =
                    if code == BPF_JMP | BPF_JEQ | BPF_K { accumulator == k } else { accumulator & k != 0 };
                at += usize::from(if holds { step.jt } else { step.jf });
            }
        }
    }

    #[test]
    fn what_is_listed_is_denied_and_the_rest_passes() {
        for call in DENIED {
            assert_eq!(verdict(ARCH, *call, [0; 6]), EPERM, "{call}");
        }
        for call in [libc::SYS_read, libc::SYS_execve, libc::SYS_ptrace, libc::SYS_clone, libc::SYS_ioctl] {
            assert_eq!(verdict(ARCH, call, [0; 6]), ALLOW, "{call}");
        }
        assert_eq!(verdict(ARCH, libc::SYS_clone3, [0; 6]), ENOSYS);
        assert_eq!(verdict(ARCH ^ 1, libc::SYS_read, [0; 6]), KILL);
    }

    #[test]
    fn arguments_are_judged_by_the_half_that_the_kernel_looks_at() {
        let user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
        assert_eq!(verdict(ARCH, libc::SYS_unshare, [user | 1, 0, 0, 0, 0, 0]), EPERM);
        assert_eq!(verdict(ARCH, libc::SYS_clone, [user | 17, 0, 0, 0, 0, 0]), EPERM);
        assert_eq!(verdict(ARCH, libc::SYS_ioctl, [0, 0x5412 | 1 << 40, 0, 0, 0, 0]), EPERM);
        assert_eq!(verdict(ARCH, libc::SYS_ioctl, [0, 0x5413, 0, 0, 0, 0]), ALLOW);
        assert_eq!(verdict(ARCH, libc::SYS_socket, [40, 0, 0, 0, 0, 0]), EPERM);
        assert_eq!(verdict(ARCH, libc::SYS_socket, [2, 40, 0, 0, 0, 0]), ALLOW);
    }
    #[test]
    fn a_room_without_network_makes_local_sockets_only() {
        let local = filter(Sockets::Local);
        let socket = |family: u64| verdict_of(&local, ARCH, libc::SYS_socket, [family, 1 << 40, 0, 0, 0, 0]);
        assert_eq!([1, 16].map(socket), [ALLOW; 2]);
        assert_eq!([2, 10, 17, 38].map(socket), [NO_FAMILY; 4]);
        assert_eq!(socket(40), EPERM);
        assert_eq!(verdict_of(&local, ARCH, libc::SYS_connect, [2, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(verdict(ARCH, libc::SYS_socket, [17, 0, 0, 0, 0, 0]), ALLOW);
    }
}
