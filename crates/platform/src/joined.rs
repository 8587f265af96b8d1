//! A network of a room's own, which `pasta` (<https://passt.top>) or `slirp4netns` connects from outside.

use crate::run::Publish;
use crate::settings::Environment;
use rustix::fs::Access;
use sandbox::Mount;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a tool may take to connect a network.
const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(2);

/// Where the room asks for names; the tool passes the questions on. An address of documentation (RFC 5737), so that it is
/// nobody's, and no link-local one, which may be closed.
const PASTA_RESOLVER: &str = "192.0.2.53";
const SLIRP_RESOLVER: &str = "10.0.2.3";
/// The app's address, as slirp4netns gives it.
const SLIRP_GUEST: &str = "10.0.2.100";

/// Why a network is not connected.
#[derive(Debug, thiserror::Error)]
#[error("{program} could not connect the network: {said}")]
pub(crate) struct JoinError {
    /// `pasta` or `slirp4netns`.
    pub(crate) program: String,
    /// What it printed.
    pub(crate) said: String,
}

/// A program that connects networks.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    kind: Kind,
    program: PathBuf,
    services: BTreeSet<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pasta,
    Slirp,
}

impl Tool {
    /// The tool that is installed and can work here: each makes a device through `/dev/net/tun`.
    pub(crate) fn find(env: &Environment) -> Option<Self> {
        rustix::fs::access("/dev/net/tun", Access::READ_OK | Access::WRITE_OK).ok()?;
        let tools = [(Kind::Pasta, "pasta"), (Kind::Slirp, "slirp4netns")];
        tools.into_iter().find_map(|(kind, name)| {
            Some(Self { kind, program: program(env, name)?, services: BTreeSet::new() })
        })
    }

    /// `pasta` alone: what reaches no more than the outside.
    pub(crate) fn outward(env: &Environment) -> Option<Self> {
        Self::find(env).filter(|it| it.kind == Kind::Pasta)
    }

    /// Ports of this machine's loopback that the app shall reach on its own.
    pub(crate) fn with_services(mut self, services: BTreeSet<u16>) -> Self {
        self.services = services;
        self
    }

    /// Whether what comes from outside gets to the app's loopback interface.
    pub(crate) fn reaches_loopback(&self) -> bool {
        self.kind == Kind::Pasta
    }

    pub(crate) fn mounts(&self) -> Vec<Mount> {
        let resolver = match self.kind {
            Kind::Pasta => PASTA_RESOLVER,
            Kind::Slirp => SLIRP_RESOLVER,
        };
        let mut resolv = format!("nameserver {resolver}\n");
        let host = fs_err::read_to_string("/etc/resolv.conf").unwrap_or_default();
        for line in host.lines().filter(|it| it.starts_with("search ") || it.starts_with("options ")) {
            resolv.push_str(line);
            resolv.push('\n');
        }
        let mut mounts = vec![Mount::File {
            target: "/etc/resolv.conf".into(),
            contents: resolv.into_bytes(),
            mode: 0o644,
        }];
        if let Ok(hosts) = fs_err::read("/etc/hosts") {
            mounts.push(Mount::File { target: "/etc/hosts".into(), contents: hosts, mode: 0o644 });
        }
        mounts
    }

    fn command(&self, pid: u32, ports: &[Publish], socket: &Path) -> Command {
        let mut command = Command::new(&self.program);
        match self.kind {
            Kind::Pasta => {
                command.args([
                    "--foreground",
                    "--config-net",
                    "--no-map-gw",
                    "--dns-forward",
                    PASTA_RESOLVER,
                ]);
                if rustix::process::geteuid().is_root() {
                    // It would become `nobody`, who may not enter the room.
                    command.args(["--runas", "0"]);
                }
                let to = |port: &Publish| format!("127.0.0.1/{}:{}", port.host, port.inside);
                let services: Vec<String> = self.services.iter().map(ToString::to_string).collect();
                let or_none =
                    |specs: Vec<String>| if specs.is_empty() { vec!["none".to_owned()] } else { specs };
                for spec in or_none(ports.iter().map(to).collect()) {
                    command.arg("--tcp-ports").arg(spec);
                }
                for spec in or_none(services) {
                    command.arg("--tcp-ns").arg(spec);
                }
                command.args(["--udp-ports", "none", "--udp-ns", "none"]).arg(pid.to_string());
            }
            Kind::Slirp => {
                command.args(["--configure", "--mtu=65520", "--disable-host-loopback", "--api-socket"]);
                command.arg(socket).arg(pid.to_string()).arg("tap0");
            }
        }
        command
    }
}

/// A network that is connected, until this is dropped.
#[derive(Debug)]
pub(crate) struct Joined {
    child: Child,
    guard: Option<Child>,
    /// Where the tool's socket is.
    _dir: tempfile::TempDir,
}

impl Joined {
    /// Connects the network of a process that waits for it.
    pub(crate) fn join(tool: &Tool, ports: &[Publish], pid: u32) -> Result<Self, JoinError> {
        let failed = |said: String| JoinError { program: tool.program.display().to_string(), said };
        let io = |error: std::io::Error| failed(error.to_string());
        let dir = tempfile::tempdir().map_err(io)?;
        let socket = dir.path().join("api");
        // A file and not a pipe: nobody reads on while the app runs.
        let mut said = tempfile::tempfile().map_err(io)?;
        let child = tool
            .command(pid, ports, &socket)
            .stdin(Stdio::null())
            .stdout(said.try_clone().map_err(io)?)
            .stderr(said.try_clone().map_err(io)?)
            // Ctrl-C is the app's, which may still have something to send.
            .process_group(0)
            .spawn()
            .map_err(io)?;
        let mut joined = Self { child, guard: None, _dir: dir };
        joined.guard = Some(guard(joined.child.id()).map_err(io)?);
        let begin = Instant::now();
        loop {
            let over = joined.child.try_wait().map_err(io)?.is_some() || begin.elapsed() > PATIENCE;
            if over {
                return Err(failed(read(&mut said)));
            }
            if has_route(pid) && (tool.kind == Kind::Pasta || socket.exists()) {
                break;
            }
            std::thread::sleep(STEP);
        }
        if tool.kind == Kind::Slirp {
            for port in ports {
                open_slirp(&socket, *port).map_err(failed)?;
            }
        }
        Ok(joined)
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        for child in self.guard.iter_mut().chain([&mut self.child]) {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Ends the tool when this process was killed: not every version of the tools notices that the network is gone. The
/// pipe's end says so, which nobody can take away from us.
fn guard(tool: u32) -> std::io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", "read -r _; kill -KILL \"$0\"", &tool.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Whether a route leads out of the network namespace of a process: then the tool is done with it.
fn has_route(pid: u32) -> bool {
    // One that refuses leads to no device, which is shown as an asterisk.
    let leads_out = |line: &str| !line.starts_with('*');
    fs_err::read_to_string(format!("/proc/{pid}/net/route")).is_ok_and(|it| it.lines().skip(1).any(leads_out))
}

/// What the tool said last; before it come facts about addresses.
fn read(said: &mut std::fs::File) -> String {
    let mut text = String::new();
    drop(said.rewind());
    drop(said.read_to_string(&mut text));
    let mut lines =
        text.lines().map(str::trim).filter(|line| !line.contains("to syslog") && !line.is_empty());
    lines.next_back().unwrap_or("it said nothing").to_owned()
}

/// Asks slirp4netns for a port
/// (<https://github.com/rootless-containers/slirp4netns/blob/v1.2.0/slirp4netns.1.md#api-socket>).
fn open_slirp(socket: &Path, port: Publish) -> Result<(), String> {
    let request = serde_json::json!({"execute": "add_hostfwd", "arguments": {
        "proto": "tcp",
        "host_addr": "127.0.0.1",
        "host_port": port.host,
        "guest_addr": SLIRP_GUEST,
        "guest_port": port.inside,
    }});
    let mut answer = String::new();
    let mut ask = || -> std::io::Result<()> {
        let mut stream = UnixStream::connect(socket)?;
        stream.write_all(request.to_string().as_bytes())?;
        stream.shutdown(std::net::Shutdown::Write)?;
        stream.read_to_string(&mut answer)?;
        Ok(())
    };
    ask().map_err(|error| error.to_string())?;
    if answer.contains("\"error\"") { Err(format!("port {}: {answer}", port.host)) } else { Ok(()) }
}

/// A program of the user's `PATH`.
fn program(env: &Environment, name: &str) -> Option<PathBuf> {
    let path = env.get(OsStr::new("PATH"))?;
    std::env::split_paths(path).map(|dir| dir.join(name)).find(|it| it.is_absolute() && it.is_file())
}
