//! Series of points: one for each process, library, metric and set of attributes. A metric that changes its type or its
//! temporality is another one from then on.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::kept::Shared;
use crate::record::{NewPoint, Source};

/// What makes a series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// By its place: there is one of each.
    source: usize,
    metric: usize,
    attributes: Arc<[u8]>,
}

/// A point as it is kept.
#[derive(Debug)]
pub(super) struct Point {
    body: Box<[u8]>,
}

impl Point {
    fn bytes(&self) -> usize {
        // With its place in the order of arrival.
        size_of::<Self>() + size_of::<u64>() + self.body.len()
    }
}

/// Points of one kind, oldest first.
#[derive(Debug)]
pub(super) struct Series {
    key: Key,
    source: Arc<Source>,
    metric: Arc<[u8]>,
    points: VecDeque<Point>,
}

impl Series {
    fn bytes(&self) -> usize {
        // The two maps that find it.
        size_of::<Self>() + 2 * size_of::<Key>() + 96 + self.key.attributes.len()
    }
}

#[derive(Debug, Default)]
pub(super) struct Metrics {
    numbers: HashMap<Key, u64>,
    series: HashMap<u64, Series>,
    /// The series of each point, in the order of arrival.
    order: VecDeque<u64>,
    bytes: usize,
    /// The number of the last series.
    last: u64,
}

impl Metrics {
    pub(super) fn keep(&mut self, new: NewPoint, source: Arc<Source>, shared: &mut Shared) {
        let metric = shared.metrics.get(new.metric);
        let key = Key {
            source: Arc::as_ptr(&source).addr(),
            metric: Arc::as_ptr(&metric).addr(),
            attributes: new.attributes.into(),
        };
        let number = *self.numbers.entry(key.clone()).or_insert_with(|| {
            self.last += 1;
            self.last
        });
        let series = self.series.entry(number).or_insert_with(|| {
            let series = Series { key, source, metric, points: VecDeque::new() };
            self.bytes += series.bytes();
            series
        });
        let point = Point { body: new.body };
        self.bytes += point.bytes();
        series.points.push_back(point);
        self.order.push_back(number);
    }

    /// Drops one point, and its series with the last; then the source of that is handed back.
    pub(super) fn drop_oldest(&mut self, shared: &mut Shared) -> Option<Arc<Source>> {
        let number = self.order.pop_front()?;
        let series = self.series.get_mut(&number)?;
        let point = series.points.pop_front()?;
        self.bytes -= point.bytes();
        let source = Arc::clone(&series.source);
        if series.points.is_empty()
            && let Some(series) = self.series.remove(&number)
        {
            self.bytes -= series.bytes();
            self.numbers.remove(&series.key);
            shared.metrics.release(series.metric);
        }
        Some(source)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn series(&self) -> usize {
        self.series.len()
    }

    pub(super) fn points(&self) -> u64 {
        self.order.len() as u64
    }
}
