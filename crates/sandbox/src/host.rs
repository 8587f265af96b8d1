//! Whether this machine lets us make rooms, and if not, which setting forbids it and how it is allowed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{SandboxError, Step};
use crate::{Identity, Network, Room, Upper};

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

/// Says whether this machine lets us make rooms, by making one (some milliseconds); if not, which setting forbids it and
/// how to allow it.
pub fn check_host() -> Result<(), Forbidden> {
    let room = Room {
        root: Vec::new(),
        upper: Upper::Tmpfs,
        mounts: Vec::new(),
        user: Identity { uid: 1000, gid: 1000 },
        hostname: "check".to_owned(),
        network: Network::Host,
    };
    room.try_out().map_err(|error| diagnose(&error, &Host::read()))
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
}

impl Host {
    fn read() -> Self {
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
