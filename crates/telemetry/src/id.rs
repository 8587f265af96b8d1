//! The ids of traces and spans, and hexadecimal.

use std::fmt;
use std::str::FromStr;

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let pair = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    bytes.iter().flat_map(pair).map(char::from).collect()
}

/// The bytes that hexadecimal digits of either case name.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// The id, unless its length is wrong or all of it is zero, which means "none".
            #[must_use]
            pub fn new(bytes: &[u8]) -> Option<Self> {
                let id: [u8; $length] = bytes.try_into().ok()?;
                (id != [0; $length]).then_some(Self(id))
            }

            /// Its bytes.
            #[must_use]
            pub fn bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, to)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                unhex(text).and_then(|it| Self::new(&it)).ok_or(NotAnId { digits: 2 * $length })
            }
        }
    };
}

id! {
    /// The id of a trace: 16 bytes, written as 32 hexadecimal digits.
    TraceId, 16
}
id! {
    /// The id of a span: 8 bytes, written as 16 hexadecimal digits.
    SpanId, 8
}

/// A text that is no id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has {digits} hexadecimal digits, not all of them 0")]
pub struct NotAnId {
    digits: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_they_are_read() {
        let text = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(text.parse::<TraceId>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<TraceId>().unwrap().to_string(), text);
        assert_eq!("b7ad6b7169203331".parse::<SpanId>().unwrap().bytes()[0], 0xb7);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "0", "00000000000000000000000000000000", "0af7651916cd43dd8448eb211c80319", "é"] {
            assert!(text.parse::<TraceId>().is_err(), "{text}");
        }
        assert!("0af7651916cd43dd8448eb211c80319g".parse::<TraceId>().is_err());
        assert_eq!(SpanId::new(&[0; 8]), None);
        assert_eq!(SpanId::new(&[1; 9]), None);
    }
}
