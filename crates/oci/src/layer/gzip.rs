//! Bytes in, one gzip member out, with the digests of both: parallel, and the same bytes for any number of threads.
//!
//! The stream is cut into chunks of 1 MiB. Each is deflated by a compressor of its own and ends with a sync flush, so
//! that the pieces can be joined; an empty last block closes the member. A compressor that is reset and given a
//! dictionary instead lets old contents of its window leak into the output, which then differs from run to run
//! (<https://github.com/zlib-ng/zlib-ng/pull/2100>); a new one costs 0.3 % in size.

use std::{
    io::{self, Write},
    mem,
    sync::{
        Mutex, OnceLock, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use flate2::{Compress, Compression, FlushCompress, Status};
use sha2::{Digest as _, Sha256};

use crate::Digest;

/// Whatever changes the bytes that this file or `tar.rs` makes of the same input changes this number too.
pub(crate) const ENCODING: u32 = 1;

const CHUNK: usize = 1 << 20;
static NOTHING: [u8; CHUNK] = [0; CHUNK];
/// Half the time of level 6 for 0.3 % more bytes.
const LEVEL: u32 = 5;
/// Deflate, no name, no time, no flags, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A final block with nothing in it.
const END: [u8; 2] = [3, 0];

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
    chunk: Vec<u8>,
    sha: Sha256,
    crc: crc32fast::Hasher,
    len: u64,
    out: Out<'a>,
}

enum Out<'a> {
    Here(Output<'a>),
    Pool { work: SyncSender<Job>, order: SyncSender<Receiver<Vec<u8>>>, spare: &'a Spare },
}

struct Job {
    chunk: Vec<u8>,
    done: SyncSender<Vec<u8>>,
}

/// Buffers to be used again: a fresh one costs more time in page faults than in use.
#[derive(Default)]
struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
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
        let mut input = Input::new(Out::Here(output));
        input.start()?;
        fill(&mut input)?;
        let (diff_id, tail, out) = input.finish()?;
        let Out::Here(output) = out else { return Err(gone().into()) };
        return Ok(output.finish(diff_id, &tail)?);
    }
    let (spare, (work, jobs)) = (Spare::default(), sync_channel(threads));
    let (order, ordered) = sync_channel::<Receiver<Vec<u8>>>(2 * threads);
    let jobs = Mutex::new(jobs);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work_off(&jobs, &spare));
        }
        let writer = scope.spawn(|| write_in_order(output, ordered, &spare));
        let mut input = Input::new(Out::Pool { work, order, spare: &spare });
        let filled = fill(&mut input).and_then(|()| input.finish().map_err(E::from));
        // The channels must be closed for the threads to end, whether or not it went well.
        let ended = filled.map(|(diff_id, tail, out)| {
            drop(out);
            (diff_id, tail)
        });
        let output = writer.join().map_err(|_| gone())??;
        let (diff_id, tail) = ended?;
        Ok(output.finish(diff_id, &tail)?)
    })
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the compressor ended early")
}

fn work_off(jobs: &Mutex<Receiver<Job>>, spare: &Spare) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { chunk, done }) = job else { return };
        let mut out = spare.take();
        if deflate(&chunk, &mut out).is_err() {
            return;
        }
        spare.give(chunk);
        let _ = done.send(out);
    }
}

fn write_in_order<'a>(
    mut output: Output<'a>,
    ordered: Receiver<Receiver<Vec<u8>>>,
    spare: &Spare,
) -> io::Result<Output<'a>> {
    output.write(&HEADER)?;
    for piece in ordered {
        let piece = piece.recv().map_err(|_| gone())?;
        output.write(&piece)?;
        spare.give(piece);
    }
    Ok(output)
}

/// The digest and length of what went in, the end of the member, and where it goes.
type Finished<'a> = ((Digest, u64), Vec<u8>, Out<'a>);

impl<'a> Input<'a> {
    fn new(out: Out<'a>) -> Self {
        Self {
            chunk: Vec::with_capacity(CHUNK),
            sha: Sha256::new(),
            crc: crc32fast::Hasher::new(),
            len: 0,
            out,
        }
    }

    fn start(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::Here(output) => output.write(&HEADER),
            Out::Pool { .. } => Ok(()),
        }
    }

    /// Adds bytes.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
            self.flush_full()?;
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
        let start = self.chunk.len();
        let room = (CHUNK - start).min(usize::try_from(limit).unwrap_or(CHUNK));
        self.chunk.resize(start + room, 0);
        let got = read(&mut self.chunk[start..]);
        self.chunk.truncate(start + *got.as_ref().unwrap_or(&0));
        self.flush_full()?;
        got
    }

    fn flush_full(&mut self) -> io::Result<()> {
        if self.chunk.len() == CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sha.update(&self.chunk);
        self.crc.update(&self.chunk);
        self.len += self.chunk.len() as u64;
        match &mut self.out {
            Out::Here(output) => {
                let mut piece = Vec::new();
                deflate(&self.chunk, &mut piece)?;
                self.chunk.clear();
                output.write(&piece)
            }
            Out::Pool { work, order, spare } => {
                let mut fresh = spare.take();
                fresh.reserve(CHUNK);
                let (done, piece) = sync_channel(1);
                let chunk = mem::replace(&mut self.chunk, fresh);
                order.send(piece).map_err(|_| gone())?;
                work.send(Job { chunk, done }).map_err(|_| gone())
            }
        }
    }

    fn finish(mut self) -> io::Result<Finished<'a>> {
        if !self.chunk.is_empty() {
            self.flush()?;
        }
        let mut tail = END.to_vec();
        tail.extend_from_slice(&self.crc.finalize().to_le_bytes());
        // The length modulo 2^32, by RFC 1952.
        tail.extend_from_slice(&(self.len as u32).to_le_bytes());
        Ok(((Digest::from_hasher(self.sha), self.len), tail, self.out))
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

    fn finish(mut self, (diff_id, uncompressed_size): (Digest, u64), tail: &[u8]) -> io::Result<Packed> {
        self.write(tail)?;
        self.out.flush()?;
        Ok(Packed { diff_id, uncompressed_size, digest: Digest::from_hasher(self.sha), size: self.len })
    }
}

/// Deflates one chunk; holes of sparse files come as whole chunks of zeros, and are deflated once.
fn deflate(chunk: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    static ZEROS: OnceLock<Vec<u8>> = OnceLock::new();
    if *chunk != NOTHING {
        return deflate_any(chunk, out);
    }
    if let Some(zeros) = ZEROS.get() {
        out.extend_from_slice(zeros);
        return Ok(());
    }
    deflate_any(chunk, out)?;
    let _ = ZEROS.set(out.clone());
    Ok(())
}

fn deflate_any(chunk: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut compress = Compress::new(Compression::new(LEVEL), false);
    out.reserve(chunk.len() + chunk.len() / 500 + 64);
    loop {
        let rest = &chunk[compress.total_in() as usize..];
        let status = compress.compress_vec(rest, out, FlushCompress::Sync).map_err(io::Error::other)?;
        let all_in = compress.total_in() as usize == chunk.len();
        // A flush is complete only when room was left behind it.
        if all_in && out.capacity() > out.len() {
            return Ok(());
        }
        if status == Status::StreamEnd {
            return Err(gone());
        }
        out.reserve(CHUNK / 4);
    }
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
    fn the_output_is_one_gzip_member_that_reads_back() {
        for bytes in [Vec::new(), b"x".to_vec(), vec![0; CHUNK], sample()] {
            let mut back = Vec::new();
            // GzDecoder stops after the first member.
            flate2::read::GzDecoder::new(&packed(&bytes, 2, 4096).0[..]).read_to_end(&mut back).unwrap();
            assert!(back == bytes);
        }
    }

    #[test]
    fn the_bytes_stay_what_they_were() {
        // Whoever changes this digest on purpose changes ENCODING too.
        let text = b"hello, layer\n".repeat(1000);
        assert_eq!(
            packed(&text, 0, 100).1.digest.to_string(),
            "sha256:309ac845de5f8a5b265c3481db2e01a867473864b7ebc82b2f2b9e2068727162"
        );
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
