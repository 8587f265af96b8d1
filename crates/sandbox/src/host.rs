//! Whether this machine lets us make rooms, and if not, which setting forbids it and how it is allowed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{At, SandboxError, Step};
use crate::tree::{own_dir, remove_tree};
use crate::{Identity, Isolation, Mount, Network, Room, Upper, ids};

/// Why this machine does not let us make a room, and how to allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} forbids the sandbox: {reason}")]
pub struct Forbidden {
    /// The setting that forbids it.
    pub setting: String,
    /// What failed, in the system's words.
    pub reason: String,
    /// What to do, in a few lines ready to be shown.
    pub cure: String,
}

/// What this machine allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The best isolation that it allows.
    pub isolation: Isolation,
    /// What forbids full isolation; none with it.
    pub instead_of_full: Option<Forbidden>,
}

/// Says how far this machine lets us shut rooms off, by making one (some milliseconds); if it lets us make none, which
/// setting forbids it and how to allow it.
///
/// `below` is a directory of the caller's, on the file system of the trees that rooms will be made of, in which rooms of
/// [`Isolation::Reduced`] are put together.
pub fn check_host(below: &Path) -> Result<Allowed, Forbidden> {
    let host = Host::read(below);
    let forbidden = match try_out(below, &Isolation::Full) {
        Ok(()) => return Ok(Allowed { isolation: Isolation::Full, instead_of_full: None }),
        Err(error) => diagnose(&error, &host),
    };
    if !ids::shifts() {
        return Err(forbidden);
    }
    let isolation = Isolation::Reduced { below: below.to_owned() };
    match try_out(below, &isolation) {
        Ok(()) => Ok(Allowed { isolation, instead_of_full: Some(forbidden) }),
        Err(error) => {
            let reason = format!("{}; and a room without namespaces: {error}", forbidden.reason);
            Err(Forbidden { reason, ..forbidden })
        }
    }
}

/// Makes a room with all that it takes of the machine and of the file system.
fn try_out(below: &Path, isolation: &Isolation) -> Result<(), SandboxError> {
    let dir = below.join(format!("check-{}", std::process::id()));
    let tried = try_out_in(&dir, isolation);
    remove_tree(&dir)?;
    tried
}

fn try_out_in(dir: &Path, isolation: &Isolation) -> Result<(), SandboxError> {
    let user = Identity { uid: 1000, gid: 1000 };
    let [upper, work] = ["upper", "work"].map(|name| dir.join(name));
    for path in [&upper, &work] {
        own_dir(path, user, isolation)?;
    }
    // Seen as the user's, so it must not be.
    let tree = dir.join("tree");
    fs::create_dir(&tree).at(Step::MakeScratch, &tree)?;
    let mounts = vec![Mount::Overlay { target: "/app".into(), lower: vec![tree.clone()], upper, work }];
    let room = Room {
        root: vec![tree],
        upper: Upper::Tmpfs,
        mounts,
        user,
        hostname: "check".to_owned(),
        network: Network::None,
        isolation: isolation.clone(),
    };
    room.try_out()
}

/// The settings that matter, read once.
#[derive(Debug, Default)]
struct Host {
    root: bool,
    executable: PathBuf,
    unprivileged_clone: Option<String>,
    max_user_namespaces: Option<String>,
    apparmor: Option<String>,
    /// The `Seccomp` line of /proc/self/status: 2 is under a filter.
    seccomp: bool,
    /// Where rooms would be.
    below: PathBuf,
}

impl Host {
    fn read(below: &Path) -> Self {
        let sysctl = |name: &str| {
            fs::read_to_string(Path::new("/proc/sys").join(name)).ok().map(|value| value.trim().to_owned())
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            root: rustix::process::geteuid().is_root(),
            executable: fs::read_link("/proc/self/exe").unwrap_or_else(|_| "/usr/local/bin/packlight".into()),
            unprivileged_clone: sysctl("kernel/unprivileged_userns_clone"),
            max_user_namespaces: sysctl("user/max_user_namespaces"),
            apparmor: sysctl("kernel/apparmor_restrict_unprivileged_userns"),
            seccomp: status.lines().any(|line| line.starts_with("Seccomp:") && line.ends_with('2')),
            below: below.to_owned(),
        }
    }
}

fn diagnose(error: &SandboxError, host: &Host) -> Forbidden {
    let forbidden = |setting: &str, cure: String| Forbidden {
        setting: setting.to_owned(),
        reason: error.to_string(),
        cure,
    };
    let is = |value: &Option<String>, what: &str| value.as_deref() == Some(what);
    let errno = match error {
        SandboxError::Setup { source, .. } => source.raw_os_error(),
        _ => None,
    };
    let denied = matches!(errno, Some(libc::EPERM | libc::EACCES));
    if is(&host.max_user_namespaces, "0") {
        return forbidden("user.max_user_namespaces=0", sysctl_cure("user.max_user_namespaces=15000"));
    }
    // Other mounts came before this one: had a policy forbidden them all, we would not be here.
    if let SandboxError::Setup { step: Step::MountProc, hint: Some(hint), .. } = error {
        return forbidden("the masked /proc of this container", hint.clone());
    }
    if denied && !host.root && is(&host.unprivileged_clone, "0") {
        return forbidden(
            "kernel.unprivileged_userns_clone=0",
            sysctl_cure("kernel.unprivileged_userns_clone=1"),
        );
    }
    if denied && !host.root && is(&host.apparmor, "1") {
        return forbidden("kernel.apparmor_restrict_unprivileged_userns=1", apparmor_cure(&host.executable));
    }
    if errno == Some(libc::ENOSPC) {
        let cure = sysctl_cure("user.max_user_namespaces=15000");
        return forbidden(
            "a limit of user.max_*_namespaces",
            format!("as many namespaces exist as may be; {cure}"),
        );
    }
    match error {
        SandboxError::Setup {
            step: Step::MakeUserNamespace | Step::MakeNamespaces | Step::MapIds, ..
        } if denied || errno == Some(libc::ENOSYS) => container(host, forbidden),
        SandboxError::Setup { step: Step::MountOverlay | Step::ShiftOwner, hint: Some(hint), .. } => {
            forbidden(&format!("the file system of {}", host.below.display()), hint.clone())
        }
        SandboxError::Setup { hint: Some(hint), .. } => forbidden("the kernel", hint.clone()),
        _ => forbidden(
            "the kernel",
            "Packlight needs Linux 5.12 or newer with user namespaces and overlayfs".to_owned(),
        ),
    }
}

fn container(host: &Host, forbidden: impl Fn(&str, String) -> Forbidden) -> Forbidden {
    let options = "--security-opt seccomp=unconfined --security-opt apparmor=unconfined \
                   --security-opt systempaths=unconfined";
    if host.root {
        return forbidden(
            "root without CAP_SYS_ADMIN (a container's)",
            format!(
                "start the container with --privileged, or run packlight in it as an ordinary user (--user 1000) with\n  {options}"
            ),
        );
    }
    if host.seccomp {
        return forbidden(
            "the seccomp filter around this process (a container's)",
            format!("start the container with\n  {options}\nor run packlight outside of it"),
        );
    }
    forbidden(
        "the kernel's or a security module's policy for user namespaces",
        "allow unprivileged user namespaces (CONFIG_USER_NS, SELinux or AppArmor policy), or run packlight as root"
            .to_owned(),
    )
}

fn sysctl_cure(setting: &str) -> String {
    format!(
        "allow it now:\n  sudo sysctl -w {setting}\nand from the next start on:\n  echo {setting} | sudo tee /etc/sysctl.d/90-packlight.conf"
    )
}

/// A profile as Ubuntu gives its own programs that make user namespaces
/// (<https://documentation.ubuntu.com/security/security-features/privilege-restriction/apparmor/>).
fn apparmor_cure(executable: &Path) -> String {
    let path = executable.display();
    format!(
        "allow it for this program with a profile:\n\
         \x20 sudo tee /etc/apparmor.d/packlight <<'END'\n\
         \x20 abi <abi/4.0>,\n\
         \x20 include <tunables/global>\n\
         \x20 profile packlight \"{path}\" flags=(unconfined) {{\n\
         \x20   userns,\n\
         \x20 }}\n\
         \x20 END\n\
         \x20 sudo apparmor_parser -r /etc/apparmor.d/packlight"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(step: Step, errno: i32) -> SandboxError {
        let source = std::io::Error::from_raw_os_error(errno);
        SandboxError::Setup { step, path: PathBuf::new(), source, hint: None }
    }

    #[test]
    fn ubuntus_restriction_is_answered_with_a_profile_for_this_very_executable() {
        let host = Host {
            apparmor: Some("1".into()),
            executable: "/opt/my tools/packlight".into(),
            ..Host::default()
        };
        let answer = diagnose(&failed(Step::MapIds, libc::EPERM), &host);
        assert_eq!(answer.setting, "kernel.apparmor_restrict_unprivileged_userns=1");
        assert!(
            answer
                .cure
                .contains("profile packlight \"/opt/my tools/packlight\" flags=(unconfined) {\n    userns,"),
            "{}",
            answer.cure
        );
    }

    #[test]
    fn a_sysctl_that_forbids_is_named_with_the_value_that_allows() {
        let off = Host { max_user_namespaces: Some("0".into()), ..Host::default() };
        let answer = diagnose(&failed(Step::MakeUserNamespace, libc::ENOSPC), &off);
        assert_eq!(answer.setting, "user.max_user_namespaces=0");
        let off = Host { unprivileged_clone: Some("0".into()), ..Host::default() };
        let answer = diagnose(&failed(Step::MakeUserNamespace, libc::EPERM), &off);
        assert!(answer.cure.contains("sysctl -w kernel.unprivileged_userns_clone=1"));
    }

    #[test]
    fn what_no_policy_denied_is_not_blamed_on_a_policy() {
        let ubuntu = Host { apparmor: Some("1".into()), ..Host::default() };
        let answer = diagnose(&failed(Step::MountOverlay, libc::EINVAL), &ubuntu);
        assert_eq!(answer.setting, "the kernel");
        let answer = diagnose(&failed(Step::MakeUserNamespace, libc::ENOSPC), &ubuntu);
        assert_eq!(answer.setting, "a limit of user.max_*_namespaces");
    }

    #[test]
    fn a_containers_filter_is_told_from_missing_rights_of_root() {
        let error = failed(Step::MakeNamespaces, libc::EPERM);
        let filtered = diagnose(&error, &Host { seccomp: true, ..Host::default() });
        assert!(filtered.setting.contains("seccomp"), "{filtered}");
        let root = diagnose(&error, &Host { seccomp: true, root: true, ..Host::default() });
        assert!(root.setting.contains("CAP_SYS_ADMIN"), "{root}");
    }
}
