//! How an error and its causes become one sentence.

/// The error and its causes, joined by colons; a cause that its error already quotes is not said twice.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

/// Whether a disk that is full is the cause.
#[must_use]
pub fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let full = |it: &(dyn std::error::Error + 'static)| {
        it.downcast_ref::<std::io::Error>().is_some_and(|it| it.kind() == std::io::ErrorKind::StorageFull)
    };
    std::iter::successors(Some(error), |it| it.source()).any(full)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_full_disk_is_found_under_other_errors_and_nothing_else_is() {
        let outer = |kind: std::io::ErrorKind| Outer(kind.into());
        assert!(super::is_disk_full(&outer(std::io::ErrorKind::StorageFull)));
        assert!(!super::is_disk_full(&outer(std::io::ErrorKind::NotFound)));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_their_error() {
        let error = Outer(std::io::Error::other("inner"));
        assert_eq!(super::chain(&error), "outer: inner");
    }
}
