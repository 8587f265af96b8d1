//! What is said when the machine does not let us, each tried in a place that really does not.

use std::process::Command;

use crate::room::place::Place;

/// What `check_host` says to this program started by these words.
fn said(place: &Place, words: &[&str]) -> String {
    let program = std::env::current_exe().unwrap();
    let below = place.make_dir("below");
    let mut command = Command::new(words[0]);
    let output =
        command.args(&words[1..]).arg(program).args(["guest", "check-host"]).arg(below).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

pub(crate) fn a_machine_that_allows_is_told_so(place: &Place) {
    assert_eq!(said(place, &["env"]), "allowed\n");
}

pub(crate) fn a_limit_of_namespaces_is_named_with_its_cure(place: &Place) {
    // The limit of a namespace binds those in it and nobody else.
    let limited = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let said = said(place, &["unshare", "--user", "--map-root-user", "sh", "-c", limited, "-"]);
    assert!(
        said.starts_with("user.max_user_namespaces=0 forbids the sandbox: cannot make a user namespace"),
        "{said}"
    );
    assert!(said.contains("sudo sysctl -w user.max_user_namespaces=15000"), "{said}");
}

pub(crate) fn root_of_a_container_without_rights_has_reduced_isolation(place: &Place) {
    let said = said(place, &["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]);
    assert!(
        said.starts_with("reduced: root without CAP_SYS_ADMIN (a container's) forbids the sandbox"),
        "{said}"
    );
    assert!(said.contains("--privileged") && said.contains("Reduced { below:"), "{said}");
    assert_eq!(std::fs::read_dir(place.dir.join("below")).unwrap().count(), 0);
}

pub(crate) fn root_that_may_not_even_chroot_is_told_what_to_do(place: &Place) {
    for (right, cure) in [("sys_chroot", "--cap-add SYS_CHROOT"), ("mknod", "--cap-add MKNOD")] {
        let rights = format!("-sys_admin,-{right}");
        let (bounds, inherited) = (format!("--bounding-set={rights}"), format!("--inh-caps={rights}"));
        let said = said(place, &["setpriv", &bounds, &inherited]);
        assert!(said.starts_with("root without CAP_SYS_ADMIN (a container's) forbids the sandbox"), "{said}");
        assert!(said.contains("and a room without namespaces: cannot") && said.contains(cure), "{said}");
        assert!(said.contains("--privileged"), "{said}");
        assert_eq!(std::fs::read_dir(place.dir.join("below")).unwrap().count(), 0, "{said}");
    }
}

pub(crate) fn a_masked_proc_is_named(place: &Place) {
    // As container engines do it: something lies over a part of /proc.
    let masked = "mount -t tmpfs none /proc/fs && exec \"$@\"";
    let said = said(place, &["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", masked, "-"]);
    assert!(said.starts_with("the masked /proc of this container forbids the sandbox"), "{said}");
    assert!(said.contains("systempaths=unconfined"), "{said}");
}
