//! The same for each of many, several at the same time.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What `work` makes of each, in their order; at most `at_once` are in work.
pub(crate) fn each<T: Sync, R: Send>(all: &[T], at_once: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (Mutex::new(all.iter().enumerate()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(all.len()) {
            scope.spawn(|| {
                loop {
                    // A statement of its own: in the head of a `while let` the lock would be held to the end of the
                    // round, and one would wait for the other.
                    let taken = locked(&next).next();
                    let Some((at, it)) = taken else { return };
                    let result = work(it);
                    locked(&done).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|it| it.0);
    done.into_iter().map(|it| it.1).collect()
}

/// What is behind the lock, whoever panicked with it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn several_are_in_work_and_the_results_keep_their_order() {
        // Nobody goes on before two are there.
        let both = Barrier::new(2);
        let results = each(&[1, 2, 3, 4], 2, |it| {
            both.wait();
            it * 2
        });
        assert_eq!(results, [2, 4, 6, 8]);
        assert_eq!(each(&[0; 0], 2, |it| *it), [0; 0]);
    }
}
