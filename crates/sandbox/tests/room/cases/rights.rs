//! Who the program is, and what it tries in vain.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use sandbox::Exit;

use crate::room::place::{Place, USER, is_root, read_only, run, sh, start, writable};

pub(crate) fn the_program_is_the_rooms_user_and_nobody_on_the_host(place: &Place) {
    let room = place.room();
    let running = start(&room, &["/bin/sleep", "1000"]);
    let running_uid = fs::metadata(format!("/proc/{}", running.pid())).unwrap().uid();
    if is_root() {
        assert!(running_uid >= 0x7000_0000, "the room runs as {running_uid}");
    } else {
        assert_eq!(running_uid, rustix::process::geteuid().as_raw());
    }
    drop(running);
    assert_eq!(sh(&room, "id -u; id -g; hostname"), "1000\n1000\nroom\n");
}

pub(crate) fn no_capability_and_no_new_one(place: &Place) {
    let said = sh(&place.room(), "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
    let values: Vec<&str> = said.lines().map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(values[..5], ["0000000000000000"; 5], "{said}");
    assert_eq!(values[5..], ["1", "2"], "{said}");
    let cores = sh(&place.room(), "grep core /proc/self/limits");
    assert_eq!(cores.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{cores}");
}

pub(crate) fn the_hosts_tree_is_gone(place: &Place) {
    let said = sh(&place.room(), "cd /; cd ..; ls; ls /proc/1/root/ 2>&1 || true");
    assert!(!said.contains("home") && !said.contains("root\n"), "{said}");
}

pub(crate) fn every_namespace_but_the_networks_is_the_rooms_own(place: &Place) {
    for kind in ["user", "mnt", "pid", "ipc", "uts", "net"] {
        let link = format!("/proc/self/ns/{kind}");
        let (room, host) = (sh(&place.room(), &format!("readlink {link}")), fs::read_link(&link).unwrap());
        assert_eq!(room.trim_end() == host.to_str().unwrap(), kind == "net", "{kind}");
    }
}

pub(crate) fn only_the_named_mounts_are_there(place: &Place) {
    let said = sh(&place.room(), "cut -d' ' -f5 /proc/self/mountinfo");
    let known = ["/", "/usr", "/guest", "/tmp", "/etc/resolv.conf", "/etc/hosts"];
    for mount in said.lines() {
        let ours = known.contains(&mount)
            || mount.starts_with("/proc")
            || mount.starts_with("/dev")
            || mount.starts_with("/usr/");
        assert!(ours, "{mount} in\n{said}");
    }
    assert_eq!(said.lines().filter(|mount| *mount == "/").count(), 1, "{said}");
}

pub(crate) fn the_kernel_cannot_be_switched(place: &Place) {
    let core_pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger"] {
        let outcome =
            run(&place.room(), &["/bin/sh", "-c", &format!("[ ! -e {path} ] && exit 1; echo 1 > {path}")]);
        assert_ne!(outcome.exit, Exit::Code(0), "{path}");
    }
    let read_only = sh(&place.room(), "grep ' /proc/sys ' /proc/self/mountinfo");
    assert!(read_only.contains(" ro,"), "{read_only}");
    for path in ["/proc/keys", "/proc/timer_list", "/proc/kcore"] {
        let script = format!("[ ! -e {path} ] || [ -c {path} ]"); // the null device lies over it
        assert_eq!(run(&place.room(), &["/bin/sh", "-c", &script]).exit, Exit::Code(0), "{path}");
    }
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), core_pattern);
}

pub(crate) fn a_file_of_roots_stays_unread(place: &Place) {
    let secret = place.write("tree/etc/secret", "the secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let shared = place.make_dir("shared");
    sandbox::own_dir(&shared, USER, &place.isolation).unwrap();
    let beside = place.write("shared/secret", "the secret");
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
    // Somebody else's source with a file of root's in it.
    let source = place.make_dir("source");
    std::os::unix::fs::chown(&source, Some(1234), Some(1234)).unwrap();
    let inside = place.write("source/secret", "the secret");
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o600)).unwrap();
    let mut room = place.workspace(vec![source.clone()]);
    room.mounts.extend([writable(&shared, "/shared"), read_only(&source, "/source")]);
    for path in ["/etc/secret", "/shared/secret", "/workspace/secret", "/source/secret"] {
        let outcome = run(&room, &["/bin/cat", path]);
        assert_eq!(outcome.exit, Exit::Code(1), "{path}: {}", outcome.said);
        assert!(outcome.said.contains("Permission denied"), "{path}: {}", outcome.said);
    }
}

pub(crate) fn a_new_user_namespace_is_refused(place: &Place) {
    assert_eq!(
        run(&place.room(), &["/guest", "guest", "unshare-user"]).said,
        "Err(Os { code: 1, kind: PermissionDenied, message: \"Operation not permitted\" })\n"
    );
}

pub(crate) fn threads_start_although_clone3_is_refused(place: &Place) {
    assert_eq!(run(&place.room(), &["/guest", "guest", "threads"]).said, "a thread\n");
}

pub(crate) fn the_hosts_executable_is_out_of_reach(place: &Place) {
    let said = sh(&place.room(), "readlink /proc/1/exe 2>&1 || true; (: >> /proc/1/exe) 2>&1 || true");
    assert!(!said.contains("room-") && said.to_lowercase().contains("permission denied"), "{said}");
}

pub(crate) fn the_hosts_executable_cannot_be_changed_by_running_it(place: &Place) {
    // Before exec the program's process is the runner, so this runs the host's own file (runc's CVE-2019-5736). The runner
    // outlives the room, and the kernel lets nobody write what is running.
    let said = run(&place.room(), &["/proc/self/exe", "guest", "open-own-executable"]).said;
    let owner = fs::metadata("/proc/self/exe").unwrap().uid();
    let ours = !is_root() && owner == rustix::process::geteuid().as_raw();
    let expected = if ours { "Err(ExecutableFileBusy)\n" } else { "Err(PermissionDenied)\n" };
    assert_eq!(said, expected);
}

pub(crate) fn devices_are_the_harmless_ones(place: &Place) {
    let said = sh(
        &place.room(),
        "ls /dev; echo x > /dev/null; head -c 4 /dev/zero | od -An -tx1; echo y > /dev/shm/a; echo z | cat /dev/stdin",
    );
    assert!(said.ends_with(" 00 00 00 00\nz\n"), "{said}");
    let names: Vec<&str> = said.lines().filter(|line| !line.starts_with(' ') && *line != "z").collect();
    let known = [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    ];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    assert!(["null", "pts", "shm", "zero"].iter().all(|name| names.contains(name)), "{names:?}");
}

pub(crate) fn an_abstract_socket_of_the_host_does_not_answer(place: &Place) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let name = format!("packlight-test-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let said = run(&place.room(), &["/guest", "guest", "connect-abstract", &name]).said;
    // Landlock's scopes came with Linux 6.12; before that the network namespace decides.
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let numbers: Vec<u32> = release.split(['.', '-']).take(2).map(|number| number.parse().unwrap()).collect();
    let expected = if numbers >= vec![6, 12] { "Err(PermissionDenied)\n" } else { "Ok(())\n" };
    assert_eq!(said, expected);
}
