//! A room where namespaces are forbidden: `chroot`, a user id that nothing else has, and copies in place of mounts.
//!
//! The runner stays outside and is root. It takes the room's user (`tenant.rs`), puts the room together (`site.rs`),
//! starts the program in it, ends all that the program left, takes the room apart and only then says how the program
//! ended: so what the caller finds at the places that it named is what it would find with full isolation.

mod changes;
mod entry;
mod site;
mod stack;
mod tenant;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions};

use crate::dev::RESOLVER;
use crate::error::{At, Done, Step};
use crate::init::{self, Streams};
use crate::seccomp::Sockets;
use crate::sys::{self, Fork};
use crate::wire::{self, Order, Report};
use crate::{Access, Mount, Network, Process, Room, runner};
use site::Site;
use tenant::Tenant;

/// The runner's life for such a room.
pub(crate) fn live(
    order: &Order<Room, Process>,
    below: &Path,
    control: &OwnedFd,
    streams: Streams,
) -> Done<()> {
    if matches!(order.room.network, Network::Own | Network::Outward) {
        let refused = Err(Errno::PERM).at(Step::MakeNamespaces, "");
        return refused
            .map_err(|failure| failure.advise(&[libc::EPERM], "a network of its own takes full isolation"));
    }
    let Some(tenant) = Tenant::take(&order.room, control.as_fd())? else { return Ok(()) };
    // What loses its parent becomes our child, and is waited for.
    rustix::process::set_child_subreaper(Pid::from_raw(1)).at(Step::Fork, "")?;
    // A runner that was killed may have left something of the same id.
    tenant.end_all()?;
    let mut site = Site::begin(below, &order.room, tenant.ids())?;
    let lived =
        furnish(&mut site, &order.room).and_then(|()| inhabit(order, (&site, &tenant), control, streams));
    let left = tenant.end_all().and_then(|()| site.take_down());
    let last_word = lived.and_then(|word| left.map(|()| word))?;
    if let Some(word) = last_word {
        wire::report(control.as_fd(), &word);
    }
    Ok(())
}

fn furnish(site: &mut Site, room: &Room) -> Done<()> {
    site.make_dev()?;
    if room.network == Network::Host && !room.root.is_empty() {
        for path in RESOLVER.map(Path::new).into_iter().filter(|path| path.is_file()) {
            site.bind(path, path, Access::ReadOnly)?;
        }
    }
    room.mounts.iter().try_for_each(|mount| match mount {
        Mount::Bind { source, target, access } => site.bind(source, target, *access),
        Mount::Overlay { target, lower, upper, .. } => site.overlay(target, lower, upper),
        Mount::Tmpfs { target } => site.empty(target),
        Mount::File { target, contents, mode } => site.file(target, contents, *mode),
    })
}

/// Runs the program, or with none only tries whether one could be; what there is to say when the room is gone.
fn inhabit(
    order: &Order<Room, Process>,
    (site, tenant): (&Site, &Tenant),
    control: &OwnedFd,
    streams: Streams,
) -> Done<Option<Report>> {
    let enter = || enter(site, tenant, order.room.network);
    match &order.process {
        Some(process) => {
            let status = init::run(control, (process, order.begin), streams, enter)?;
            Ok(status.map(Report::Ended))
        }
        None => Ok(try_to(control.as_fd(), enter)?.then_some(Report::Started)),
    }
}

/// Does this in a process of its own, which tells the caller what was wrong.
fn try_to(control: BorrowedFd<'_>, enter: impl FnOnce() -> Done<()>) -> Done<bool> {
    match sys::fork().at(Step::Fork, "")? {
        Fork::Child => match enter() {
            Ok(()) => sys::exit_now(0),
            Err(failure) => {
                init::report_failure(control, failure);
                sys::exit_now(1)
            }
        },
        Fork::Parent(child) => Ok(ended_well(child)),
    }
}

/// Waits for a child of ours; whether it had no complaint.
fn ended_well(child: Pid) -> bool {
    loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            Ok(Some((_, status))) => return status.exit_status() == Some(0),
            _ => return false,
        }
    }
}

/// The program's process makes itself at home, and can never leave.
fn enter(site: &Site, tenant: &Tenant, network: Network) -> Done<()> {
    rustix::process::fchdir(site.root()).at(Step::ChangeRoot, "")?;
    rustix::process::chroot(".").at(Step::ChangeRoot, "").map_err(|failure| {
        failure
            .advise(&[libc::EPERM], "it takes CAP_SYS_CHROOT: start the container with --cap-add SYS_CHROOT")
    })?;
    rustix::process::chdir("/").at(Step::ChangeRoot, "")?;
    init::drop_bounds()?;
    tenant.become_it()?;
    let sockets = if network == Network::Host { Sockets::All } else { Sockets::Local };
    init::drop_privileges(sockets)?;
    runner::die_with_runner()
}
