//! How a layer is compressed is seen from its first bytes: media types are not always right.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

/// The tar that a layer's blob holds: in gzip, in zstd or as it is.
pub(crate) fn decompressed<'a>(mut blob: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match blob.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(blob)),
        // A frame, or one that is to be skipped.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Box::new(Zstd { blob, decoder: bounded()?, in_frame: false })
        }
        _ => Box::new(blob),
    })
}

/// Frames of zstd, one after the other; the library knows one only. Some are to be skipped: `zstd:chunked` keeps its
/// table of contents in one (<https://www.rfc-editor.org/rfc/rfc8878#name-skippable-frames>).
struct Zstd<R> {
    blob: R,
    decoder: FrameDecoder,
    in_frame: bool,
}

/// A decoder that takes no window above 100 MiB, so that memory has a bound whatever a frame asks for. The library looks
/// at the window only of frames after the first, so the first one is an empty one of ours.
fn bounded() -> io::Result<FrameDecoder> {
    const EMPTY: [u8; 9] = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0];
    let mut decoder = FrameDecoder::new();
    decoder.init(&EMPTY[..]).map_err(|error| invalid(&error))?;
    Ok(decoder)
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            while self.in_frame {
                let got = self.decoder.read(buffer)?;
                if got > 0 || buffer.is_empty() {
                    return Ok(got);
                }
                if self.decoder.is_finished() {
                    self.in_frame = false;
                } else {
                    let one = BlockDecodingStrategy::UptoBlocks(1);
                    self.decoder.decode_blocks(&mut self.blob, one).map_err(|error| invalid(&error))?;
                }
            }
            if self.blob.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.begin()?;
        }
    }
}

impl<R: BufRead> Zstd<R> {
    fn begin(&mut self) -> io::Result<()> {
        match self.decoder.init(&mut self.blob) {
            Ok(()) => self.in_frame = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let length = u64::from(length);
                if io::copy(&mut self.blob.by_ref().take(length), &mut io::sink())? < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(invalid(&error)),
        }
        Ok(())
    }
}

fn invalid(error: &FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    use super::*;

    fn zstd(contents: &[u8]) -> Vec<u8> {
        let mut command = Command::new("zstd");
        let mut child =
            command.args(["-q", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let contents = contents.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&contents).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output.stdout
    }

    fn all(blob: &[u8]) -> io::Result<Vec<u8>> {
        let mut back = Vec::new();
        decompressed(blob)?.read_to_end(&mut back)?;
        Ok(back)
    }

    #[test]
    fn every_frame_is_read_and_those_to_be_skipped_are_skipped() {
        let text: Vec<u8> = (0..3_000_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"hello"].concat();
        let (one, two) = (zstd(&text), zstd(b"two"));
        let blob = [&skipped[..], &one, &skipped, &two, &skipped].concat();
        assert!(all(&blob).unwrap() == [&text[..], b"two"].concat());
        for cut in [3, skipped.len() + 5, skipped.len() + one.len() / 2, blob.len() - 2] {
            assert!(all(&blob[..cut]).is_err() || cut == 3, "{cut}");
        }
    }

    #[test]
    fn a_window_without_bound_is_refused() {
        // A frame whose header asks for a window of two terabytes.
        let error = all(&[0x28, 0xb5, 0x2f, 0xfd, 0, 31 << 3, 1, 0, 0]).unwrap_err().to_string();
        assert!(error.starts_with("zstd: ") && error.contains("window_size"), "{error}");
    }
}
