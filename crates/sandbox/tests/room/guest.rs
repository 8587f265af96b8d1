//! What the test program does inside a room: what no shell can try.

use std::process::ExitCode;

pub(crate) fn main(arguments: &[String]) -> ExitCode {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fds"] => fds(),
        ["threads"] => std::thread::spawn(|| println!("a thread")).join().unwrap(),
        ["connect-abstract", name] => connect_abstract(name),
        ["host-a-room", dir, mark] => host_a_room(dir, mark),
        ["talk-to-itself"] => talk_to_itself(),
        ["open-own-executable"] => {
            let opened = std::fs::File::options().write(true).open("/proc/self/exe");
            println!("{:?}", opened.map(drop).map_err(|error| error.kind()));
        }
        ["unshare-user"] => println!("{:?}", sandboxed_unshare()),
        ["host-a-shell", dir] => host_a_shell(dir),
        ["check-host"] => match sandbox::check_host() {
            Ok(()) => println!("allowed"),
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

/// Outside: starts a room with a long sleep in it, says so and waits.
fn host_a_room(dir: &str, mark: &str) {
    let place = std::mem::ManuallyDrop::new(super::place::Place { dir: dir.into() });
    let mut running = super::place::start(&place.room(), &["/bin/sleep", mark]);
    println!("started");
    running.wait().unwrap();
}

/// Outside, on a terminal: an interactive shell in a room.
fn host_a_shell(dir: &str) {
    use sandbox::Stdio::Inherit;
    let place = std::mem::ManuallyDrop::new(super::place::Place { dir: dir.into() });
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
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    println!("{:?}", std::net::TcpStream::connect(address).map(drop).map_err(|error| error.kind()));
}
