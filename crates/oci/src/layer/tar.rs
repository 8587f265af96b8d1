//! Tar headers as Go's `archive/tar` writes them: USTAR, and a PAX record only for what does not fit.
//!
//! So the bytes resemble those of Docker, BuildKit and the reference lifecycle. Names are relative and without a
//! leading slash, as Docker writes them: every reader takes that, and GNU tar without a warning.
//! <https://github.com/golang/go/blob/go1.25.0/src/archive/tar/writer.go>

use super::{CREATED_SECONDS, Owner};

pub(crate) const BLOCK: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Symlink,
    Dir,
}

/// One entry's header.
pub(crate) struct Header<'a> {
    /// Relative; a directory's ends with a slash.
    pub(crate) name: &'a [u8],
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) owner: Owner,
    pub(crate) size: u64,
    /// The target of a symbolic link.
    pub(crate) target: &'a [u8],
}

const NAME: usize = 100;
const PREFIX: usize = 155;
/// The largest numbers that the octal fields hold.
const MAX_ID: u32 = 0o7_777_777;
const MAX_SIZE: u64 = 0o77_777_777_777;

impl Header<'_> {
    /// One block, or a PAX header, its records and one block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        if let Some((prefix, name)) = split_name(self.name)
            && self.all_but_the_name_fits()
        {
            return self.block(name, prefix).to_vec();
        }
        let records = self.pax_records();
        let pax_name = pax_name(self.name);
        let pax = Block {
            name: &pax_name,
            prefix: b"",
            mode: 0,
            uid: 0,
            gid: 0,
            size: records.len() as u64,
            mtime: 0,
            flag: b'x',
            target: b"",
        };
        let mut out = pax.encode().to_vec();
        out.extend_from_slice(&records);
        out.resize(out.len() + padding(records.len() as u64), 0);
        out.extend_from_slice(&self.block(&ascii(self.name), b""));
        out
    }

    fn block(&self, name: &[u8], prefix: &[u8]) -> [u8; BLOCK] {
        let flag = match self.kind {
            Kind::File => b'0',
            Kind::Symlink => b'2',
            Kind::Dir => b'5',
        };
        Block {
            name,
            prefix,
            mode: self.mode,
            uid: if self.owner.uid > MAX_ID { 0 } else { self.owner.uid },
            gid: if self.owner.gid > MAX_ID { 0 } else { self.owner.gid },
            size: if self.size > MAX_SIZE { 0 } else { self.size },
            mtime: CREATED_SECONDS,
            flag,
            target: &ascii(self.target),
        }
        .encode()
    }

    /// Where not, and records are needed anyway, a long name gets one instead of being split.
    fn all_but_the_name_fits(&self) -> bool {
        Header { name: b"", ..*self }.pax_records().is_empty()
    }

    /// The records for what does not fit its field, in the order of their keys.
    fn pax_records(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.owner.gid > MAX_ID {
            record(&mut out, "gid", self.owner.gid.to_string().as_bytes());
        }
        if self.target.len() > NAME || !self.target.is_ascii() {
            record(&mut out, "linkpath", self.target);
        }
        if self.name.len() > NAME || !self.name.is_ascii() {
            record(&mut out, "path", self.name);
        }
        if self.size > MAX_SIZE {
            record(&mut out, "size", self.size.to_string().as_bytes());
        }
        if self.owner.uid > MAX_ID {
            record(&mut out, "uid", self.owner.uid.to_string().as_bytes());
        }
        out
    }
}

/// The zero bytes that fill the last block of so many bytes.
pub(crate) fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}

struct Block<'a> {
    name: &'a [u8],
    prefix: &'a [u8],
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: u64,
    flag: u8,
    target: &'a [u8],
}

impl Block<'_> {
    fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        text(&mut block[0..100], self.name);
        octal(&mut block[100..108], self.mode.into());
        octal(&mut block[108..116], self.uid.into());
        octal(&mut block[116..124], self.gid.into());
        octal(&mut block[124..136], self.size);
        octal(&mut block[136..148], self.mtime);
        block[156] = self.flag;
        text(&mut block[157..257], self.target);
        block[257..265].copy_from_slice(b"ustar\x0000");
        octal(&mut block[329..337], 0);
        octal(&mut block[337..345], 0);
        text(&mut block[345..500], self.prefix);
        // The sum is made with spaces in the place of the sum.
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        octal(&mut block[148..155], sum);
        block
    }
}

/// As much of the text as fits.
fn text(field: &mut [u8], text: &[u8]) {
    let len = text.len().min(field.len());
    field[..len].copy_from_slice(&text[..len]);
}

/// Octal digits and a zero byte.
fn octal(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    for place in field[..digits].iter_mut().rev() {
        *place = b'0' + (value & 7) as u8;
        value >>= 3;
    }
    field[digits] = 0;
}

/// `<length of all> key=value\n`, where the length counts its own digits.
fn record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + rest.to_string().len();
    if rest + len.to_string().len() != len {
        len = rest + len.to_string().len();
    }
    out.extend_from_slice(format!("{len} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// The name in USTAR's two fields, or `None` when it does not fit or is not ASCII.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= NAME {
        return Some((b"", name));
    }
    let end = match name.len() {
        len if len > PREFIX + 1 => PREFIX + 1,
        len if name.ends_with(b"/") => len - 1,
        len => len,
    };
    let slash = name[..end].iter().rposition(|c| *c == b'/')?;
    let rest = &name[slash + 1..];
    (slash > 0 && slash <= PREFIX && !rest.is_empty() && rest.len() <= NAME).then(|| (&name[..slash], rest))
}

fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii).collect()
}

/// `dir/PaxHeaders.0/base`, a name for readers that do not know PAX.
fn pax_name(name: &[u8]) -> Vec<u8> {
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let (dir, base) = match name.iter().rposition(|c| *c == b'/') {
        None => (&b""[..], name),
        Some(slash) => (&name[..=slash], &name[slash + 1..]),
    };
    let mut out = ascii(dir);
    out.extend_from_slice(b"PaxHeaders.0/");
    out.extend_from_slice(&ascii(base));
    out.truncate(NAME);
    while out.last() == Some(&b'/') {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header by the `tar` library: path, target, mode, uid, gid, size.
    fn read(bytes: &[u8]) -> (Vec<u8>, Option<Vec<u8>>, u32, u64, u64, u64) {
        let mut archive = tar::Archive::new(bytes);
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        let header = entry.header();
        let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
        (entry.path_bytes().into_owned(), target, header.mode().unwrap(), uid, gid, entry.size())
    }

    #[test]
    fn any_name_target_owner_and_size_reads_back() {
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..2000 {
            let mut path = |longest: u64, wild: bool| {
                let mut bytes = Vec::new();
                for _ in 0..1 + random(longest) {
                    // The library takes a line end in a PAX record for the record's end.
                    let byte = if wild { 1 + random(255) as u8 } else { b'a' + random(26) as u8 };
                    // Names have no slashes at their ends, and none beside another.
                    let slash = random(12) == 0 && bytes.last().is_some_and(|last| *last != b'/');
                    bytes.push(if slash {
                        b'/'
                    } else if matches!(byte, b'/' | b'\n') {
                        b'x'
                    } else {
                        byte
                    });
                }
                if bytes.last() == Some(&b'/') {
                    bytes.push(b'z');
                }
                bytes
            };
            let name = path(320, false);
            let (name, target) = if name.len() % 3 == 0 {
                (path(320, true), path(320, true))
            } else {
                (name, path(150, false))
            };
            let is_link = random(2) == 0;
            let owner = Owner::new(random(1 << 31) as u32, random(1 << 22) as u32);
            let size = if is_link { 0 } else { random(1 << 31) * random(1 << 20) };
            let (kind, target) = if is_link { (Kind::Symlink, &target[..]) } else { (Kind::File, &b""[..]) };
            let header = Header { name: &name, kind, mode: 0o644, owner, size, target };
            let bytes = header.encode();
            assert_eq!(bytes.len() % BLOCK, 0);
            let found = read(&bytes);
            assert_eq!(found.0, name);
            assert_eq!(found.1.as_deref(), is_link.then_some(target));
            assert_eq!(
                (found.2, found.3, found.4, found.5),
                (0o644, owner.uid.into(), owner.gid.into(), size)
            );
        }
    }

    #[test]
    fn what_fits_is_one_block() {
        let fits = |name: &str| {
            let kind = if name.ends_with('/') { Kind::Dir } else { Kind::File };
            let header =
                Header { name: name.as_bytes(), kind, mode: 0o755, owner: Owner::ROOT, size: 0, target: b"" };
            header.encode().len() == BLOCK
        };
        let (a, b, c) = ("a".repeat(100), "b".repeat(155), "c".repeat(101));
        assert!(fits(&a) && fits(&format!("{b}/{a}")) && fits(&format!("{}/", &a[1..])));
        assert!(!fits(&c) && !fits(&format!("{b}b/{a}")) && !fits(&format!("{b}/{c}")) && !fits("\u{fc}"));
    }

    #[test]
    fn a_file_beyond_eight_gigabytes_has_its_size_in_a_record() {
        let size = MAX_SIZE + 1;
        let header =
            Header { name: b"big", kind: Kind::File, mode: 0o600, owner: Owner::ROOT, size, target: b"" };
        assert_eq!(read(&header.encode()).5, size);
        let smaller = Header { size: MAX_SIZE, ..header };
        assert_eq!(smaller.encode().len(), BLOCK);
    }
}
