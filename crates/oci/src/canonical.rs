//! One spelling for a JSON value, so that the same image has the same digest everywhere.

use serde::Serialize;
use serde_json::Value;

/// The value as JSON without spaces, keys in the order of their bytes.
///
/// serde_json's own map sorts only as long as no crate of the build turns its `preserve_order` feature on, so the
/// order is made here.
pub(crate) fn to_vec(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::new();
    write(&serde_json::to_value(value)?, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_bytes());
            out.push(b'{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, key)?;
                out.push(b':');
                write(item, out)?;
            }
            out.push(b'}');
        }
        plain => serde_json::to_writer(out, plain)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value: serde_json::Value =
            serde_json::from_str(r#"{"b":[{"z":1,"a":"<\"é"}],"a":null}"#).unwrap();
        assert_eq!(super::to_vec(&value).unwrap(), r#"{"a":null,"b":[{"a":"<\"é","z":1}]}"#.as_bytes());
    }
}
