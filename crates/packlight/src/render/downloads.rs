//! Downloads and uploads as groups: a hundred packages are one line, or one bar.

use super::bytes;
use platform::event::Event;
use std::collections::BTreeMap;

/// What is being downloaded.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    groups: BTreeMap<&'static str, Group>,
}

#[derive(Debug, Default)]
struct Group {
    /// Files on their way: bytes received, and bytes in all when known.
    open: BTreeMap<String, (u64, Option<u64>)>,
    files: u64,
    bytes: u64,
}

impl Downloads {
    /// Takes an event that is about a download; says whether it was one.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        match event {
            Event::Downloading { kind, name, received, size } => {
                self.groups.entry(kind).or_default().open.insert(name.clone(), (*received, *size));
            }
            Event::Downloaded { kind, name, bytes } => {
                let group = self.groups.entry(kind).or_default();
                group.open.remove(name);
                group.files += 1;
                group.bytes += bytes;
            }
            _ => return false,
        }
        true
    }

    /// A line for each group that has ended; all of them, when nothing more can come.
    pub(super) fn finished(&mut self, all: bool) -> Vec<String> {
        let ended = |group: &Group| all || group.open.is_empty();
        let lines = self.groups.iter().filter(|(_, group)| ended(group) && group.files > 0);
        let lines = lines
            .map(|(kind, group)| {
                format!("{} {}, {}", done(kind), files(kind, group.files), bytes(group.bytes))
            })
            .collect();
        self.groups.retain(|_, group| !ended(group));
        lines
    }

    /// What a bar shows: how far, of how much is known, and words for it.
    pub(super) fn progress(&self) -> Option<(u64, u64, String)> {
        let (mut received, mut size, mut words) = (0, 0, Vec::new());
        for (kind, group) in &self.groups {
            received += group.bytes + group.open.values().map(|it| it.0).sum::<u64>();
            size += group.bytes + group.open.values().map(|it| it.1.unwrap_or(it.0).max(it.0)).sum::<u64>();
            words.push(files(kind, group.files));
        }
        (!words.is_empty()).then(|| (received, size, words.join(", ")))
    }
}

/// What has happened to the files of a kind.
pub(super) fn done(kind: &str) -> &'static str {
    if kind == "upload" { "sent" } else { "downloaded" }
}

fn files(kind: &str, count: u64) -> String {
    let kind = match kind {
        "index" => "index file",
        "upload" => "blob",
        other => other,
    };
    format!("{count} {kind}{}", if count == 1 { "" } else { "s" })
}
