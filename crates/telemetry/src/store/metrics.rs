//! Series of points: one for each process, library, metric and set of attributes. A metric that changes its type or its
//! temporality is another one from then on.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use prost::Message;

use super::kept::Shared;
use crate::otlp::{KeyValue, Metric, Resource};
use crate::record::{NewPoint, Source, read};

/// What makes a series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// By its place: there is one of each.
    source: usize,
    metric: usize,
    attributes: Arc<[u8]>,
}

/// What the points of a series have in common.
#[derive(Debug)]
pub struct Series {
    /// Its number in this store.
    pub number: u64,
    /// Where it comes from.
    pub source: Arc<Source>,
    metric: Arc<[u8]>,
    attributes: Arc<[u8]>,
}

impl Series {
    /// The metric, with its type and without points.
    #[must_use]
    pub fn metric(&self) -> Metric {
        read(&self.metric)
    }

    /// Where the metric is kept, which is the same for all series of it.
    pub(crate) fn metric_place(&self) -> usize {
        Arc::as_ptr(&self.metric).addr()
    }

    /// The attributes of each of its points.
    #[must_use]
    pub fn attributes(&self) -> Vec<KeyValue> {
        read::<Resource>(&self.attributes).attributes
    }

    fn bytes(&self) -> usize {
        // With the two maps that find it, and the list of its points.
        size_of::<Self>() + 2 * size_of::<Key>() + 160 + self.attributes.len()
    }
}

/// A point as it is kept.
#[derive(Debug)]
pub struct StoredPoint {
    /// The number of the record: later ones have greater.
    pub sequence: u64,
    /// When it was taken, in nanoseconds since 1970.
    pub time: u64,
    /// What it is a point of.
    pub series: Arc<Series>,
    body: Box<[u8]>,
}

impl StoredPoint {
    /// The metric with this point alone.
    #[must_use]
    pub fn metric(&self) -> Metric {
        let mut metric = self.series.metric();
        add(&mut metric, self, &self.series.attributes());
        metric
    }

    /// The point itself, whose type the metric says; it has no attributes.
    pub(crate) fn read<T: Message + Default>(&self) -> T {
        read(&self.body)
    }

    fn bytes(&self) -> usize {
        // With its places in the series and in the order of arrival.
        size_of::<Self>() + 16 + 2 * size_of::<usize>() + self.body.len()
    }
}

/// Adds a point to the metric that it is of.
pub(crate) fn add(metric: &mut Metric, point: &StoredPoint, attributes: &[KeyValue]) {
    macro_rules! add {
        ($($field:ident),*) => {
            $(if let Some(data) = metric.$field.as_mut() {
                data.data_points.push(point.read());
                if let Some(it) = data.data_points.last_mut() {
                    it.attributes = attributes.to_vec();
                }
            })*
        };
    }
    add!(gauge, sum, histogram, exponential_histogram, summary);
}

#[derive(Debug, Default)]
pub(super) struct Metrics {
    numbers: HashMap<Key, u64>,
    series: BTreeMap<u64, VecDeque<Arc<StoredPoint>>>,
    order: VecDeque<Arc<StoredPoint>>,
    bytes: usize,
    /// The number of the last series.
    last: u64,
}

impl Metrics {
    pub(super) fn keep(&mut self, new: NewPoint, source: Arc<Source>, sequence: u64, shared: &mut Shared) {
        let metric = shared.metrics.get(new.metric);
        let attributes: Arc<[u8]> = new.attributes.into();
        let key = Key {
            source: Arc::as_ptr(&source).addr(),
            metric: Arc::as_ptr(&metric).addr(),
            attributes: Arc::clone(&attributes),
        };
        let number = *self.numbers.entry(key).or_insert_with(|| {
            self.last += 1;
            self.last
        });
        let points = self.series.entry(number).or_default();
        let series = if let Some(point) = points.front() {
            Arc::clone(&point.series)
        } else {
            let series = Series { number, source, metric, attributes };
            self.bytes += series.bytes();
            Arc::new(series)
        };
        let point = Arc::new(StoredPoint { sequence, time: new.time, series, body: new.body });
        self.bytes += point.bytes();
        points.push_back(Arc::clone(&point));
        self.order.push_back(point);
    }

    /// Drops one point, and its series with the last; the source is handed back.
    pub(super) fn drop_oldest(&mut self, shared: &mut Shared) -> Option<Arc<Source>> {
        let point = self.order.pop_front()?;
        self.bytes -= point.bytes();
        let series = Arc::clone(&point.series);
        let source = Arc::clone(&series.source);
        let points = self.series.get_mut(&series.number)?;
        points.pop_front();
        drop(point);
        if points.is_empty() {
            self.series.remove(&series.number);
            self.bytes -= series.bytes();
            let metric = Arc::clone(&series.metric);
            self.numbers.remove(&Key {
                source: Arc::as_ptr(&source).addr(),
                metric: Arc::as_ptr(&metric).addr(),
                attributes: Arc::clone(&series.attributes),
            });
            drop(series);
            shared.metrics.release(metric);
        }
        Some(source)
    }

    /// Those that arrived after that one, in their order.
    pub(super) fn since(&self, sequence: u64) -> impl Iterator<Item = &Arc<StoredPoint>> {
        self.order.range(self.order.partition_point(|it| it.sequence <= sequence)..)
    }

    /// Every series with its points, each of which has at least one.
    pub(super) fn series(&self) -> impl Iterator<Item = &VecDeque<Arc<StoredPoint>>> {
        self.series.values()
    }

    /// The points of a series, oldest first.
    pub(super) fn points_of(&self, series: u64) -> Vec<Arc<StoredPoint>> {
        self.series.get(&series).map(|it| it.iter().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn points(&self) -> u64 {
        self.order.len() as u64
    }
}
