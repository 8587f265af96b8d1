//! What must hold of any telemetry that was taken, whatever it says of itself.

use std::collections::HashSet;
use std::sync::Arc;

use telemetry::{LogFilter, MetricFilter, Store, TraceFilter};

/// Asks everything of a store.
pub fn questions(store: &Store) {
    let counts = store.counts();
    assert!(counts.bytes <= counts.limit);
    let page = store.traces(&TraceFilter::default(), None, usize::MAX);
    assert_eq!(page.traces.len() as u64, counts.traces);
    let mut spans = 0;
    for summary in page.traces {
        let tree = store.tree(summary.trace).expect("it is listed");
        spans += summary.spans as u64;
        assert!(tree.rows.len() <= summary.spans && !tree.rows.is_empty());
        let places: HashSet<_> = tree.rows.iter().map(|it| Arc::as_ptr(&it.span)).collect();
        assert_eq!(places.len(), tree.rows.len(), "every span once");
        for (at, row) in tree.rows.iter().enumerate() {
            match row.parent {
                None => assert_eq!(row.depth, 0),
                Some(parent) => {
                    assert!(parent < at && tree.rows[parent].depth + 1 == row.depth);
                    assert_eq!(row.span.parent, Some(tree.rows[parent].span.id));
                }
            }
        }
        assert_eq!(
            tree.rows.iter().map(|it| it.children).sum::<usize>(),
            tree.rows.iter().filter(|it| it.depth > 0).count()
        );
    }
    assert_eq!(spans, counts.spans);
    assert_eq!(store.logs(&LogFilter::default(), None, usize::MAX).len() as u64, counts.logs);
    let mut points = 0;
    for info in store.series(&MetricFilter::default()) {
        points += info.points as u64;
        assert_eq!(store.samples(info.series.number).expect("it is listed").len(), info.points);
    }
    assert_eq!(points, counts.points);
    assert!(store.routes(0).iter().all(|it| it.p50 <= it.p99 && it.failed <= it.count));

    // What is written is read again, and then written the same.
    let mut lines = Vec::new();
    store.export(&mut lines).expect("memory can be written to");
    let again = Store::new(16 << 20);
    let imported = again.import(&mut lines.as_slice()).expect("what was written can be read");
    assert_eq!((imported.records, imported.rejected), (counts.spans + counts.logs + counts.points, 0));
    let mut same = Vec::new();
    again.export(&mut same).expect("memory can be written to");
    // Metrics are gathered by what they have in common, which changes their order; so there are as many bytes.
    assert_eq!(same.len(), lines.len());
}
