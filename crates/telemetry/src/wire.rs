//! Walks over [protobuf's encoding](https://protobuf.dev/programming-guides/encoding/) without making anything of it:
//! two bytes on the wire may become hundreds in memory, so records are found first, and read one at a time.

use std::borrow::Cow;

/// What is not protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a field is cut off or of no known type")]
pub(crate) struct NotProtobuf;

/// The contents of each field `number` that has a length, in their order. Others are walked over.
pub(crate) fn messages(bytes: &[u8], number: u64) -> Messages<'_> {
    Messages { rest: bytes, number }
}

/// All contents of field `number`, one after the other, which is how protobuf merges a message that comes in parts.
pub(crate) fn message(bytes: &[u8], number: u64) -> Result<Cow<'_, [u8]>, NotProtobuf> {
    let mut found = Cow::Borrowed(&[][..]);
    for part in messages(bytes, number) {
        let part = part?;
        if found.is_empty() {
            found = Cow::Borrowed(part);
        } else {
            found.to_mut().extend_from_slice(part);
        }
    }
    Ok(found)
}

/// See [`messages`].
pub(crate) struct Messages<'a> {
    rest: &'a [u8],
    number: u64,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<&'a [u8], NotProtobuf>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match field(&mut self.rest) {
                Some((number, Some(contents))) if number == self.number => return Some(Ok(contents)),
                Some(_) => {}
                None => {
                    self.rest = &[];
                    return Some(Err(NotProtobuf));
                }
            }
        }
        None
    }
}

/// The next field's number, and its contents where it has a length.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let key = varint(rest)?;
    let number = key >> 3;
    let contents = match key & 7 {
        0 => varint(rest).map(|_| None)?,
        1 => take(rest, 8).map(|_| None)?,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Some(take(rest, length)?)
        }
        5 => take(rest, 4).map(|_| None)?,
        // Groups (3 and 4) are in no message of OTLP and gone from protobuf 3.
        _ => return None,
    };
    (number > 0 && number < 1 << 29).then_some((number, contents))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let (byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7f).checked_shl(7 * at)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], number: u64) -> Result<Vec<&[u8]>, NotProtobuf> {
        messages(bytes, number).collect()
    }

    #[test]
    fn fields_of_every_type_are_walked_over() {
        let bytes =
            [&[0x08, 0x96, 0x01][..], &[0x11, 1, 2, 3, 4, 5, 6, 7, 8], b"\x1a\x02hi", &[0x25, 1, 2, 3, 4]];
        let bytes = [bytes.concat(), b"\x1a\x03you".to_vec()].concat();
        assert_eq!(all(&bytes, 3).unwrap(), [&b"hi"[..], b"you"]);
        assert!(all(&bytes, 1).unwrap().is_empty());
        assert_eq!(*message(&bytes, 3).unwrap(), *b"hiyou");
        assert_eq!(*message(&bytes, 9).unwrap(), *b"");
    }

    #[test]
    fn what_is_cut_off_is_an_error_and_an_end() {
        let bad: [&[u8]; 8] = [
            &[0x1a],
            &[0x1a, 5, 1],
            &[0x08],
            &[0x08, 0x80],
            &[0x11, 1],
            &[0x0b],
            &[0x02, 0],
            &[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ];
        for bytes in bad {
            assert_eq!(all(bytes, 3), Err(NotProtobuf), "{bytes:x?}");
            assert_eq!(messages(bytes, 3).count(), 1, "{bytes:x?}");
        }
        assert_eq!(all(&[0xff; 30], 3), Err(NotProtobuf));
    }
}
