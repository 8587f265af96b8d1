//! Bytes in, gzip out, with the digests of both: parallel, and the same bytes for any number of threads.
//!
//! The stream is cut into chunks of 1 MiB, each a gzip member of its own (RFC 1952, 2.2: members simply follow one
//! another, as in seekable image layers, BGZF and the output of `cat a.gz b.gz`). So the checksum is made where the chunk
//! is, and the compressor can be libdeflate, which knows only whole buffers and has no state from one to the next: on
//! two cores it decides how long an export takes, and at the same size it needs half the time of zlib's successors.
//! Its output depends on nothing but input, level and version.

use std::{
    fs::File,
    io::{self, Write},
    mem,
    sync::{
        Mutex, OnceLock, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use libdeflater::{CompressionLvl, Compressor};
use sha2::{Digest as _, Sha256};

use crate::Digest;

/// Whatever changes the bytes that this file or `tar.rs` makes of the same input changes this number too.
pub const ENCODING: u32 = 3;

const CHUNK: usize = 1 << 20;
static NOTHING: [u8; CHUNK] = [0; CHUNK];
/// As many bytes as zlib's level 5.
const TIGHT: i32 = 4;
/// 6 % more bytes in two thirds of the time.
const FAST: i32 = 1;
/// How much of a layer is packed tight. What is sent often is small; of a large layer, time counts.
const TIGHT_BYTES: u64 = 32 << 20;

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) diff_id: Digest,
    pub(crate) uncompressed_size: u64,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Takes the bytes that are to be compressed.
pub(crate) struct Input<'a> {
    chunk: Buffer,
    /// Where what goes in is written as it is as well.
    also: Option<File>,
    sha: Sha256,
    len: u64,
    out: Out<'a>,
}

enum Out<'a> {
    /// Nothing is compressed: the bytes that go in are those that come out.
    Plain(&'a mut (dyn Write + Send)),
    Here {
        output: Output<'a>,
        deflater: Deflater,
        piece: Buffer,
    },
    Pool {
        work: SyncSender<Job>,
        order: SyncSender<Receiver<Buffer>>,
        spare: &'a Spare,
    },
}

struct Job {
    chunk: Buffer,
    at: u64,
    done: SyncSender<Buffer>,
}

/// Memory of which the first part is in use. It is made once and never cleared: a fresh one costs more time in page
/// faults than in use.
#[derive(Default)]
struct Buffer {
    room: Vec<u8>,
    used: usize,
}

impl Buffer {
    fn bytes(&self) -> &[u8] {
        &self.room[..self.used]
    }

    /// All of the room, at least so much.
    fn room(&mut self, least: usize) -> &mut [u8] {
        if self.room.len() < least {
            self.room.resize(least, 0);
        }
        &mut self.room
    }
}

/// Buffers to be used again.
#[derive(Default)]
struct Spare(Mutex<Vec<Buffer>>);

impl Spare {
    fn take(&self) -> Buffer {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, buffer: Buffer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Buffer { used: 0, ..buffer });
    }
}

/// Compresses what `fill` writes into `out`, by so many threads (0: by the caller's alone).
///
/// The error is `fill`'s own, unless `out` failed first.
pub(crate) fn pack<E: From<io::Error>>(
    out: &mut (dyn Write + Send),
    threads: usize,
    fill: impl FnOnce(&mut Input<'_>) -> Result<(), E>,
) -> Result<Packed, E> {
    let output = Output { out, sha: Sha256::new(), len: 0 };
    if threads == 0 {
        let deflater = Deflater::new()?;
        let mut input = Input::new(Out::Here { output, deflater, piece: Buffer::default() });
        fill(&mut input)?;
        let (tar, Out::Here { output, .. }) = input.finish()? else { return Err(gone().into()) };
        return Ok(output.finish(tar)?);
    }
    let (spare, (work, jobs)) = (Spare::default(), sync_channel(threads));
    let (order, ordered) = sync_channel::<Receiver<Buffer>>(2 * threads);
    let jobs = Mutex::new(jobs);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work_off(&jobs, &spare));
        }
        let writer = scope.spawn(|| write_in_order(output, ordered, &spare));
        let mut input = Input::new(Out::Pool { work, order, spare: &spare });
        let filled = fill(&mut input).and_then(|()| input.finish().map_err(E::from));
        // The channels must be closed for the threads to end, whether or not it went well.
        let ended = filled.map(|(tar, out)| {
            drop(out);
            tar
        });
        let output = writer.join().map_err(|_| gone())??;
        Ok(output.finish(ended?)?)
    })
}

/// Writes what `fill` writes into `out` as it is.
///
/// The error is `fill`'s own, unless `out` failed first.
pub(crate) fn copy<E: From<io::Error>>(
    out: &mut (dyn Write + Send),
    fill: impl FnOnce(&mut Input<'_>) -> Result<(), E>,
) -> Result<Packed, E> {
    let mut input = Input::new(Out::Plain(out));
    fill(&mut input)?;
    let ((diff_id, size), Out::Plain(out)) = input.finish()? else { return Err(gone().into()) };
    out.flush()?;
    Ok(Packed { diff_id, uncompressed_size: size, digest: diff_id, size })
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the compressor ended early")
}

fn work_off(jobs: &Mutex<Receiver<Job>>, spare: &Spare) {
    let Ok(mut deflater) = Deflater::new() else { return };
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { chunk, at, done }) = job else { return };
        let mut piece = spare.take();
        if deflater.deflate(chunk.bytes(), at, &mut piece).is_err() {
            return;
        }
        spare.give(chunk);
        let _ = done.send(piece);
    }
}

fn write_in_order<'a>(
    mut output: Output<'a>,
    ordered: Receiver<Receiver<Buffer>>,
    spare: &Spare,
) -> io::Result<Output<'a>> {
    for piece in ordered {
        let piece = piece.recv().map_err(|_| gone())?;
        output.write(piece.bytes())?;
        spare.give(piece);
    }
    Ok(output)
}

impl<'a> Input<'a> {
    fn new(out: Out<'a>) -> Self {
        Self { chunk: Buffer::default(), also: None, sha: Sha256::new(), len: 0, out }
    }

    /// Writes all that goes in into this file too, uncompressed: to unpack it again later would take longer.
    pub(crate) fn also_into(&mut self, file: File) {
        self.also = Some(file);
    }

    /// Adds bytes.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let copied = self.fill_from(bytes.len() as u64, |room| {
                room.copy_from_slice(&bytes[..room.len()]);
                Ok(room.len())
            })?;
            bytes = &bytes[copied..];
        }
        Ok(())
    }

    /// Adds so many zero bytes.
    pub(crate) fn zeros(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let now = count.min(CHUNK as u64);
            self.write(&NOTHING[..now as usize])?;
            count -= now;
        }
        Ok(())
    }

    /// Adds up to `limit` bytes that `read` puts into the buffer it is given; returns how many it was.
    pub(crate) fn fill_from(
        &mut self,
        limit: u64,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let start = self.chunk.used;
        let end = CHUNK.min(start.saturating_add(usize::try_from(limit).unwrap_or(CHUNK)));
        let got = read(&mut self.chunk.room(CHUNK)[start..end])?;
        self.chunk.used += got;
        if self.chunk.used == CHUNK {
            self.flush()?;
        }
        Ok(got)
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(also) = &mut self.also {
            also.write_all(self.chunk.bytes())?;
        }
        self.sha.update(self.chunk.bytes());
        let at = self.len;
        self.len += self.chunk.used as u64;
        match &mut self.out {
            Out::Plain(out) => {
                out.write_all(self.chunk.bytes())?;
                self.chunk.used = 0;
                Ok(())
            }
            Out::Here { output, deflater, piece } => {
                deflater.deflate(self.chunk.bytes(), at, piece)?;
                self.chunk.used = 0;
                output.write(piece.bytes())
            }
            Out::Pool { work, order, spare } => {
                let (done, piece) = sync_channel(1);
                let chunk = mem::replace(&mut self.chunk, spare.take());
                order.send(piece).map_err(|_| gone())?;
                work.send(Job { chunk, at, done }).map_err(|_| gone())
            }
        }
    }

    /// The digest and length of what went in, and where it goes.
    fn finish(mut self) -> io::Result<((Digest, u64), Out<'a>)> {
        // Nothing at all is a member too.
        if self.chunk.used > 0 || self.len == 0 {
            self.flush()?;
        }
        Ok(((Digest::from_hasher(self.sha), self.len), self.out))
    }
}

struct Output<'a> {
    out: &'a mut (dyn Write + Send),
    sha: Sha256,
    len: u64,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sha.update(bytes);
        self.len += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn finish(self, (diff_id, uncompressed_size): (Digest, u64)) -> io::Result<Packed> {
        self.out.flush()?;
        Ok(Packed { diff_id, uncompressed_size, digest: Digest::from_hasher(self.sha), size: self.len })
    }
}

struct Deflater {
    tight: Compressor,
    fast: Compressor,
}

impl Deflater {
    fn new() -> io::Result<Self> {
        let at = |level| CompressionLvl::new(level).map(Compressor::new);
        let none = |_| io::Error::other("no such level");
        Ok(Self { tight: at(TIGHT).map_err(none)?, fast: at(FAST).map_err(none)? })
    }

    /// Makes the chunk at a place of the stream a gzip member; holes of sparse files come as whole chunks of zeros, and
    /// are deflated once.
    fn deflate(&mut self, chunk: &[u8], at: u64, piece: &mut Buffer) -> io::Result<()> {
        static ZEROS: OnceLock<Vec<u8>> = OnceLock::new();
        if *chunk != NOTHING {
            let compressor = if at < TIGHT_BYTES { &mut self.tight } else { &mut self.fast };
            return member(compressor, chunk, piece);
        }
        if let Some(zeros) = ZEROS.get() {
            piece.room(zeros.len())[..zeros.len()].copy_from_slice(zeros);
            piece.used = zeros.len();
            return Ok(());
        }
        member(&mut self.tight, chunk, piece)?;
        let _ = ZEROS.set(piece.bytes().to_vec());
        Ok(())
    }
}

fn member(compressor: &mut Compressor, chunk: &[u8], piece: &mut Buffer) -> io::Result<()> {
    let bound = compressor.gzip_compress_bound(chunk.len());
    let written = compressor.gzip_compress(chunk, piece.room(bound));
    piece.used = written.map_err(|error| io::Error::other(error.to_string()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Text, noise and holes, longer than a few chunks and not a multiple of one.
    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut state = 1_u64;
        while bytes.len() < 3 * CHUNK {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if state >> 63 == 0 {
                bytes.extend_from_slice(&state.to_le_bytes());
            } else {
                bytes.extend_from_slice(b"def application(environ, start_response):\n");
            }
        }
        bytes.resize(7 * CHUNK, 0);
        bytes.extend_from_slice(b"the end");
        bytes
    }

    fn packed(bytes: &[u8], threads: usize, step: usize) -> (Vec<u8>, Packed) {
        let mut out = Vec::new();
        let packed = pack::<io::Error>(&mut out, threads, |input| {
            bytes.chunks(step).try_for_each(|piece| input.write(piece))
        });
        (out, packed.unwrap())
    }

    #[test]
    fn what_is_not_compressed_is_its_own_blob() {
        let sample = sample();
        let mut out = Vec::new();
        let packed = copy::<io::Error>(&mut out, |input| input.write(&sample)).unwrap();
        assert_eq!(out, sample);
        let (size, digest) = (sample.len() as u64, Digest::of(&sample));
        assert_eq!(packed, Packed { diff_id: digest, uncompressed_size: size, digest, size });
    }

    #[test]
    fn one_thread_and_many_write_the_same_bytes() {
        let sample = sample();
        let (alone, digests) = packed(&sample, 0, 1000);
        for (threads, step) in [(1, 1000), (2, 777_777), (7, 5_000_000)] {
            assert_eq!(packed(&sample, threads, step), (alone.clone(), digests), "{threads} threads");
        }
        assert_eq!(digests.digest, Digest::of(&alone));
        assert_eq!(digests.diff_id, Digest::of(&sample));
        assert_eq!((digests.size, digests.uncompressed_size), (alone.len() as u64, sample.len() as u64));
    }

    #[test]
    fn the_output_reads_back() {
        for bytes in [Vec::new(), b"x".to_vec(), vec![0; CHUNK], sample()] {
            for threads in [0, 2] {
                let (mut back, (out, _)) = (Vec::new(), packed(&bytes, threads, 4096));
                flate2::read::MultiGzDecoder::new(&out[..]).read_to_end(&mut back).unwrap();
                assert!(back == bytes && out.starts_with(&[0x1f, 0x8b]), "{} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn the_bytes_stay_what_they_were() {
        // Whoever changes this digest on purpose changes ENCODING too.
        let text = b"hello, layer\n".repeat(1000);
        assert_eq!(
            packed(&text, 0, 100).1.digest.to_string(),
            "sha256:152e6b54feebb834998d69072b5c704464b80439c9fa770c8fe8b312067d6367"
        );
    }

    #[test]
    fn a_large_layer_is_packed_tight_first_and_then_fast() {
        let chunk = &sample()[..CHUNK];
        let (member, _) = packed(chunk, 0, CHUNK);
        let tight = member.repeat(TIGHT_BYTES as usize / CHUNK);
        let all = chunk.repeat(TIGHT_BYTES as usize / CHUNK + 1);
        for threads in [0, 2] {
            let (out, _) = packed(&all, threads, all.len());
            let fast = out.strip_prefix(&tight[..]).unwrap();
            assert!(fast.len() > member.len(), "{} of {}", fast.len(), member.len());
        }
    }

    #[test]
    fn a_writer_that_fails_ends_it_with_its_own_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for threads in [0, 2] {
            let error = pack::<io::Error>(&mut Full, threads, |input| input.write(&sample())).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }

    #[test]
    fn an_input_that_fails_ends_it_with_its_own_error() {
        let error = pack::<io::Error>(&mut io::sink(), 2, |input| {
            input.write(&sample())?;
            Err(io::Error::other("changed"))
        });
        assert_eq!(error.unwrap_err().to_string(), "changed");
    }
}
