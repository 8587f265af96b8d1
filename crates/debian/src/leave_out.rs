//! What packages ship and no base holds: the one list of it, with the reason for each line.
//!
//! Nothing here is needed to run or to build an app. What a licence asks to be kept (`copyright` files) is kept.

/// A part of the file system that is left out.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Path below the root; with a final slash all that is below it. A `*` stands for one component or a part of it.
    path: &'static str,
    /// Names (patterns of the last component) that are kept all the same.
    keep: &'static [&'static str],
    /// Why nobody misses it.
    #[allow(dead_code, reason = "read by people, and by the test that asks for a reason")]
    why: &'static str,
}

const fn all(path: &'static str, why: &'static str) -> Rule {
    Rule { path, keep: &[], why }
}

const RULES: &[Rule] = &[
    Rule { path: "usr/share/doc/", keep: &["copyright"], why: "documentation; licences stay" },
    all("usr/share/man/", "manual pages"),
    all("usr/share/info/", "info pages"),
    // The C.UTF-8 locale is elsewhere (usr/lib/locale/C.utf8) and stays.
    all("usr/share/locale/", "translations of programs' messages"),
    all("usr/share/lintian/", "for Debian's developers"),
    all("usr/share/bug/", "for reportbug"),
    all("usr/share/doc-base/", "an index of documentation"),
    all("usr/share/gcc/python/", "pretty printers of gdb"),
    all("usr/share/gdb/auto-load/", "pretty printers of gdb"),
    all("usr/share/bash-completion/", "completion on a command line that nobody sits at"),
    all("usr/share/zsh/", "completion for zsh"),
    all("usr/share/fish/", "completion for fish"),
    all("usr/share/menu/", "entries of desktop menus"),
    all("usr/share/applications/", "entries of desktop menus"),
    all("usr/share/pixmaps/", "icons of desktop menus"),
    all("usr/share/base-files/info.dir", "the head of an index of info pages"),
    all("etc/update-motd.d/", "greets at a login that does not happen"),
    all("etc/issue", "greets at a login that does not happen"),
    all("etc/issue.net", "greets at a login that does not happen"),
    all("usr/lib/valgrind/", "for valgrind"),
    // 2.8 of 2.9 MB compressed. An app that converts from an IBM mainframe's or a CJK character set by iconv (not by
    // its language's own codecs, which Python, Java, Go, Ruby and Node have) would miss them.
    Rule {
        path: "usr/lib/*/gconv/*.so",
        keep: &["UTF-*.so", "UNICODE.so", "ISO8859-*.so", "CP125*.so", "KOI8-*.so"],
        why: "character sets that are rarely converted by the C library",
    },
    all("usr/lib/python3.*/test/", "the tests of Python itself"),
    all("usr/lib/python3.*/pydoc_data/", "texts of the interactive help"),
    all("usr/lib/python3.*/lib-dynload/_test*.so", "the tests of Python itself"),
    all("usr/lib/python3.*/lib-dynload/_ctypes_test*.so", "the tests of Python itself"),
    all("usr/lib/python3.*/lib-dynload/_xx*.so", "examples of Python's own"),
    all("usr/lib/python3.*/lib-dynload/xx*.so", "examples of Python's own"),
    all("usr/bin/dir", "ls under another name"),
    all("usr/bin/vdir", "ls under another name"),
    all("usr/bin/chcon", "for SELinux's administrators"),
    all("usr/bin/runcon", "for SELinux's administrators"),
    all("usr/bin/localedef", "compiles locales; the package `locales-all` has them compiled"),
    all("usr/sbin/iconvconfig", "makes the index of character sets, which is shipped"),
    all("usr/sbin/zic", "compiles time zones, which are shipped compiled"),
    // Programs whose libraries the cuts of release.rs leave out.
    all("usr/sbin/update-passwd", "needs debconf's library; the users are made by us"),
    all("usr/bin/who", "needs systemd's library"),
    all("usr/bin/users", "needs systemd's library"),
    all("usr/bin/uptime", "needs systemd's library"),
    all("usr/bin/pinky", "needs systemd's library"),
];

/// Whether a path below the root (without a leading slash) is left out.
pub(crate) fn leaves_out(path: &str) -> bool {
    RULES.iter().any(|rule| {
        matches(rule.path, path)
            && !rule.keep.iter().any(|kept| path.rsplit('/').next().is_some_and(|name| glob(kept, name)))
    })
}

/// Whether everything below a directory goes, so that the directory itself need not be made.
pub(crate) fn leaves_out_dir(path: &str) -> bool {
    let path = format!("{path}/");
    RULES.iter().any(|rule| rule.keep.is_empty() && rule.path.ends_with('/') && matches(rule.path, &path))
}

fn matches(pattern: &str, path: &str) -> bool {
    let below = pattern.ends_with('/');
    let mut parts = path.split('/');
    for wanted in pattern.trim_end_matches('/').split('/') {
        match parts.next() {
            Some(part) if glob(wanted, part) => {}
            _ => return false,
        }
    }
    below == parts.next().is_some()
}

/// One component against a pattern with at most one `*`.
fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_goes_and_licences_stay() {
        assert!(leaves_out("usr/share/doc/bash/README.gz"));
        assert!(!leaves_out("usr/share/doc/bash/copyright"));
        assert!(!leaves_out_dir("usr/share/doc/bash"));
        assert!(leaves_out("usr/share/man/man1/bash.1.gz"));
        assert!(leaves_out_dir("usr/share/man"));
        assert!(leaves_out_dir("usr/share/man/man1"));
        assert!(!leaves_out("usr/share/manual"));
        assert!(!leaves_out("usr/lib/locale/C.utf8/LC_CTYPE"));
        assert!(leaves_out("usr/bin/who") && !leaves_out("usr/bin/whoami"));
    }

    #[test]
    fn common_character_sets_stay() {
        let gconv = |name: &str| leaves_out(&format!("usr/lib/x86_64-linux-gnu/gconv/{name}"));
        assert!(gconv("IBM1390.so") && gconv("libCNS.so"));
        assert!(!gconv("UTF-16.so") && !gconv("ISO8859-15.so") && !gconv("gconv-modules.cache"));
    }

    #[test]
    fn every_rule_says_why() {
        assert!(RULES.iter().all(|rule| !rule.why.is_empty() && !rule.path.starts_with('/')));
    }
}
