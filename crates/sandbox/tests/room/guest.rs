//! What the test program does inside a room: what no shell can try.

use std::process::ExitCode;

pub(crate) fn main(arguments: &[String]) -> ExitCode {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fds"] => fds(),
        ["threads"] => std::thread::spawn(|| println!("a thread")).join().unwrap(),
        ["connect-abstract", name] => connect_abstract(name),
        ["host-a-room", dir, mark] => host_a_room(dir, mark),
        ["fork-for-ever", mark] => fork_for_ever(mark),
        ["leave"] => println!("{:?}", rustix::process::chroot(".")),
        ["talk-to-itself"] => talk_to_itself(),
        ["open-own-executable"] => {
            let opened = std::fs::File::options().write(true).open("/proc/self/exe");
            println!("{:?}", opened.map(drop).map_err(|error| error.kind()));
        }
        ["unshare-user"] => println!("{:?}", sandboxed_unshare()),
        ["host-a-shell", dir] => host_a_shell(dir),
        ["check-host", below] => match sandbox::check_host(below.as_ref()) {
            Ok(sandbox::Allowed { instead_of_full: None, .. }) => println!("allowed"),
            Ok(sandbox::Allowed { isolation, instead_of_full: Some(forbidden) }) => {
                println!("reduced: {forbidden}\n{}\n{isolation:?}", forbidden.cure);
            }
            Err(forbidden) => println!("{forbidden}\n{}", forbidden.cure),
        },
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

fn fds() {
    let mut open: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|to| !to.to_string_lossy().contains("/fd"))
        })
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    open.sort();
    println!("{}", open.join(" "));
}

/// Connects to an abstract socket that the host listens on.
fn connect_abstract(name: &str) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};
    let address = SocketAddr::from_abstract_name(name).unwrap();
    println!("{:?}", UnixStream::connect_addr(&address).map(drop).map_err(|error| error.kind()));
}

fn sandboxed_unshare() -> Result<(), rustix::io::Errno> {
    #[expect(deprecated, reason = "a test without unsafe code")]
    rustix::thread::unshare(rustix::thread::UnshareFlags::NEWUSER)
}

/// The place that the test made.
fn reopened(dir: &str) -> std::mem::ManuallyDrop<super::place::Place> {
    let toolbox = std::fs::read_link(std::path::Path::new(dir).join("toolbox")).ok();
    std::mem::ManuallyDrop::new(super::place::Place::reopen(dir.into(), toolbox.as_deref()))
}

/// A process that is gone as soon as one sees it, and has begun another.
fn fork_for_ever(mark: &str) {
    let next = || std::process::Command::new("/guest").args(["guest", "fork-for-ever", mark]).spawn();
    while next().is_err() {}
}

/// Outside: starts a room with a long sleep in it, says so and waits.
fn host_a_room(dir: &str, mark: &str) {
    let place = reopened(dir);
    let mut room = place.room();
    if let Some(writable) = std::env::var_os("WRITABLE") {
        room.mounts.push(super::place::writable(writable.as_ref(), "/layers"));
    }
    let mut running = super::place::start(&room, &["/bin/sleep", mark]);
    println!("started");
    running.wait().unwrap();
}

/// Outside, on a terminal: an interactive shell in a room.
fn host_a_shell(dir: &str) {
    use sandbox::Stdio::Inherit;
    let place = reopened(dir);
    let mut shell = super::place::process(&[
        "/bin/bash",
        "--norc",
        "-ic",
        "tty; sleep 0.01; cut -d' ' -f5,8 /proc/$$/stat",
    ]);
    (shell.stdin, shell.stdout, shell.stderr) = (Inherit, Inherit, Inherit);
    let exit = place.room().start(&shell).unwrap().wait().unwrap();
    let foreground = rustix::termios::tcgetpgrp(std::io::stdin()).unwrap() == rustix::process::getpgrp();
    println!("{exit:?}, foreground: {foreground}");
}

fn talk_to_itself() {
    let talk = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        std::net::TcpStream::connect(listener.local_addr()?).map(drop)
    };
    println!("{:?}", talk());
}
