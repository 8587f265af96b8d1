//! Who the image's user is: a number, or a name of the image's `/etc/passwd`.

use crate::trees::Trees;
use sandbox::Identity;
use std::path::PathBuf;

/// A user as the image knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) identity: Identity,
    pub(crate) home: Option<String>,
}

/// Finds the user; none when a name is not the image's. No user at all is root, as the OCI specification says.
pub(crate) fn find(user: &str, layers: &[PathBuf]) -> Option<User> {
    let passwd = Trees(layers).read("etc/passwd").unwrap_or_default();
    let rows: Vec<Vec<&str>> = passwd.lines().map(|line| line.split(':').collect()).collect();
    let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
    let name = if name.is_empty() { "0" } else { name };
    let row = rows.iter().find(|row| row.len() >= 6 && (row[0] == name || row[2] == name));
    let uid = match row {
        Some(row) => row[2].parse().ok()?,
        None => name.parse().ok()?,
    };
    let gid = match group {
        Some(group) => group_id(group, layers)?,
        None => row.and_then(|row| row[3].parse().ok()).unwrap_or(0),
    };
    let home = row.map(|row| row[5].to_owned()).filter(|it| !it.is_empty());
    Some(User { identity: Identity { uid, gid }, home })
}

fn group_id(group: &str, layers: &[PathBuf]) -> Option<u32> {
    let text = Trees(layers).read("etc/group").unwrap_or_default();
    let rows = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let named =
        rows.into_iter().find(|row| row.len() >= 3 && row[0] == group).and_then(|row| row[2].parse().ok());
    named.or_else(|| group.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("etc")).unwrap();
        let passwd = "root:x:0:0:root:/root:/bin/sh\ncnb:x:1001:1000::/home/cnb:/bin/sh\n";
        fs_err::write(dir.path().join("etc/passwd"), passwd).unwrap();
        fs_err::write(dir.path().join("etc/group"), "www:x:33:\n").unwrap();
        dir
    }

    #[test]
    fn a_user_is_a_number_or_a_name_of_the_image() {
        let dir = layer();
        let layers = [dir.path().to_owned()];
        let ids = |user: &str| find(user, &layers).map(|it| (it.identity.uid, it.identity.gid));
        assert_eq!(ids(""), Some((0, 0)));
        assert_eq!(ids("cnb"), Some((1001, 1000)));
        assert_eq!(ids("1001"), Some((1001, 1000)));
        assert_eq!(ids("1001:5"), Some((1001, 5)));
        assert_eq!(ids("4242"), Some((4242, 0)));
        assert_eq!(ids("cnb:www"), Some((1001, 33)));
        assert_eq!(ids("nobody"), None);
        assert_eq!(find("1001:1000", &layers).unwrap().home.as_deref(), Some("/home/cnb"));
    }

    #[test]
    fn a_passwd_that_is_a_link_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("etc")).unwrap();
        fs_err::os::unix::fs::symlink("/etc/passwd", dir.path().join("etc/passwd")).unwrap();
        assert_eq!(find("root", &[dir.path().to_owned()]), None);
    }
}
