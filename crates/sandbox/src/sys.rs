//! The system calls that neither `std` nor `rustix` offers without `unsafe`, each as a small function; all `unsafe` of
//! the project is in this file.
#![expect(unsafe_code, reason = "system calls that have no safe wrapper; every block says why it is sound")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// Which side of a fork this is.
pub(crate) enum Fork {
    /// The one that forked, with the other's process id.
    Parent(Pid),
    /// The new one.
    Child,
}

/// Forks; only ever called by the runner, which has one thread.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: the process has one thread, so the child finds no lock held by a thread that it does not have.
    forked(unsafe { libc::fork() })
}

/// Forks into a new user namespace.
pub(crate) fn fork_into_user_namespace() -> io::Result<Fork> {
    let flags = libc::c_long::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with no stack given this is a fork; the process has one thread, as for `fork`.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) };
    forked(i32::try_from(pid).unwrap_or(-1))
}

fn forked(pid: i32) -> io::Result<Fork> {
    match pid {
        0 => Ok(Fork::Child),
        pid => Pid::from_raw(pid).filter(|_| pid > 0).map(Fork::Parent).ok_or_else(io::Error::last_os_error),
    }
}

/// Ends this process at once, running nothing that was registered for the end.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(status) }
}

/// Leaves the given namespaces for new ones.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the descriptor table is never unshared, which is the only case that could break another thread.
    unsafe { rustix::thread::unshare_unsafe(flags.difference(UnshareFlags::FILES)) }.map_err(Into::into)
}

/// Replaces this process by a program; returns only to say why not.
pub(crate) fn exec(program: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: all three are pointers to NUL-terminated strings that live past the call, and both lists end in null.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Closes every descriptor from `first` on.
pub(crate) fn close_from(first: RawFd) -> io::Result<()> {
    // SAFETY: the runner calls this before it owns any descriptor from `first` on.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) }).map(drop)
}

/// Makes `target` (0, 1 or 2) the same open file as `source`, kept across exec.
pub(crate) fn put_at(source: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    // SAFETY: `target` is a standard stream, which nothing in this process owns.
    let result = unsafe {
        if source.as_raw_fd() == target {
            libc::fcntl(target, libc::F_SETFD, 0)
        } else {
            libc::dup2(source.as_raw_fd(), target)
        }
    };
    check(result.into()).map(drop)
}

/// `struct mount_attr` of `linux/mount.h`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct MountAttributes {
    /// Bits to set.
    pub(crate) set: u64,
    /// Bits to clear.
    pub(crate) clear: u64,
    /// A propagation type, or 0 to leave it.
    pub(crate) propagation: u64,
    /// The descriptor of a user namespace, for `MOUNT_ATTR_IDMAP`.
    pub(crate) user_namespace: u64,
}

/// `mount_setattr(2)` on the mount that `mount` is the root of, and with `AT_RECURSIVE` in `flags` on all below it.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    flags: i32,
    attributes: &MountAttributes,
) -> io::Result<()> {
    let flags = flags | libc::AT_EMPTY_PATH;
    // SAFETY: `attributes` has the kernel's layout and its size is given; the path is an empty C string.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<MountAttributes>(),
        )
    };
    check(result).map(drop)
}

/// Blocks every signal of this thread.
pub(crate) fn block_signals() -> io::Result<()> {
    mask_signals(true)
}

/// Gives the signals back their usual meaning for a program about to be executed.
pub(crate) fn unblock_signals() -> io::Result<()> {
    // SAFETY: restoring the default action installs no handler. Rust's start-up ignores SIGPIPE; programs expect it.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    mask_signals(false)
}

/// Sends any signal, real-time ones too; a process that is gone is left alone.
pub(crate) fn kill(process: Pid, signal: i32) {
    // SAFETY: `kill` touches no memory; `process` is our own child, not yet waited for.
    unsafe { libc::kill(process.as_raw_nonzero().get(), signal) };
}

/// Kills, at one stroke that no fork escapes, all processes that this one may send a signal to, but not itself. Refused to
/// root, of whom that would be everybody's end.
pub(crate) fn kill_all_that_may_be() -> io::Result<()> {
    if rustix::process::getuid().is_root() || rustix::process::geteuid().is_root() {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    // SAFETY: `kill` touches no memory.
    match check(unsafe { libc::kill(-1, libc::SIGKILL) }.into()) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}

fn mask_signals(all: bool) -> io::Result<()> {
    let set = signal_set(all);
    // SAFETY: `set` is an initialised set; the old mask is not asked for.
    let result = unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
    check(result.into()).map(drop)
}

fn signal_set(all: bool) -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both functions initialise the whole set that they are given.
    unsafe {
        if all {
            libc::sigfillset(set.as_mut_ptr());
        } else {
            libc::sigemptyset(set.as_mut_ptr());
        }
        set.assume_init()
    }
}

/// A descriptor that becomes readable when a child ends (SIGCHLD must be blocked).
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    let mut set = signal_set(false);
    // SAFETY: `set` is an initialised set and SIGCHLD a valid signal.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGCHLD) };
    // SAFETY: -1 asks for a new descriptor; `set` is initialised.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    let fd = check(fd.into())?;
    // SAFETY: the call just returned this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) })
}

/// Drops every capability from the bounding set, so that no later exec can bring one back.
pub(crate) fn empty_bounding_set() -> io::Result<()> {
    // The kernel answers EINVAL for the first number that is no capability, so new ones are dropped too.
    for capability in 0..64_u64 {
        // SAFETY: PR_CAPBSET_DROP takes a number and touches no memory.
        match check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0_u64, 0_u64, 0_u64) }.into()) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Puts this thread and all it will execute under a seccomp filter.
pub(crate) fn install_filter(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?,
        filter: filter.as_ptr().cast_mut(),
    };
    // Without SPEC_ALLOW kernels before 5.16 switch off speculation for the whole room, which costs Python a third.
    let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: `program` points to `len` instructions that live past the call; the kernel copies and does not write them.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, std::ptr::from_ref(&program))
    };
    check(result).map(drop)
}

/// `struct landlock_ruleset_attr` of `linux/landlock.h`, as of its sixth version.
#[repr(C)]
struct LandlockRules {
    file_system: u64,
    network: u64,
    scoped: u64,
}

/// The version of Landlock that this kernel has; 0 is none.
pub(crate) fn landlock_version() -> i64 {
    // SAFETY: a null pointer of size 0 with flag 1 (LANDLOCK_CREATE_RULESET_VERSION) is the documented question.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, 1_u32) }.max(0)
}

/// Closes what `scoped` names to this thread and all it will execute (Landlock version 6).
pub(crate) fn landlock_scope(scoped: u64) -> io::Result<()> {
    let rules = LandlockRules { file_system: 0, network: 0, scoped };
    let (pointer, size) = (std::ptr::from_ref(&rules), size_of::<LandlockRules>());
    // SAFETY: `rules` has the kernel's layout, and its size is given.
    let fd = check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, pointer, size, 0_u32) })?;
    // SAFETY: the call just returned this descriptor and nobody else knows it.
    let rules = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) };
    // SAFETY: takes a descriptor and flags, touches no memory.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0_u32) }).map(drop)
}

/// Switches the loopback interface of this network namespace on, through any socket of it.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: all zero bytes are a valid `ifreq`: integers and arrays of them.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(*b"lo") {
        *place = libc::c_char::from_ne_bytes([byte]);
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP).unwrap_or(1);
    // SAFETY: SIOCSIFFLAGS reads an `ifreq`, which `request` is, and lives past the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }.into()).map(drop)
}

/// `struct rtentry` of `linux/route.h`.
#[repr(C)]
struct Route {
    before: libc::c_ulong,
    to: libc::sockaddr,
    through: libc::sockaddr,
    mask: libc::sockaddr,
    flags: libc::c_ushort,
    between: [libc::c_ulong; 2],
    metric: libc::c_short,
    device: *mut libc::c_char,
    limits: [libc::c_ulong; 2],
    time: libc::c_ushort,
}

/// `struct in6_rtmsg` of `linux/ipv6_route.h`.
#[repr(C)]
struct Route6 {
    to: [u8; 16],
    from: [u8; 16],
    through: [u8; 16],
    kind: u32,
    length: u16,
    from_length: u16,
    metric: u32,
    info: libc::c_ulong,
    flags: u32,
    device: libc::c_int,
}

/// `RTF_UP | RTF_REJECT` of `linux/route.h`.
const UP_AND_REFUSED: u16 = 0x201;

/// A route of this network namespace, set through any socket of IPv4, that refuses what is sent there.
pub(crate) fn refuse(socket: BorrowedFd<'_>, to: std::net::Ipv4Addr, length: u8) -> io::Result<()> {
    let address = |it: u32| {
        // SAFETY: all zero bytes are a valid `sockaddr`: integers and arrays of them.
        let mut address: libc::sockaddr = unsafe { std::mem::zeroed() };
        address.sa_family = libc::sa_family_t::try_from(libc::AF_INET).unwrap_or(2);
        // `struct sockaddr_in`: two bytes of a port, then the address.
        for (place, byte) in address.sa_data.iter_mut().skip(2).zip(it.to_be_bytes()) {
            *place = libc::c_char::from_ne_bytes([byte]);
        }
        address
    };
    let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
    let route = Route {
        before: 0,
        to: address(to.to_bits()),
        through: address(0),
        mask: address(mask),
        flags: UP_AND_REFUSED,
        between: [0; 2],
        metric: 0,
        device: std::ptr::null_mut(),
        limits: [0; 2],
        time: 0,
    };
    // SAFETY: SIOCADDRT reads a `rtentry`, which `route` is, and lives past the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCADDRT, &raw const route) }.into()).map(drop)
}

/// The same for IPv6, through a socket of it.
pub(crate) fn refuse_6(socket: BorrowedFd<'_>, to: std::net::Ipv6Addr, length: u16) -> io::Result<()> {
    let route = Route6 {
        to: to.octets(),
        from: [0; 16],
        through: [0; 16],
        kind: 0,
        length,
        from_length: 0,
        metric: 1,
        info: 0,
        flags: UP_AND_REFUSED.into(),
        device: 0,
    };
    // SAFETY: SIOCADDRT of a socket of IPv6 reads an `in6_rtmsg`, which `route` is, and lives past the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCADDRT, &raw const route) }.into()).map(drop)
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
