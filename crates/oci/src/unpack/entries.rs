//! The entries of a tar, with a bound for what comes before each, and for all of them.
//!
//! Long names and extended headers are kept in memory, however long the tar says that they are, and a gigabyte of a
//! name compresses to a megabyte of a blob. Go's reader, and so every container engine, takes a megabyte of each
//! (<https://github.com/golang/go/blob/go1.24.0/src/archive/tar/common.go>).

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use tar::{Archive, Entry};

/// A megabyte each for a name, for a link's target and for attributes, and as much again for what is around them.
const HEADERS: u64 = 4 << 20;

/// No image comes near to it; a few bytes of compression, or of a sparse entry, can claim any size.
const BYTES: u64 = 256 << 30;
/// As many files as the largest file systems of images have, times ten.
const ENTRIES: u64 = 20_000_000;

/// Hands each entry to `each`; what is the archive's own fault becomes an error by `broken`.
pub(crate) fn each_entry<R: Read, E>(
    tar: R,
    broken: impl Fn(io::Error) -> E,
    mut each: impl FnMut(&mut Entry<'_, Bounded<R>>) -> Result<(), E>,
) -> Result<(), E> {
    let left = Rc::new(Cell::new(None));
    let mut archive = Archive::new(Bounded { inner: tar, left: Rc::clone(&left) });
    let mut entries = archive.entries().map_err(&broken)?;
    let (mut bytes, mut count) = (0_u64, 0_u64);
    loop {
        left.set(Some(HEADERS));
        let Some(entry) = entries.next() else { return Ok(()) };
        let mut entry = entry.map_err(&broken)?;
        left.set(None);
        bytes = bytes.saturating_add(entry.size());
        count += 1;
        if bytes > BYTES || count > ENTRIES {
            let text = format!("it holds more than {} GiB or {ENTRIES} files: no image does", BYTES >> 30);
            return Err(broken(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        each(&mut entry)?;
        // Its rest is not the next one's headers.
        io::copy(&mut entry, &mut io::sink()).map_err(&broken)?;
    }
}

/// A reader that gives no more than is left, where there is a bound.
pub(crate) struct Bounded<R> {
    inner: R,
    left: Rc<Cell<Option<u64>>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.left.get() else { return self.inner.read(buffer) };
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if most == 0 && !buffer.is_empty() {
            let text = "an entry's name, link or attributes are longer than any program writes them";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let got = self.inner.read(&mut buffer[..most])?;
        self.left.set(Some(left - got as u64));
        Ok(got)
    }
}
