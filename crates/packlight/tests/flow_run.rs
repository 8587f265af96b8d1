//! `packlight run`, with the real sandbox: exit codes, signals, ports, volumes, a shell, and that nothing is left.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use support::*;

const IMAGE: &str = "flow-run";

/// One app for all cases: a server, and a process that tells of its signals.
fn image() -> &'static str {
    static BUILT: OnceLock<String> = OnceLock::new();
    BUILT.get_or_init(|| {
        let app = plain_app();
        let signals = "import os, signal, sys, time\n\
            count = 0\n\
            def told(number, frame):\n\
            \x20   global count\n\
            \x20   count += 1\n\
            \x20   print('got', signal.Signals(number).name, count, flush=True)\n\
            for it in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n\
            \x20   signal.signal(it, told)\n\
            print('ready', flush=True)\n\
            if 'polite' in sys.argv:\n\
            \x20   while not count: time.sleep(0.01)\n\
            \x20   time.sleep(0.5)\n\
            \x20   sys.exit(3)\n\
            time.sleep(600)\n\
            time.sleep(600)\n";
        std::fs::write(app.path().join("signals.py"), signals).unwrap();
        // What is to be reached from another network does not listen on loopback alone.
        let server = std::fs::read_to_string(app.path().join("server.py")).unwrap();
        std::fs::write(app.path().join("open.py"), server.replace("127.0.0.1", "0.0.0.0")).unwrap();
        let procfile = "web: python3 server.py\nopen: python3 open.py\nsignals: python3 -u signals.py\n";
        std::fs::write(app.path().join("Procfile"), procfile).unwrap();
        build(IMAGE, app.path())
    });
    IMAGE
}

/// `packlight run IMAGE ARGS`.
fn run(args: &[&str]) -> Command {
    packlight(["run", image()].into_iter().chain(args.iter().copied()))
}

/// A shell script in the image.
fn shell(script: &str) -> Said {
    say(&mut run(&["--network", "host", "--entrypoint", "sh", "--", "-c", script]))
}

#[test]
fn the_exit_code_is_the_apps() {
    assert_eq!(shell("exit 7").code, Some(7));
    assert_eq!(shell("kill -TERM $$").code, Some(143));
    let said =
        say(&mut run(&["--network", "host", "--entrypoint", "sh", "--", "-c", "echo out; echo err >&2"]))
            .ok();
    assert_eq!((said.out.as_str(), said.err.as_str()), ("out\n", "err\n"));
}

#[test]
fn what_cannot_be_started_has_the_codes_of_engines() {
    run_fails(&["--entrypoint", "nothere"], 127, &["has no program nothere"]);
    run_fails(&["--entrypoint", "/etc/passwd"], 126, &["/etc/passwd cannot be started"]);
    run_fails(&["wrok"], 125, &["has no process type `wrok`; it has: open, signals, web"]);
    say(&mut packlight(["run", "flow-rnu"])).fails(125, &["no image flow-rnu", "packlight build flow-rnu"]);
    run_fails(&["-v", "/nonexistent:/data"], 125, &["there is nothing at this path"]);
    run_fails(&["--engine", "docker"], 6, &["not yet", "docker run"]);
}

fn run_fails(args: &[&str], code: i32, words: &[&str]) {
    say(run(args).args(["--network", "host"])).fails(code, words);
}

#[test]
fn a_signal_reaches_the_app_and_its_answer_is_the_end() {
    let app = Running::start(&mut run(&["signals", "--network", "host", "--", "polite"]));
    app.until("ready");
    let (code, printed) = app.stop("TERM");
    assert!(printed.contains("got SIGTERM 1"), "{printed}");
    assert_eq!(code, Some(3), "{printed}");
}

#[test]
fn an_app_that_does_not_end_is_killed_at_the_second_ask() {
    let app = Running::start(&mut run(&["signals", "--network", "host"]));
    app.until("ready");
    signal(app.id(), "INT");
    app.until("got SIGINT 1");
    let (code, printed) = app.stop("INT");
    assert_eq!(code, Some(137), "{printed}");
}

#[test]
fn an_app_that_a_script_started_in_the_background_is_interrupted_too() {
    // There a shell has interrupts ignored.
    let command = run(&["signals", "--network", "host", "--", "polite"]);
    let mut script = Command::new("sh");
    script.args(["-c", r#""$@" & echo "pid $!"; wait $!; echo "ended $?""#, "sh"]);
    script.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        script.env(name, value.unwrap_or_default());
    }
    let shell = Running::start(&mut script);
    let printed = shell.until("ready");
    let pid = printed.lines().find_map(|line| line.strip_prefix("pid ")).unwrap().parse().unwrap();
    signal(pid, "INT");
    let (_, printed) = shell.ended();
    assert!(printed.contains("got SIGINT 1") && printed.contains("ended 3"), "{printed}");
}

#[test]
fn a_hangup_is_passed_on_and_does_not_end_the_app() {
    let app = Running::start(&mut run(&["signals", "--network", "host"]));
    app.until("ready");
    signal(app.id(), "HUP");
    signal(app.id(), "HUP");
    app.until("got SIGHUP 1");
    signal(app.id(), "TERM");
    app.until("got SIGTERM");
    assert_eq!(app.stop("TERM").0, Some(137));
}

#[test]
fn a_signal_that_comes_before_the_app_ends_the_command_with_a_word() {
    let (store, app) = (tempfile::tempdir().unwrap(), plain_app());
    let build = ["--quiet", "build", "flow-early", "--output", "store", "--path"];
    say(packlight_on(store.path(), build).arg(app.path())).ok();
    // Somebody else seems to unpack a layer, and takes long.
    let layers = store.path().join("layers");
    let layer = std::fs::read_dir(&layers).unwrap().flatten().find(|it| it.path().is_dir()).unwrap().path();
    let lock = std::fs::File::options().write(true).open(layer.with_added_extension("lock")).unwrap();
    std::fs::remove_dir_all(&layer).unwrap();
    lock.lock().unwrap();
    for (format, words) in
        [("text", "error: ended by SIGINT\nhint: nothing is half written"), ("json", r#""exit-code":130"#)]
    {
        let app = Running::start(&mut packlight_on(
            store.path(),
            ["--format", format, "run", "flow-early", "--network", "host"],
        ));
        while !hears_of_interrupts(app.id()) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let (code, printed) = app.stop("INT");
        assert_eq!(code, None, "{printed}");
        assert!(printed.contains(words), "{printed}");
    }
}

/// Whether the process has a handler for SIGINT.
fn hears_of_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn without_a_port_a_free_one_is_taken_and_its_address_printed() {
    let app = Running::start(&mut run(&["--network", "host"]));
    let printed = app.until("listening at http://127.0.0.1:");
    assert!(get(url_port(&printed), "/").ends_with("plain"));
    assert!(printed.contains("is open on this machine"), "{printed}");
    app.stop("TERM");
}

fn url_port(printed: &str) -> u16 {
    let rest = printed.split("http://127.0.0.1:").nth(1).unwrap();
    rest.split(|it: char| !it.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn a_port_of_this_machine_leads_to_the_apps() {
    let (here, there) = (free_port(), free_port());
    let app = Running::start(&mut run(&["--network", "host", "-p", &format!("{here}:{there}")]));
    app.until(&format!("listening at http://127.0.0.1:{here}"));
    assert!(get(here, "/").ends_with("plain"));
    app.until(&format!("port {there} is open on this machine"));
    app.stop("TERM");
}

#[test]
fn a_taken_port_is_an_error_before_the_app_starts() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for network in ["host", "auto"] {
        let said =
            say(&mut run(&["signals", "--network", network, "-p", &format!("{port}:{}", free_port())]));
        let said =
            said.fails(125, &[&format!("port {port} of this machine is in use"), "choose another with `-p`"]);
        assert!(!said.both().contains("ready"), "{}", said.both());
    }
    let said = say(&mut run(&["--network", "host", "-p", &port.to_string()]));
    said.fails(125, &["the app would share it"]);
}

/// With each of the programs that can connect a network: two apps listen on the same port of their own.
#[test]
fn apps_with_networks_of_their_own_listen_on_the_same_port() {
    if std::fs::File::options().read(true).write(true).open("/dev/net/tun").is_err() {
        // Who may not make the device has no network of their own to give: then it is said that this one is shared.
        let app = Running::start(&mut run(&["open"]));
        app.until("is open on this machine");
        app.stop("TERM");
        return;
    }
    for tool in ["pasta", "slirp4netns"] {
        let program = ["/usr/bin", "/usr/local/bin"].map(|it| format!("{it}/{tool}"));
        let program = program.iter().find(|it| std::path::Path::new(it).exists());
        let program = program.unwrap_or_else(|| panic!("{tool} is not installed: `make setup` installs it"));
        let path = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(program, path.path().join(tool)).unwrap();
        let (one, two) = (free_port(), free_port());
        let start = |port: u16| {
            let mut command = run(&["open", "-p", &format!("{port}:8123")]);
            Running::start(command.env("PATH", path.path()))
        };
        let apps = [start(one), start(two)];
        for (app, port) in apps.iter().zip([one, two]) {
            let printed = app.until(&format!("listening at http://127.0.0.1:{port}"));
            assert!(!printed.contains("open on this machine"), "{tool}: {printed}");
            assert!(get(port, "/").ends_with("plain"), "{tool}");
        }
        let refused = std::net::TcpStream::connect("127.0.0.1:8123").is_err();
        assert!(refused, "{tool}: the app's port is this machine's");
        for app in apps {
            app.stop("TERM");
        }
        for port in [one, two] {
            std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free again");
        }
    }
}

#[test]
fn variables_come_from_the_command_line_a_file_and_here() {
    let dir = folder(&[("app.env", "# these\nFROM_FILE= spaced \nBOTH=file\n")]);
    let file = dir.path().join("app.env");
    let script = "echo \"$GIVEN|$FROM_FILE|$BOTH|$HERE|$CNB_APP_DIR|$SECRET\"";
    let args = ["-e", "GIVEN=a=b", "-e", "HERE", "-e", "BOTH=given", "--env-file", file.to_str().unwrap()];
    let mut command =
        run(&[&["--network", "host"], &args[..], &["--entrypoint", "sh", "--", "-c", script]].concat());
    let said = say(command.env("HERE", "from here").env("SECRET", "not for the app")).ok();
    assert_eq!(said.out, "a=b| spaced |given|from here|/workspace|\n");
}

#[test]
fn a_volume_is_seen_and_changed_unless_it_is_read_only() {
    let dir = folder(&[("text", "seen")]);
    // Whoever runs this: the app is another user, and finds a folder that everybody may write.
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let here = dir.path().display();
    let script = "cat /data/text; echo new > /data/made";
    let tail = ["--network", "host", "--entrypoint", "sh", "--", "-c", script];
    let mut command = run(&[&["-v", &format!("{here}:/data:ro")], &tail[..]].concat());
    let said = say(&mut command);
    assert!(said.out == "seen" && said.code != Some(0), "{}", said.both());
    assert!(!dir.path().join("made").exists());
    let mut command = run(&[&["-v", &format!("{here}:/data")], &tail[..]].concat());
    say(&mut command).ok();
    assert_eq!(std::fs::read_to_string(dir.path().join("made")).unwrap(), "new\n");
}

#[test]
fn nothing_is_left_behind() {
    let marker = format!("{}", 700_000 + std::process::id());
    let script =
        format!("sleep {marker} & (setsid sleep {marker} &) ; echo changed > /workspace/x; sleep 0.1");
    let said = shell(&script);
    assert_eq!(said.code, Some(0), "{}", said.both());
    assert!(!listed(&format!("^sleep {marker}$")));
    assert_ne!(shell("test -e /workspace/x").code, Some(0), "a change outlived its run");
}

#[test]
fn killed_itself_it_takes_the_app_and_its_network_along() {
    for network in ["host", "auto"] {
        let marker = format!("{}", 800_000 + std::process::id());
        let port = free_port();
        let script = format!("echo up; sleep {marker}");
        let ports = format!("{port}:8123");
        let args = ["--network", network, "-p", &ports, "--entrypoint", "sh", "--", "-c", &script];
        let app = Running::start(&mut run(&args));
        app.until("up");
        let sleeps = || listed(&format!("^sleep {marker}$"));
        // The shell says "up" before it has started the next program.
        wait_until(sleeps, "the app's program never came");
        app.stop("KILL");
        let connected = || listed(&format!("(pasta|slirp4netns) .*{port}:8123"));
        wait_until(|| !sleeps() && !connected(), &format!("{network}: something lives on"));
    }
}

fn wait_until(done: impl Fn() -> bool, otherwise: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !done() {
        assert!(std::time::Instant::now() < deadline, "{otherwise}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Whether a process has such a command line.
fn listed(pattern: &str) -> bool {
    !Command::new("pgrep").args(["-f", pattern]).output().unwrap().stdout.is_empty()
}

/// `script` gives a terminal; what is typed, and what is seen with the exit code.
fn on_a_terminal(command: &Command, keys: &[(&str, &str)]) -> (Option<i32>, String) {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let line = words.iter().map(|it| format!("'{}'", it.to_str().unwrap())).collect::<Vec<_>>().join(" ");
    // `exec`: a shell that waits would get Ctrl-C too, and not every shell outlives it.
    let line = format!("exec {line}");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.env("SHELL", "/bin/sh").stdin(Stdio::piped());
    for (name, value) in command.get_envs() {
        script.env(name, value.unwrap_or_default());
    }
    let (reader, mut writer) = std::io::pipe().unwrap();
    let app = Running::start(script.stdin(reader));
    for (wait, key) in keys {
        app.until(wait);
        writer.write_all(key.as_bytes()).unwrap();
    }
    app.ended()
}

#[test]
fn a_shell_talks_with_the_terminal() {
    let mut command = run(&["--network", "host", "--entrypoint", "bash", "--", "--norc"]);
    command.env("TERM", "xterm");
    // A prompt ends no line, so what is typed does not wait for it.
    let (code, seen) = on_a_terminal(&command, &[("", "tty; echo $((40+2)); exit 5\n")]);
    assert!(seen.contains("42") && !seen.contains("no job control"), "{seen}");
    assert_eq!(code, Some(5), "{seen}");
}

#[test]
fn ctrl_c_reaches_the_app_once() {
    let command = run(&["signals", "--network", "host", "--", "polite"]);
    let (code, seen) = on_a_terminal(&command, &[("ready", "\u{3}")]);
    assert!(seen.contains("got SIGINT 1") && !seen.contains("SIGINT 2"), "{seen}");
    assert_eq!(code, Some(3), "{seen}");
}
