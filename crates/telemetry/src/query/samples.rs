//! Points of metrics as numbers over time. What is cumulative grows for ever; what happened between two points is their
//! difference, and a chart of either temporality shows that.

use crate::otlp::{Buckets, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint};

/// A number at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// The number as it was sent: the value, the sum, or the count of a histogram or summary. None where the point says that
    /// there is none.
    pub value: Option<f64>,
    /// By how much that grew since the point before; none for what does not add up, and for the first of what is cumulative,
    /// unless it says that it began after the point before.
    pub change: Option<f64>,
    /// How the values between this point and the one before are spread, of a histogram.
    pub spread: Option<Spread>,
}

/// How values are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Their mean.
    pub mean: Option<f64>,
    /// Half of them are at most this.
    pub p50: f64,
    /// 95 of 100 are at most this.
    pub p95: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
}

const CUMULATIVE: i32 = 2;
const DELTA: i32 = 1;
/// Bit 0 of the flags of a point: no value was recorded.
const NO_VALUE: u32 = 1;

/// The points of a metric, which has one type.
pub(super) fn samples(metric: &Metric) -> Vec<Sample> {
    if let Some(it) = &metric.gauge {
        return it.data_points.iter().map(|it| plain(it.time_unix_nano, number(it))).collect();
    }
    if let Some(it) = &metric.sum {
        // What may shrink is shown as it is.
        if !it.is_monotonic {
            return it.data_points.iter().map(|it| plain(it.time_unix_nano, number(it))).collect();
        }
        let of = |point: &NumberDataPoint| Grown {
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
            count: number(point),
            ..Grown::default()
        };
        return changes(it.data_points.iter().map(of), it.aggregation_temporality);
    }
    if let Some(it) = &metric.histogram {
        return changes(it.data_points.iter().map(Grown::of_histogram), it.aggregation_temporality);
    }
    if let Some(it) = &metric.exponential_histogram {
        return changes(it.data_points.iter().map(Grown::of_exponential), it.aggregation_temporality);
    }
    let points = metric.summary.iter().flat_map(|it| &it.data_points);
    #[expect(clippy::cast_precision_loss, reason = "for a chart")]
    points.map(|it| plain(it.time_unix_nano, Some(it.count as f64))).collect()
}

fn plain(time: u64, value: Option<f64>) -> Sample {
    Sample { time, value, change: None, spread: None }
}

#[expect(clippy::cast_precision_loss, reason = "for a chart")]
fn number(point: &NumberDataPoint) -> Option<f64> {
    let value = point.as_double.or(point.as_int.map(|it| it as f64));
    value.filter(|_| point.flags & NO_VALUE == 0)
}

/// What adds up, of any type.
#[derive(Clone, Debug, Default)]
struct Grown {
    start: u64,
    time: u64,
    count: Option<f64>,
    sum: Option<f64>,
    /// Upper bounds, of which the last may be infinite, and how many values are below each and above the one before.
    buckets: Vec<(f64, f64)>,
}

impl Grown {
    #[expect(clippy::cast_precision_loss, reason = "for a chart")]
    fn of_histogram(point: &HistogramDataPoint) -> Self {
        let bounds = point.explicit_bounds.iter().copied().chain([f64::INFINITY]);
        Self {
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
            count: Some(point.count as f64).filter(|_| point.flags & NO_VALUE == 0),
            sum: point.sum,
            buckets: bounds.zip(point.bucket_counts.iter().map(|it| *it as f64)).collect(),
        }
    }

    /// [The bounds](https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponential-scale).
    #[expect(clippy::cast_precision_loss, reason = "for a chart")]
    fn of_exponential(point: &ExponentialHistogramDataPoint) -> Self {
        let growth = (-f64::from(point.scale)).exp2();
        let bound = |offset: i32, at: usize| (growth * (f64::from(offset) + at as f64)).exp2();
        let none = Buckets::default();
        let (negative, positive) =
            (point.negative.as_ref().unwrap_or(&none), point.positive.as_ref().unwrap_or(&none));
        let below = negative.bucket_counts.iter().enumerate().rev();
        let mut buckets: Vec<_> =
            below.map(|(at, count)| (-bound(negative.offset, at), *count as f64)).collect();
        buckets.push((point.zero_threshold, point.zero_count as f64));
        let above = positive.bucket_counts.iter().enumerate();
        buckets.extend(above.map(|(at, count)| (bound(positive.offset, at + 1), *count as f64)));
        Self {
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
            count: Some(point.count as f64).filter(|_| point.flags & NO_VALUE == 0),
            sum: point.sum,
            buckets,
        }
    }

    /// What came since `before`; all of it where that was of an earlier process or of other bounds.
    fn since(&self, before: &Self) -> Self {
        let same = self.buckets.len() == before.buckets.len()
            && self.buckets.iter().zip(&before.buckets).all(|(a, b)| a.0.to_bits() == b.0.to_bits());
        let mut rest = self.clone();
        rest.count = rest.count.zip(before.count).map(|(now, then)| now - then).or(self.count);
        rest.sum = rest.sum.zip(before.sum).map(|(now, then)| now - then);
        if same {
            rest.buckets.iter_mut().zip(&before.buckets).for_each(|(now, then)| now.1 -= then.1);
        }
        rest
    }

    fn spread(&self) -> Option<Spread> {
        let count = self.buckets.iter().map(|it| it.1.max(0.0)).sum::<f64>();
        if count <= 0.0 {
            return None;
        }
        let at = |part: f64| self.quantile(part * count);
        let mean = self.sum.map(|it| it / count).filter(|it| it.is_finite());
        Some(Spread { mean, p50: at(0.5)?, p95: at(0.95)?, p99: at(0.99)? })
    }

    /// The value that so many others are below: a straight line within a bucket; the last bound where there is none.
    fn quantile(&self, rank: f64) -> Option<f64> {
        let (mut seen, mut lower) = (0.0, None::<f64>);
        for (upper, count) in &self.buckets {
            let count = count.max(0.0);
            if count > 0.0 && seen + count >= rank {
                // Times and sizes begin at zero.
                let from = lower.unwrap_or_else(|| upper.min(0.0));
                let value =
                    if upper.is_finite() { from + (upper - from) * (rank - seen) / count } else { from };
                return Some(value).filter(|it| it.is_finite());
            }
            seen += count;
            lower = Some(*upper);
        }
        lower.filter(|it| it.is_finite())
    }
}

fn changes(points: impl Iterator<Item = Grown>, temporality: i32) -> Vec<Sample> {
    let mut before: Option<Grown> = None;
    let mut found = Vec::new();
    for point in points {
        let change = match temporality {
            DELTA => Some(point.clone()),
            CUMULATIVE => before.as_ref().map(|before| {
                // https://opentelemetry.io/docs/specs/otel/metrics/data-model/#resets-and-gaps
                let shrank = point.count.zip(before.count).is_some_and(|(now, then)| now < then);
                if shrank || point.start > before.time { point.clone() } else { point.since(before) }
            }),
            _ => None,
        };
        found.push(Sample {
            time: point.time,
            value: point.count,
            change: change.as_ref().and_then(|it| it.count),
            spread: change.as_ref().and_then(Grown::spread),
        });
        if point.count.is_some() {
            before = Some(point);
        }
    }
    found
}
