//! Buildpacks' programs as plain processes: the container is the sandbox.

use crate::log::Log;
use lifecycle::{ExitStatus, Invocation, Phase, RunError, Runner, Stream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};

/// Runs programs in this process's own room, as its own user.
pub(crate) struct Plain;

impl Plain {
    pub(crate) fn new(log: &Log) -> Self {
        // What a program leaves behind becomes our child, so that it can be found.
        if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
            log.debug(&format!("processes that buildpacks leave behind are not looked for: {error}"));
        }
        Self
    }
}

impl Runner for Plain {
    fn run(
        &self,
        invocation: &Invocation,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<ExitStatus, RunError> {
        let said = |error: std::io::Error| RunError(error.to_string());
        let mut child = Command::new(&invocation.program)
            .args(&invocation.args)
            .env_clear()
            .envs(&invocation.env)
            .current_dir(&invocation.cwd)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // a group of its own, so that all of it can be ended
            .process_group(0)
            .spawn()
            .map_err(said)?;
        let status = pass_on(&mut child, output).map_err(said);
        // Detections run side by side: there, whose child a process was can't be told.
        let strays = if invocation.phase == Phase::Detect { Vec::new() } else { children() };
        strays.into_iter().for_each(end);
        let status = status?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => ExitStatus::Code(code),
            (None, signal) => ExitStatus::Signal(signal.unwrap_or_default()),
        })
    }
}

/// How long to wait for output before looking whether the program has ended.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Passes on what is printed until the program ends. What it left running could keep the pipes open for ever.
fn pass_on(
    child: &mut Child,
    output: &mut dyn FnMut(Stream, &[u8]),
) -> std::io::Result<std::process::ExitStatus> {
    let (Some(mut out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else {
        return child.wait();
    };
    let mut open = [true, true];
    loop {
        let ended = child.try_wait()?;
        if ended.is_some() {
            end_group(child.id());
        }
        let ready = ready(&[out.as_fd(), err.as_fd()], open)?;
        if ready[0] {
            open[0] = pass(&mut out, Stream::Out, output)?;
        }
        if ready[1] {
            open[1] = pass(&mut err, Stream::Err, output)?;
        }
        match ended {
            Some(status) if !ready.contains(&true) => return Ok(status),
            _ if open == [false, false] => {
                let status = child.wait()?;
                end_group(child.id());
                return Ok(status);
            }
            _ => {}
        }
    }
}

fn ready(fds: &[BorrowedFd<'_>; 2], open: [bool; 2]) -> std::io::Result<[bool; 2]> {
    let mut polled = Vec::new();
    for (fd, open) in fds.iter().zip(open) {
        if open {
            polled.push(PollFd::from_borrowed_fd(*fd, PollFlags::IN));
        }
    }
    match poll(&mut polled, Some(&TICK)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut found = polled.iter().map(|it| !it.revents().is_empty());
    Ok(open.map(|open| open && found.next().unwrap_or(false)))
}

/// False at the end.
fn pass(
    from: &mut impl Read,
    stream: Stream,
    output: &mut dyn FnMut(Stream, &[u8]),
) -> std::io::Result<bool> {
    let mut buffer = [0; 16 << 10];
    match from.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(got) => {
            output(stream, &buffer[..got]);
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(true),
        Err(error) => Err(error),
    }
}

fn end_group(id: u32) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // Nobody is left in it, as a rule.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

/// This process's children, by every thread's list.
fn children() -> Vec<Pid> {
    let Ok(tasks) = fs_err::read_dir("/proc/self/task") else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|it| fs_err::read_to_string(it.path().join("children")).ok());
    let ids: Vec<Pid> = lists
        .flat_map(|list| list.split_whitespace().filter_map(|it| it.parse().ok()).collect::<Vec<i32>>())
        .filter_map(Pid::from_raw)
        .collect();
    ids
}

fn end(pid: Pid) {
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
}

/// Ends what detections left running.
pub(crate) fn end_strays() {
    children().into_iter().for_each(end);
}
