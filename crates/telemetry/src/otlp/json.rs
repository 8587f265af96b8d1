//! How [OTLP's JSON](https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding) differs from what serde does by
//! itself: ids are hexadecimal, 64-bit integers are texts, `null` is the default, numbers may be `"NaN"`.

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// Whether a value is the one that is not written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A value, or its default where `null` stands.
pub(super) fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Ids: hexadecimal in either case.
pub(super) mod id {
    use super::{Deserialize, Deserializer, Error};

    pub(crate) fn serialize<S: serde::Serializer>(id: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&crate::id::hex(id))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = Option::<String>::deserialize(from)?.unwrap_or_default();
        crate::id::unhex(&text).ok_or_else(|| D::Error::custom("an id that is not hexadecimal"))
    }
}

/// Bytes in Base64, of either alphabet, padded or not, as protobuf's JSON allows.
pub(super) mod base64 {
    use base64::Engine as _;
    use base64::alphabet::STANDARD;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );

    pub(crate) fn encode(bytes: &[u8]) -> String {
        ENGINE.encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
        ENGINE.decode(text.replace('-', "+").replace('_', "/")).ok()
    }
}

/// A number as JSON may spell it: itself, or a text.
#[derive(Clone, Copy)]
enum Number {
    Signed(i64),
    Unsigned(u64),
    Double(f64),
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Option<Number>;

    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("a number, or a number as a text")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(Number::Signed(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(Number::Unsigned(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(Number::Double(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        let signed = value.parse().map(Number::Signed);
        let unsigned = signed.or_else(|_| value.parse().map(Number::Unsigned));
        let any = unsigned.or_else(|_| value.parse().map(Number::Double));
        any.map(Some).map_err(|_| E::invalid_value(Unexpected::Str(value), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A number type of protobuf, made of any spelling that has its value exactly.
pub(super) trait Exact: Sized {
    fn exact(signed: Option<i64>, unsigned: Option<u64>, double: Option<f64>) -> Option<Self>;
}

impl Exact for i64 {
    fn exact(signed: Option<i64>, unsigned: Option<u64>, double: Option<f64>) -> Option<Self> {
        signed.or_else(|| unsigned?.try_into().ok()).or_else(|| whole(double?)?.try_into().ok())
    }
}

impl Exact for u64 {
    fn exact(signed: Option<i64>, unsigned: Option<u64>, double: Option<f64>) -> Option<Self> {
        unsigned.or_else(|| signed?.try_into().ok()).or_else(|| whole(double?)?.try_into().ok())
    }
}

impl Exact for f64 {
    #[expect(clippy::cast_precision_loss, reason = "a double is what the field holds")]
    fn exact(signed: Option<i64>, unsigned: Option<u64>, double: Option<f64>) -> Option<Self> {
        double.or(signed.map(|it| it as f64)).or(unsigned.map(|it| it as f64))
    }
}

/// `1e3` is a way to write an integer.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn whole(double: f64) -> Option<i128> {
    (double.fract() == 0.0 && double.abs() < 1e19).then_some(double as i128)
}

fn number<'de, D: Deserializer<'de>, T: Exact>(from: D) -> Result<Option<T>, D::Error> {
    let Some(number) = from.deserialize_any(NumberVisitor)? else { return Ok(None) };
    let value = match number {
        Number::Signed(it) => T::exact(Some(it), None, None),
        Number::Unsigned(it) => T::exact(None, Some(it), None),
        Number::Double(it) => T::exact(None, None, Some(it)),
    };
    value.map(Some).ok_or_else(|| D::Error::custom("a number out of its range"))
}

/// A number in any spelling, one that must be there.
pub(super) struct Spelled<T>(pub(super) T);

impl<'de, T: Exact + Default> Deserialize<'de> for Spelled<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(number(from)?.unwrap_or_default()))
    }
}

/// 64-bit integers, written as texts.
pub(super) mod int {
    use super::{Deserializer, Exact, number};

    pub(crate) fn serialize<T: ToString, S: serde::Serializer>(it: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&it.to_string())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Exact + Default>(from: D) -> Result<T, D::Error> {
        Ok(number(from)?.unwrap_or_default())
    }
}

/// 64-bit integers that may be absent.
pub(super) mod int_if {
    use super::{Deserializer, number};

    pub(crate) fn serialize<S: serde::Serializer>(it: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        match it {
            Some(it) => to.serialize_str(&it.to_string()),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        number(from)
    }
}

/// Lists of 64-bit integers.
pub(super) mod ints {
    use super::{Deserialize, Deserializer, Spelled};

    pub(crate) fn serialize<S: serde::Serializer>(list: &[u64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(ToString::to_string))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
        let list = Option::<Vec<Spelled<u64>>>::deserialize(from)?.unwrap_or_default();
        Ok(list.into_iter().map(|it| it.0).collect())
    }
}

/// Doubles: JSON has no NaN and no infinity, so those are texts.
pub(super) mod double {
    use super::{Deserializer, number};

    pub(crate) fn serialize<S: serde::Serializer>(it: &f64, to: S) -> Result<S::Ok, S::Error> {
        match *it {
            it if it.is_nan() => to.serialize_str("NaN"),
            it if it == f64::INFINITY => to.serialize_str("Infinity"),
            it if it == f64::NEG_INFINITY => to.serialize_str("-Infinity"),
            it => to.serialize_f64(it),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(number(from)?.unwrap_or_default())
    }
}

/// Doubles that may be absent.
pub(super) mod double_if {
    use super::{Deserializer, number};

    pub(crate) fn serialize<S: serde::Serializer>(it: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        match it {
            Some(it) => super::double::serialize(it, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        number(from)
    }
}

/// Lists of doubles.
pub(super) mod doubles {
    use super::{Deserialize, Deserializer, Spelled};

    struct One(f64);

    impl serde::Serialize for One {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            super::double::serialize(&self.0, to)
        }
    }

    pub(crate) fn serialize<S: serde::Serializer>(list: &[f64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(|it| One(*it)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        let list = Option::<Vec<Spelled<f64>>>::deserialize(from)?.unwrap_or_default();
        Ok(list.into_iter().map(|it| it.0).collect())
    }
}
