//! How a program starts, talks and ends, and that nothing is left of it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use sandbox::{Exit, Isolation, Mount, SandboxError, Stdio};

use crate::room::place::{Place, finish, process, read_only, run, sh, start};

pub(crate) fn what_the_room_leaves_behind_is_dead_after_wait(place: &Place) {
    let mark = format!("{}.25", 300_000 + std::process::id());
    let script = format!(
        "i=0; while [ $i -lt 50 ]; do setsid sh -c 'trap \"\" TERM HUP; sleep {mark}; :' >/dev/null 2>&1 & i=$((i+1)); done
         echo here; read line"
    );
    let mut asked = process(&["/bin/sh", "-c", &script]);
    asked.stdin = Stdio::Pipe;
    let mut running = place.room().start(&asked).unwrap();
    running.stdout.as_mut().unwrap().read_exact(&mut [0; 5]).unwrap();
    soon(|| processes_with(&mark) == 50);
    running.stdin.take().unwrap().write_all(b"end\n").unwrap();
    assert_eq!(running.wait().unwrap(), Exit::Code(0));
    assert_eq!(processes_with(&mark), 0);
}

pub(crate) fn dropping_a_room_kills_it(place: &Place) {
    let mark = format!("{}.5", 300_000 + std::process::id());
    let running = start(&place.room(), &["/bin/sleep", &mark]);
    let signaller = running.signaller(); // holds the socket, and must not hold the room
    assert_eq!(processes_with(&mark), 1);
    drop(running);
    assert_eq!(processes_with(&mark), 0);
    signaller.send(15).unwrap();
}

pub(crate) fn a_room_that_never_begins_leaves_nothing(place: &Place) {
    let waiting = place.room().prepare(&process(&["/bin/sh"])).unwrap();
    let proc = Path::new("/proc").join(waiting.pid().to_string());
    assert!(proc.exists());
    drop(waiting);
    assert!(!proc.exists());
    let refused = place.room().prepare(&process(&["/no/such"])).unwrap().begin();
    assert!(matches!(refused, Err(SandboxError::Exec { .. })), "{refused:?}");
}

pub(crate) fn a_killed_caller_takes_its_room_along(place: &Place) {
    let mark = format!("{}.75", 300_000 + std::process::id());
    // A room in a room needs namespaces that a room refuses, so the caller is this program once more, outside.
    let mut caller = std::process::Command::new("/proc/self/exe")
        .args(["guest", "host-a-room", place.dir.to_str().unwrap(), &mark])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    caller.stdout.take().unwrap().read_exact(&mut [0; 8]).unwrap();
    assert!(processes_with(&mark) > 0);
    caller.kill().unwrap();
    caller.wait().unwrap();
    soon(|| processes_with(&mark) == 0);
    // What was made for it goes a moment later.
    if let Isolation::Reduced { below } = &place.isolation {
        soon(|| fs::read_dir(below).unwrap().count() == 0);
    }
}

pub(crate) fn a_thread_that_started_a_room_may_end(place: &Place) {
    let room = place.room();
    let running =
        std::thread::spawn(move || start(&room, &["/bin/sh", "-c", "sleep 0.1; echo alive"])).join().unwrap();
    assert_eq!(finish(running).said, "alive\n");
}

pub(crate) fn rooms_of_many_threads_do_not_meet(place: &Place) {
    let sleeper = start(&place.room(), &["/bin/sleep", "1000"]);
    std::thread::scope(|scope| {
        for number in 0..16 {
            // The end of its output comes when it is dead, whoever else was started meanwhile.
            scope.spawn(move || {
                let number = number.to_string();
                assert_eq!(run(&place.room(), &["/bin/echo", &number]).said, number + "\n");
            });
        }
    });
    drop(sleeper);
}

pub(crate) fn the_exit_status_is_told_exactly(place: &Place) {
    for status in [0, 1, 7, 100, 127, 255] {
        let script = format!("exit {status}");
        assert_eq!(run(&place.room(), &["/bin/sh", "-c", &script]).exit, Exit::Code(status));
    }
    assert_eq!(run(&place.room(), &["/bin/sh", "-c", "kill -SEGV $$"]).exit, Exit::Signal(11));
    let mut running = start(&place.room(), &["/bin/true"]);
    assert_eq!(running.wait().unwrap(), Exit::Code(0));
    assert_eq!(running.wait().unwrap(), Exit::Code(0));
}

pub(crate) fn a_shell_has_the_terminal_and_the_caller_gets_it_back(place: &Place) {
    let program = std::env::current_exe().unwrap();
    let command = format!("{} guest host-a-shell {}", program.display(), place.dir.display());
    let output = std::process::Command::new("script").args(["-qec", &command, "/dev/null"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.first(), Some(&"/dev/console"), "{said}");
    let groups: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(groups[0], groups[1], "the shell is in the foreground: {said}");
    assert_eq!(lines.last(), Some(&"Code(0), foreground: true"), "{said}");
}

pub(crate) fn signals_are_passed_on_and_told(place: &Place) {
    let script = "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.02; done";
    let mut running = start(&place.room(), &["/bin/sh", "-c", script]);
    let mut ready = [0; 6];
    running.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let signaller = running.signaller();
    std::thread::spawn(move || signaller.send(15).unwrap());
    let outcome = finish(running);
    assert_eq!((outcome.exit, outcome.said.as_str()), (Exit::Code(5), "got it\n"));
    let running = start(&place.room(), &["/bin/sleep", "1000"]);
    running.signal(9).unwrap();
    assert_eq!(finish(running).exit, Exit::Signal(9));
}

pub(crate) fn orphans_are_reaped(place: &Place) {
    let said = sh(
        &place.room(),
        "sh -c 'sleep 0.01 & sleep 0.01 & exit'; sleep 0.1; grep -h '^State' /proc/[0-9]*/status",
    );
    assert!(!said.contains('Z'), "{said}");
}

pub(crate) fn a_missing_program_is_told_from_a_missing_loader(place: &Place) {
    let script = place.write("script", "#!/no/such/interpreter\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let plain = place.write("plain", "text");
    let mut room = place.room();
    room.mounts.extend([read_only(&script, "/script"), read_only(&plain, "/plain")]);
    let refusal = |program: &str| match room.start(&process(&[program])) {
        Err(error @ SandboxError::Exec { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refusal("/no/such"),
        "cannot run /no/such in the sandbox: No such file or directory (os error 2)"
    );
    assert!(
        refusal("/script")
            .ends_with("(it is there, but the interpreter or dynamic loader that it names is not)")
    );
    assert!(refusal("/plain").contains("Permission denied (os error 13) (it is not executable"));
    assert!(refusal("no-such-name").contains("No such file"));
}

pub(crate) fn a_program_without_a_slash_is_found_in_path(place: &Place) {
    assert_eq!(run(&place.room(), &["sh", "-c", "echo found"]).said, "found\n");
}

pub(crate) fn streams_are_where_they_were_asked_for(place: &Place) {
    let mut asked = process(&["/bin/sh", "-c", "cat; echo err >&2"]);
    asked.stdin = Stdio::Pipe;
    let mut running = place.room().start(&asked).unwrap();
    running.stdin.take().unwrap().write_all(b"in\n").unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    running.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    running.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(running.wait().unwrap(), Exit::Code(0));
    assert_eq!(out, "in\n");
    assert_eq!(err, "err\n");
    // A program of its own session has no terminal to take.
    assert_eq!(sh(&place.room(), "[ \"$(cut -d' ' -f6 /proc/$$/stat)\" = $$ ] && echo leader"), "leader\n");
}

pub(crate) fn no_descriptor_leaks_in(place: &Place) {
    let leaky = fs::File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leaky, rustix::io::FdFlags::empty()).unwrap();
    assert_eq!(run(&place.room(), &["/guest", "guest", "fds"]).said, "0 1 2\n");
}

pub(crate) fn bytes_of_any_kind_arrive(place: &Place) {
    use std::os::unix::ffi::OsStringExt;
    let odd = std::ffi::OsString::from_vec(b"a b,c:d\\e\n\xff".to_vec());
    let dir = place.dir.join(&odd);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "here").unwrap();
    let mut room = place.workspace(vec![dir]);
    let target = Path::new("/").join(&odd);
    room.mounts.push(Mount::Tmpfs { target: target.clone() });
    let mut asked = process(&[
        "/bin/sh",
        "-c",
        "cat /workspace/file; [ \"$PWD\" = \"$WHERE\" ] && printf %s \"$1\"",
        "-",
    ]);
    asked.argv.push(odd.clone());
    asked.env.push(("WHERE".into(), target.clone().into()));
    asked.cwd = target;
    let mut running = room.start(&asked).unwrap();
    let mut said = Vec::new();
    running.stdout.take().unwrap().read_to_end(&mut said).unwrap();
    assert_eq!(said, [b"here", odd.as_encoded_bytes()].concat());
}

pub(crate) fn a_failing_step_names_itself_and_its_path(place: &Place) {
    let mut room = place.room();
    room.root.push("/no/such/tree".into());
    let error = room.start(&process(&["/bin/true"])).unwrap_err().to_string();
    assert_eq!(error, "cannot open /no/such/tree: No such file or directory (os error 2)");
    let mut asked = process(&["/bin/true"]);
    asked.cwd = "/no/such/dir".into();
    let error = place.room().start(&asked).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot enter the working directory in the sandbox /no/such/dir: No such file or directory (os error 2)"
    );
}

/// How many processes of this machine have this in their arguments.
fn processes_with(mark: &str) -> usize {
    let ours = std::process::id().to_string();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy() != ours)
        .filter(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words.first().is_some_and(|name| name.ends_with(b"sleep")) && words.contains(&mark.as_bytes())
        })
        .count()
}

/// How many processes have this user.
pub(super) fn processes_of(uid: u32) -> usize {
    use std::os::unix::fs::MetadataExt;
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    // A directory of /proc is its process' own, as long as that may be looked at.
    processes.filter(|entry| entry.metadata().is_ok_and(|found| found.uid() == uid)).count()
}

/// Waits for what the kernel does on its own; fails only when it never comes.
pub(super) fn soon(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "never happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}
