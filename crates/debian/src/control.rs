//! Debian control files: paragraphs of `Field: value` lines, continued by lines that begin with a blank.

/// The paragraphs of a control file, each as its own text.
pub(crate) fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    text.split("\n\n").map(|text| text.trim_matches('\n')).filter(|text| !text.is_empty()).map(Paragraph)
}

/// One paragraph, not copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paragraph<'a>(pub(crate) &'a str);

impl<'a> Paragraph<'a> {
    /// A field's value: all of its lines, the first trimmed. Names are compared without case.
    pub(crate) fn get(self, name: &str) -> Option<&'a str> {
        let mut fields = self.fields();
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The fields in order, values with their continuation lines.
    pub(crate) fn fields(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = field_end(rest);
                let (field, after) = rest.split_at(end);
                rest = after;
                if let Some((name, value)) = field.split_once(':') {
                    return Some((name.trim(), value.trim()));
                }
            }
            None
        })
    }
}

/// Where the first field of `text` ends: after the last of its continuation lines.
fn field_end(text: &str) -> usize {
    let mut at = 0;
    while let Some(newline) = text.get(at..).and_then(|rest| rest.find('\n')) {
        at += newline + 1;
        if !matches!(text.as_bytes().get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_keeps_its_continuation_lines_and_nothing_of_the_next_one() {
        let text = "Package: a\nDescription: short\n long\n .\n longer\nsize: 12\n\n\nPackage: b\n";
        let all: Vec<_> = paragraphs(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].get("Description"), Some("short\n long\n .\n longer"));
        assert_eq!(all[0].get("Size"), Some("12"));
        assert_eq!(all[1].get("package"), Some("b"));
        assert_eq!(all[1].get("Size"), None);
    }
}
