//! Tars and `ar` archives, made by hand so that they can be wrong in every way but the checksums, at which a parser
//! would stop before anything of interest.

/// One entry of a tar, which need not make sense.
#[derive(Debug, Clone)]
pub struct Entry {
    kind: u8,
    mode: u16,
    path: String,
    target: String,
    contents: Vec<u8>,
}

/// The entries that a text lists, one a line: `f path contents`, `d path`, `l path target` (a symbolic link), `h path
/// target` (a hard link), `p path` (a pipe), any other letter as it is. A capital letter gives set-id bits. `@` in a
/// path stands for `outside`, and `%` for a name that is too long for a header.
pub fn entries(text: &[u8], outside: &str) -> Vec<Entry> {
    let long = "long/".repeat(40);
    let path = |text: &[u8]| String::from_utf8_lossy(text).replace('@', outside).replace('%', &long);
    let one = |line: &[u8]| {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let letter = *words.next()?.first()?;
        let (name, rest) = (path(words.next()?), words.next().unwrap_or_default());
        let kind = match letter.to_ascii_lowercase() {
            b'f' => b'0',
            b'h' => b'1',
            b'l' => b'2',
            b'd' => b'5',
            b'p' => b'6',
            _ => letter,
        };
        let contents = if matches!(kind, b'1' | b'2' | b'5' | b'6') { Vec::new() } else { rest.to_vec() };
        let mode = if letter.is_ascii_uppercase() { 0o7711 } else { 0o644 };
        Some(Entry { kind, mode, path: name, target: path(rest), contents })
    };
    text.split(|byte| *byte == b'\n').filter_map(one).take(24).collect()
}

/// Their tar.
pub fn tar_of(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Vec::new();
    for Entry { kind, mode, path, target, contents } in entries {
        for (kind, long) in [(b'L', path), (b'K', target)] {
            if long.len() > 100 {
                put(&mut tar, (kind, 0o644), ["././@LongLink", ""], long.as_bytes());
            }
        }
        put(&mut tar, (*kind, *mode), [path, target], contents);
    }
    tar.extend([0; 1024]);
    tar
}

/// The parts of an input, between lines of two dashes.
pub fn parts(input: &[u8]) -> Vec<&[u8]> {
    let mut parts = vec![input];
    while let Some(last) = parts.pop() {
        match last.windows(4).position(|it| it == b"\n--\n") {
            Some(at) => parts.extend([&last[..at], &last[at + 4..]]),
            None => {
                parts.push(last);
                break;
            }
        }
    }
    parts
}

fn put(tar: &mut Vec<u8>, (kind, mode): (u8, u16), [path, target]: [&str; 2], contents: &[u8]) {
    let mut header = [0_u8; 512];
    let mut field = |at: usize, room: usize, text: &[u8]| {
        let text = &text[..text.len().min(room)];
        header[at..at + text.len()].copy_from_slice(text);
    };
    field(0, 100, path.as_bytes());
    field(100, 8, format!("{mode:07o}").as_bytes());
    field(108, 8, b"0000000");
    field(116, 8, b"0000000");
    field(124, 12, format!("{:011o}", contents.len()).as_bytes());
    field(136, 12, b"00000000000");
    field(156, 1, &[kind]);
    field(157, 100, target.as_bytes());
    field(257, 8, b"ustar\x0000");
    sign(&mut header);
    tar.extend(header);
    tar.extend(contents);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn sign(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header[..512].iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// The bytes with the right checksum wherever a tar's reader looks for a header.
pub fn with_checksums(tar: &[u8]) -> Vec<u8> {
    let mut tar = tar.to_vec();
    let mut at = 0;
    while let Some(header) = tar.get_mut(at..at + 512) {
        if header.iter().all(|byte| *byte == 0) {
            at += 512;
            continue;
        }
        sign(header);
        let size = std::str::from_utf8(&header[124..135]).ok().map(|it| it.trim_matches(['\0', ' ']));
        let size = size.and_then(|it| usize::from_str_radix(it, 8).ok()).unwrap_or(0);
        at += 512 + size.next_multiple_of(512);
    }
    tar
}

/// An `ar` archive of these files.
pub fn ar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut ar = b"!<arch>\n".to_vec();
    for (name, contents) in files {
        let size = contents.len();
        ar.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644).as_bytes());
        ar.extend(*contents);
        ar.resize(ar.len().next_multiple_of(2), b'\n');
    }
    ar
}
