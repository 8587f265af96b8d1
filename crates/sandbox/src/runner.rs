//! What happens between [`crate::Room::start`] and the program's first instruction, in order, and what is left after it.
//!
//! The caller may have many threads, and a fork of such a process may do next to nothing. So it starts its own
//! executable again, and this second process, with one thread, is the runner. It makes the namespaces and forks the
//! room's process 1, which builds the file system, gives up every privilege and starts the program. When process 1 ends,
//! the kernel kills all that is left in the room before the runner hears of it. A room of reduced isolation goes another
//! way from here: `reduced.rs`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use rustix::thread::UnshareFlags;

use crate::error::{At, Done, Step};
use crate::ids::{self, Ids, Shift};
use crate::init::{self, Streams};
use crate::mounts::Site;
use crate::reduced;
use crate::routes;
use crate::seccomp::Sockets;
use crate::sys::{self, Fork};
use crate::wire::{self, Order, Received};
use crate::{Access, Isolation, Mount, Network, Process, Room};

/// The runner's first argument, by which it knows what it is.
pub(crate) const NAME: &str = "packlight-sandbox-runner";

/// The runner's whole life; its standard input is the socket to the caller.
pub(crate) fn serve() {
    // What the caller's own caller left open is not for the room; whatever we open ourselves closes at exec.
    let closed = sys::close_from(3);
    let Ok(control) = std::io::stdin().as_fd().try_clone_to_owned() else { return };
    if let Err(failure) = closed.at(Step::Talk, "").and_then(|()| prepare(&control)) {
        init::report_failure(control.as_fd(), failure);
    }
}

fn prepare(control: &OwnedFd) -> Done<()> {
    let Received { order, streams } = wire::receive_order(control.as_fd()).at(Step::Talk, "")?;
    // Signals of the terminal are the program's business; the caller's word comes over the socket.
    sys::block_signals().at(Step::Talk, "")?;
    // The same for everybody: for the directories that we make and for the program's own files.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let terminal = Terminal::of(&streams);
    let lived = match &order.room.isolation {
        Isolation::Full => in_namespaces(&order, control, streams),
        Isolation::Reduced { below } => reduced::live(&order, below, control, streams),
    };
    terminal.take_back();
    lived
}

fn in_namespaces(order: &Order<Room, Process>, control: &OwnedFd, streams: Streams) -> Done<()> {
    let ids = enter_namespaces(&order.room)?;
    match sys::fork().at(Step::Fork, "")? {
        Fork::Child => {
            if let Err(failure) = live_in(order, &ids, control, streams) {
                init::report_failure(control.as_fd(), failure);
            }
            sys::exit_now(0)
        }
        Fork::Parent(init) => {
            drop((streams, ids));
            guard(control.as_fd(), init);
            Ok(())
        }
    }
}

/// Leaves the host's namespaces: as an ordinary user under the cover of a user namespace, as root with root's own rights,
/// which are given up later, when the file system stands.
fn enter_namespaces(room: &Room) -> Done<Ids> {
    let shared = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    let ids = if ids::shifts() {
        sys::unshare(shared).at(Step::MakeNamespaces, "")?;
        let ids = Ids::Shifted(Shift::prepare(room.user, &users_trees(room))?);
        // Only now: the first process born after this is process 1, and the helpers of `prepare` must not be it.
        sys::unshare(UnshareFlags::NEWPID).at(Step::MakeNamespaces, "")?;
        ids
    } else {
        let network =
            if room.network == Network::Host { UnshareFlags::empty() } else { UnshareFlags::NEWNET };
        ids::enter_as_caller(room.user, shared | UnshareFlags::NEWPID | network)?;
        Ids::Callers
    };
    let private = rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).at(Step::MakeNamespaces, "/")?;
    Ok(ids)
}

/// The trees that shall appear as the room's user's own.
fn users_trees(room: &Room) -> Vec<&Path> {
    let mut trees: Vec<&Path> = Vec::new();
    for mount in &room.mounts {
        match mount {
            Mount::Overlay { lower, .. } => trees.extend(lower.iter().map(AsRef::<Path>::as_ref)),
            Mount::Bind { source, access: Access::ReadOnly, .. } => trees.push(source),
            _ => {}
        }
    }
    trees
}

/// Process 1: furnishes the room, gives up its rights, runs the program.
fn live_in(order: &Order<Room, Process>, ids: &Ids, control: &OwnedFd, streams: Streams) -> Done<()> {
    let room = &order.room;
    die_with_runner()?;
    let site = Site::begin(ids, room)?;
    site.make_proc()?;
    site.make_dev()?;
    site.make_console(&streams)?;
    if room.network == Network::Host && !room.root.is_empty() {
        site.make_resolver()?;
    }
    for mount in &room.mounts {
        site.add(mount)?;
    }
    site.enter()?;
    rustix::system::sethostname(room.hostname.as_bytes()).at(Step::SetHostname, &room.hostname)?;
    become_user(room, ids)?;
    init::drop_bounds()?;
    init::drop_privileges(Sockets::All)?;
    // A change of ids or of what can be dumped makes the kernel forget this, so it is said once more.
    die_with_runner()?;
    match &order.process {
        Some(process) => {
            if let Some(status) = init::run(control, (process, order.begin), streams, || Ok(()))? {
                wire::report(control.as_fd(), &wire::Report::Ended(status));
            }
            Ok(())
        }
        None => {
            wire::report(control.as_fd(), &wire::Report::Started);
            Ok(())
        }
    }
}

pub(crate) fn die_with_runner() -> Done<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .at(Step::DropPrivileges, "parent's death")
}

fn become_user(room: &Room, ids: &Ids) -> Done<()> {
    if let Ids::Shifted(shift) = ids {
        ids::enter(shift)?;
        if room.network != Network::Host {
            // Born in the room's user namespace, so that whoever may join that may join this.
            sys::unshare(UnshareFlags::NEWNET).at(Step::MakeNamespaces, "")?;
        }
    }
    if room.network != Network::Host {
        let socket =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)
                .at(Step::StartLoopback, "")?;
        sys::loopback_up(socket.as_fd()).at(Step::StartLoopback, "")?;
        if room.network == Network::Outward {
            routes::refuse_link_local().at(Step::RefuseAddresses, "")?;
        }
    }
    match ids {
        Ids::Shifted(shift) => ids::become_user(shift),
        Ids::Callers => Ok(()),
    }
}

/// Waits for process 1, and kills it when the caller is gone.
fn guard(control: BorrowedFd<'_>, init: Pid) {
    if let Ok(end) = rustix::process::pidfd_open(init, PidfdFlags::empty()) {
        let mut fds = [
            PollFd::from_borrowed_fd(control, PollFlags::empty()), // hanging up is always told
            PollFd::new(&end, PollFlags::IN),
        ];
        while let Err(rustix::io::Errno::INTR) = rustix::event::poll(&mut fds, None) {}
        if !fds[0].revents().is_empty() {
            let _ = rustix::process::kill_process(init, Signal::KILL);
        }
    }
    while let Err(rustix::io::Errno::INTR) = rustix::process::waitpid(Some(init), WaitOptions::empty()) {}
}

/// The terminal that the caller is in the foreground of: an interactive shell takes it and cannot give it back, since it
/// has no number for a process group outside its room.
struct Terminal(Option<(OwnedFd, Pid)>);

impl Terminal {
    fn of(streams: &Streams) -> Self {
        let ours = rustix::process::getpgrp();
        let mut terminals = streams
            .iter()
            .filter(|stream| rustix::termios::tcgetpgrp(stream).is_ok_and(|group| group == ours));
        Self(terminals.next().and_then(|stream| Some((stream.try_clone().ok()?, ours))))
    }

    fn take_back(self) {
        if let Some((terminal, group)) = self.0 {
            // SIGTTOU, the answer to a background process that does this, is blocked.
            let _ = rustix::termios::tcsetpgrp(terminal, group);
        }
    }
}
