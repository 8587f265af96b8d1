//! One pass over a plan: read, tar, hash, compress, hash.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    path::Path,
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, SeekFrom, fstat, openat2, readlinkat, seek},
    io::Errno,
};

use super::{
    LayerError,
    gzip::{self, Input, Packed},
    plan::{Node, Plan, Root, Seen, Source},
    tar::{BLOCK, Header, Kind, padding},
};

/// Layers with fewer bytes are done by the calling thread alone: starting others would take longer.
const SMALL: u64 = 2 << 20;

/// Writes the layer's blob, and when there is a file for it, its tar in the same pass.
pub(crate) fn export(
    plan: &Plan<'_>,
    (out, tar): (&mut (dyn Write + Send), Option<File>),
    (compression, threads): (Compression, usize),
) -> Result<Packed, ExportError> {
    wait_until_settled(plan.newest);
    let fill = |input: &mut Input<'_>| {
        if let Some(tar) = tar {
            input.also_into(tar);
        }
        for node in &plan.nodes {
            write_node(plan, node, input)?;
        }
        Ok(input.write(&[0; 2 * BLOCK])?)
    };
    match compression {
        Compression::None => gzip::copy(out, fill),
        Compression::Gzip => gzip::pack(out, if plan.size < SMALL { 0 } else { threads }, fill),
    }
}

/// What becomes of a layer's tar before it is a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As a registry wants it, and everything that is kept.
    #[default]
    Gzip,
    /// For whoever takes tars and nothing else, as a Docker engine does: to compress them would be for nothing.
    None,
}

/// Tells what could not be read from what could not be written.
#[derive(Debug)]
pub(crate) enum ExportError {
    Read(LayerError),
    Write(io::Error),
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// Change times come from a clock that ticks every few milliseconds. A file that was written in this very tick could
/// be written again and look the same, so the tick is waited out before anything is read.
pub(super) fn wait_until_settled(newest: (i64, i64)) {
    for _ in 0..20 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        if (now.tv_sec, now.tv_nsec as i64) > newest {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn write_node(plan: &Plan<'_>, node: &Node<'_>, input: &mut Input<'_>) -> Result<(), ExportError> {
    let name = node.name();
    let header = |size: u64, target: &[u8]| {
        Header { name: &name, kind: node.kind, mode: node.mode, owner: node.owner, size, target }.encode()
    };
    match &node.source {
        Source::None => Ok(input.write(&header(0, b""))?),
        Source::Bytes(target) if node.kind == Kind::Symlink => Ok(input.write(&header(0, target))?),
        Source::Bytes(contents) => {
            input.write(&header(node.size, b""))?;
            input.write(contents)?;
            pad(input, node.size)
        }
        Source::Host { root, path, .. } if node.kind == Kind::Symlink => {
            let target = read_link(&plan.roots[*root], path).map_err(ExportError::Read)?;
            Ok(input.write(&header(0, &target))?)
        }
        Source::Host { root, path, seen } => {
            let root = &plan.roots[*root];
            let file = OpenFile { fd: open(root, path).map_err(ExportError::Read)?, root, path };
            file.expect(*seen)?;
            input.write(&header(node.size, b""))?;
            file.copy(node.size, input)?;
            file.expect(*seen)?;
            pad(input, node.size)
        }
    }
}

fn pad(input: &mut Input<'_>, size: u64) -> Result<(), ExportError> {
    Ok(input.write(&[0; BLOCK][..padding(size)])?)
}

struct OpenFile<'a> {
    fd: OwnedFd,
    root: &'a Root,
    path: &'a Path,
}

impl OpenFile<'_> {
    /// The file must be what the walk saw, before and after it is read.
    fn expect(&self, seen: Seen) -> Result<(), ExportError> {
        let stat = fstat(&self.fd).map_err(|errno| ExportError::Read(self.root.error(self.path, errno)))?;
        if Seen::of(&stat) == seen { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> ExportError {
        ExportError::Read(LayerError::Changed { path: self.root.path.join(self.path) })
    }

    /// The length of the hole at this offset, where the file is read next.
    fn hole(&self, offset: u64, left: u64) -> u64 {
        let data = match seek(&self.fd, SeekFrom::Data(offset)) {
            Ok(data) => data.saturating_sub(offset).min(left),
            Err(Errno::NXIO) => left,
            Err(_) => 0,
        };
        match seek(&self.fd, SeekFrom::Start(offset + data)) {
            Ok(_) => data,
            Err(_) => 0,
        }
    }

    /// Exactly so many bytes, whatever the file has by now.
    fn copy(&self, size: u64, input: &mut Input<'_>) -> Result<(), ExportError> {
        let mut left = size;
        while left > 0 {
            // A hole that is read takes up memory of the system's for nothing.
            let hole = if size > LARGE { self.hole(size - left, left) } else { 0 };
            input.zeros(hole)?;
            left -= hole;
            if left == 0 {
                break;
            }
            let mut failed = None;
            let got = input.fill_from(left, |buffer| {
                loop {
                    match rustix::io::read(&self.fd, &mut *buffer) {
                        Err(Errno::INTR) => {}
                        Ok(got) => return Ok(got),
                        Err(errno) => {
                            failed = Some(errno);
                            return Ok(0);
                        }
                    }
                }
            })?;
            if let Some(errno) = failed {
                return Err(ExportError::Read(self.root.error(self.path, errno)));
            }
            if got == 0 {
                return Err(self.changed());
            }
            left -= got as u64;
        }
        Ok(())
    }
}

/// Smaller files are not asked for holes.
const LARGE: u64 = 16 << 20;

impl Root {
    fn error(&self, path: &Path, errno: Errno) -> LayerError {
        LayerError::Read { path: self.path.join(path), source: errno.into() }
    }
}

/// Nothing on the way may be a link: the tree may be hostile, and what the walk saw was none.
const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

fn open(root: &Root, path: &Path) -> Result<OwnedFd, LayerError> {
    if path.as_os_str().is_empty() {
        // A program: the root is the file itself, and other layers may be reading it.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        return rustix::fs::open(&root.path, flags, Mode::empty()).map_err(|errno| root.error(path, errno));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    openat2(&root.fd, path, flags, Mode::empty(), BENEATH).map_err(|errno| match errno {
        Errno::LOOP | Errno::NOENT => LayerError::Changed { path: root.path.join(path) },
        errno => root.error(path, errno),
    })
}

fn read_link(root: &Root, path: &Path) -> Result<Vec<u8>, LayerError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fail = |errno| root.error(path, errno);
    let fd = openat2(&root.fd, path, flags, Mode::empty(), BENEATH).map_err(fail)?;
    Ok(readlinkat(&fd, "", Vec::new()).map_err(fail)?.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_has_moved_on_before_a_fresh_file_is_read() {
        let coarse = || {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
            (now.tv_sec, now.tv_nsec as i64)
        };
        for _ in 0..20 {
            let written = coarse();
            wait_until_settled(written);
            assert!(coarse() > written);
        }
    }
}
