//! Where the source comes from, read from `.git` without running git: commit, branch, remote.

use std::path::{Path, PathBuf};

/// What git says of a source directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Vcs {
    /// The commit that is checked out, 40 or 64 hexadecimal digits.
    pub(crate) revision: Option<String>,
    /// The branch that is checked out.
    pub(crate) branch: Option<String>,
    /// The URL of `origin`, without credentials.
    pub(crate) url: Option<String>,
}

/// Reads what git says of `dir`, looking upwards for the repository. What cannot be read is left out.
#[must_use]
pub(crate) fn read(dir: &Path) -> Vcs {
    let Some(git) = dir.ancestors().find_map(git_dir) else { return Vcs::default() };
    let common = common_dir(&git);
    let Ok(head) = fs_err::read_to_string(git.join("HEAD")) else { return Vcs::default() };
    let url = fs_err::read_to_string(common.join("config")).ok().and_then(|it| origin(&it));
    match head.trim().strip_prefix("ref: ") {
        Some(name) => Vcs {
            revision: resolve(&git, name).or_else(|| resolve(&common, name)),
            branch: name.strip_prefix("refs/heads/").map(str::to_owned),
            url,
        },
        None => Vcs { revision: object_id(head.trim()), branch: None, url },
    }
}

/// `.git` as a directory, or as the file that points to one (worktrees, submodules).
fn git_dir(dir: &Path) -> Option<PathBuf> {
    let git = dir.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = fs_err::read_to_string(&git).ok()?;
    Some(dir.join(text.trim().strip_prefix("gitdir: ")?))
}

/// A worktree's refs and configuration are in the repository that it belongs to.
fn common_dir(git: &Path) -> PathBuf {
    match fs_err::read_to_string(git.join("commondir")) {
        Ok(text) => git.join(text.trim()),
        Err(_) => git.to_owned(),
    }
}

fn resolve(git: &Path, name: &str) -> Option<String> {
    if let Ok(text) = fs_err::read_to_string(git.join(name)) {
        return object_id(text.trim());
    }
    let packed = fs_err::read_to_string(git.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| {
        let (id, it) = line.split_once(' ')?;
        (it == name).then(|| object_id(id))?
    })
}

fn object_id(text: &str) -> Option<String> {
    let plausible = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    plausible.then(|| text.to_owned())
}

/// The `url` of `[remote "origin"]`, which may carry a token: that part is dropped.
fn origin(config: &str) -> Option<String> {
    let section =
        config.split("\n[").find(|it| it.trim_start_matches('[').starts_with("remote \"origin\"]"))?;
    let url = section.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "url").then(|| value.trim().to_owned())
    })?;
    is_an_address(&url).then(|| without_credentials(&url))
}

/// Whether a remote is an address for others, too, and not a folder of this machine, which says nothing to anybody
/// and would make two clones' images differ.
fn is_an_address(url: &str) -> bool {
    match url.split_once("://") {
        Some((scheme, _)) => matches!(scheme, "http" | "https" | "ssh" | "git"),
        // `git@example.org:team/app.git`, as scp writes it.
        None => url.split_once(':').is_some_and(|(host, _)| !host.is_empty() && !host.contains('/')),
    }
}

fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    // By HTTP a user's name may be a token; by SSH it is a part of the address, such as `git`.
    let name = user.split(':').next().filter(|it| !it.is_empty() && !matches!(scheme, "http" | "https"));
    match name {
        Some(name) => format!("{scheme}://{name}@{host}{path}"),
        None => format!("{scheme}://{host}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn repository() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join(".git/refs/heads")).unwrap();
        fs_err::create_dir_all(dir.path().join("app")).unwrap();
        fs_err::write(dir.path().join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        fs_err::write(
            dir.path().join(".git/config"),
            "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = https://me:secret@example.org/team/app.git\n\tfetch = x\n",
        )
        .unwrap();
        dir
    }

    #[test]
    fn no_password_is_in_an_address() {
        for (url, shown) in [
            ("https://me:secret@example.org", "https://example.org"),
            ("https://token@example.org/a", "https://example.org/a"),
            ("ssh://git:secret@example.org:22/a@b", "ssh://git@example.org:22/a@b"),
            ("ssh://:secret@example.org/a", "ssh://example.org/a"),
            ("git@example.org:team/app.git", "git@example.org:team/app.git"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }

    #[test]
    fn commit_branch_and_remote_are_read_from_a_folder_below_the_repository() {
        let dir = repository();
        fs_err::write(dir.path().join(".git/refs/heads/main"), format!("{ID}\n")).unwrap();
        let vcs = read(&dir.path().join("app"));
        assert_eq!(vcs.revision.as_deref(), Some(ID));
        assert_eq!(vcs.branch.as_deref(), Some("main"));
        assert_eq!(vcs.url.as_deref(), Some("https://example.org/team/app.git"));
    }

    #[test]
    fn a_remote_on_this_machine_is_no_address() {
        for folder in ["/srv/app.git", "../app", "file:///srv/app.git", "./a:b"] {
            assert!(!is_an_address(folder), "{folder}");
        }
        for address in ["https://example.org/a", "git@example.org:team/app.git", "ssh://git@example.org/a"] {
            assert!(is_an_address(address), "{address}");
        }
    }

    #[test]
    fn packed_refs_and_a_detached_head_are_read_too() {
        let dir = repository();
        fs_err::write(dir.path().join(".git/packed-refs"), format!("# pack\n{ID} refs/heads/main\n"))
            .unwrap();
        assert_eq!(read(dir.path()).revision.as_deref(), Some(ID));
        fs_err::write(dir.path().join(".git/HEAD"), ID).unwrap();
        let detached = read(dir.path());
        assert_eq!((detached.revision.as_deref(), detached.branch), (Some(ID), None));
    }

    #[test]
    fn a_folder_outside_git_has_nothing_to_say() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join(".git"), "not a pointer").unwrap();
        assert_eq!(read(dir.path()), Vcs::default());
    }
}
