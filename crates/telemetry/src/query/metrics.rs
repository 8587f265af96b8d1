//! Which series of metrics there are, and their points.

use std::sync::Arc;

use super::samples::{Sample, samples};
use crate::otlp::Metric;
use crate::store::{Series, Store, StoredPoint, add};

/// What is asked of a series.
#[derive(Clone, Debug, Default)]
pub struct MetricFilter {
    /// Of that service.
    pub service: Option<String>,
    /// Of the metric of that name.
    pub name: Option<String>,
}

/// A series in a list.
#[derive(Clone, Debug)]
pub struct SeriesInfo {
    /// The series.
    pub series: Arc<Series>,
    /// How many points are kept.
    pub points: usize,
    /// The last of them.
    pub last: Arc<StoredPoint>,
}

impl Store {
    /// Series that pass, in the order of their first points.
    #[must_use]
    pub fn series(&self, filter: &MetricFilter) -> Vec<SeriesInfo> {
        let info = |(points, last): (usize, Arc<StoredPoint>)| {
            let series = Arc::clone(&last.series);
            filter.passes(&series).then_some(SeriesInfo { series, points, last })
        };
        self.last_points().into_iter().filter_map(info).collect()
    }

    /// The metric with all points of a series that are kept; none where there is no such series.
    #[must_use]
    pub fn points(&self, series: u64) -> Option<Metric> {
        let points = self.points_of(series);
        let series = &points.first()?.series;
        let (mut metric, attributes) = (series.metric(), series.attributes());
        points.iter().for_each(|it| add(&mut metric, it, &attributes));
        Some(metric)
    }

    /// The points of a series as numbers over time, which is what a chart shows.
    #[must_use]
    pub fn samples(&self, series: u64) -> Option<Vec<Sample>> {
        self.points(series).map(|it| samples(&it))
    }
}

impl MetricFilter {
    fn passes(&self, series: &Series) -> bool {
        self.service.as_deref().is_none_or(|it| **series.source.origin().service() == *it)
            && self.name.as_ref().is_none_or(|it| series.metric().name == *it)
    }
}
