//! Downloads that nobody has used for a while.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{Pruned, Store, StoreError, tree};

/// What may stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How long a download stays that nobody uses.
    pub(super) unused: Duration,
    /// Bytes of all that stay.
    pub(super) bytes: u64,
}

/// A month, and as much as the packages of some dozen bases.
pub(super) const BOUNDS: Bounds = Bounds { unused: Duration::from_secs(30 * 24 * 60 * 60), bytes: 2 << 30 };

impl Store {
    /// Removes downloads beyond the bounds, the one that was used longest ago first, but none that was used since.
    pub(super) fn prune_downloads(
        &self,
        bounds: Bounds,
        since: SystemTime,
        pruned: &mut Pruned,
    ) -> Result<(), StoreError> {
        let mut all = Vec::new();
        collect(&self.downloads(), &mut all)?;
        all.sort();
        let mut bytes: u64 = all.iter().map(|it| it.1).sum();
        let too_old = SystemTime::now().checked_sub(bounds.unused).unwrap_or(SystemTime::UNIX_EPOCH);
        for (used, size, path) in all {
            if used >= since || (used >= too_old && bytes <= bounds.bytes) {
                break;
            }
            tree::remove(&path)?;
            bytes -= size;
            pruned.bytes += size;
            pruned.downloads += 1;
        }
        Ok(())
    }
}

/// When each file was last used, its size and its path.
fn collect(dir: &Path, all: &mut Vec<(SystemTime, u64, PathBuf)>) -> io::Result<()> {
    let entries = match fs_err::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        // What is gone meanwhile, another process has renamed or removed.
        let Ok(found) = entry.metadata() else { continue };
        if found.is_dir() {
            collect(&entry.path(), all)?;
        } else {
            all.push((found.modified()?, found.len(), entry.path()));
        }
    }
    Ok(())
}

/// Notes that a download is used now, so that it is not pruned; to be called before it is looked at.
pub fn used(path: &Path) {
    // One that is not there, or whose time can't be set, is downloaded again.
    let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, name: &str, hours_ago: u64) -> PathBuf {
        let path = dir.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, [0; 100]).unwrap();
        let time = SystemTime::now() - Duration::from_secs(hours_ago * 3600);
        File::open(&path).unwrap().set_modified(time).unwrap();
        path
    }

    #[test]
    fn what_nobody_has_used_goes_and_of_the_rest_the_oldest() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let at = store.downloads();
        let [old, older, newer, newest] = [("old", 40), ("d/older", 9), ("d/newer", 8), ("newest", 7)]
            .map(|(name, hours)| file(&at, name, hours));
        let there = || [&old, &older, &newer, &newest].map(|it| it.exists());
        let hours = |it: u64| Duration::from_secs(it * 3600);
        let prune = |unused: u64, bytes: u64, since: SystemTime| {
            let mut pruned = Pruned::default();
            store.prune_downloads(Bounds { unused: hours(unused), bytes }, since, &mut pruned).unwrap();
            (pruned.downloads, pruned.bytes)
        };
        let now = SystemTime::now();
        assert_eq!(prune(100, 400, now), (0, 0));
        assert_eq!(prune(30, 400, now), (1, 100));
        assert_eq!(there(), [false, true, true, true]);
        // A living build may be using what was touched since it began.
        assert_eq!(prune(1, 0, now - hours(10)), (0, 0));
        assert_eq!(prune(30, 299, now), (1, 100));
        assert_eq!(there(), [false, false, true, true]);
        used(&newer);
        assert_eq!(prune(30, 150, now), (1, 100));
        assert_eq!(there(), [false, false, true, false], "what was used last stays");
        used(&at.join("nowhere"));
        assert!(!at.join("nowhere").exists());
    }
}
