//! What many records share is kept once, for as long as one of them is.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Values that are kept once.
#[derive(Debug)]
pub(super) struct Interner<T: ?Sized> {
    values: HashSet<Arc<T>>,
    bytes: usize,
    size: fn(&T) -> usize,
}

impl<T: Eq + Hash + ?Sized> Interner<T> {
    pub(super) fn new(size: fn(&T) -> usize) -> Self {
        Self { values: HashSet::new(), bytes: 0, size }
    }

    /// The value that is kept and equals this one.
    pub(super) fn get<V>(&mut self, value: V) -> Arc<T>
    where
        V: Borrow<T> + Into<Arc<T>>,
    {
        if let Some(found) = self.values.get(value.borrow()) {
            return Arc::clone(found);
        }
        let new: Arc<T> = value.into();
        self.bytes += (self.size)(&new);
        self.values.insert(Arc::clone(&new));
        new
    }

    /// A record gives its share back. What nobody else has is forgotten.
    pub(super) fn release(&mut self, value: Arc<T>) {
        // This one and that of the set. A reader may hold a third: then `sweep` finds it later.
        if Arc::strong_count(&value) == 2 && self.values.remove(&*value) {
            self.bytes -= (self.size)(&value);
        }
        drop(value);
    }

    /// Forgets what no record has any more.
    pub(super) fn sweep(&mut self) {
        let (bytes, size) = (&mut self.bytes, self.size);
        self.values.retain(|it| {
            let used = Arc::strong_count(it) > 1;
            *bytes -= if used { 0 } else { size(it) };
            used
        });
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.values.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_is_forgotten() {
        let mut names: Interner<str> = Interner::new(str::len);
        let (one, two) = (names.get("one"), names.get("one"));
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!(names.bytes(), 3);
        names.release(one);
        assert_eq!(names.bytes(), 3);
        let reader = Arc::clone(&two);
        names.release(two);
        assert_eq!(names.bytes(), 3, "a reader has it");
        drop(reader);
        names.sweep();
        assert_eq!(names.bytes(), 0);
        let one = names.get("one");
        names.release(one);
        assert_eq!((names.bytes(), names.iter().count()), (0, 0));
    }
}
