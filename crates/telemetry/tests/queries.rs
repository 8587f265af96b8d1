//! Questions to a store, about telemetry good and bad.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use telemetry::{LogFilter, MetricFilter, Oddity, Outcome, Record, Row, Store, TraceFilter, TraceId, Tree};

const SECOND: u64 = 1_000_000_000;

/// A span: `id`, `parent` (0: none), when it begins and ends; anything else is merged over it.
fn span(trace: u8, id: u64, parent: u64, times: (u64, u64), more: Value) -> Value {
    let mut span = json!({
        "traceId": format!("{trace:02x}").repeat(16), "spanId": format!("{id:016x}"), "name": format!("span {id}"),
        "startTimeUnixNano": times.0.to_string(), "endTimeUnixNano": times.1.to_string(), "kind": 1,
    });
    if parent != 0 {
        span["parentSpanId"] = format!("{parent:016x}").into();
    }
    if let Value::Object(more) = more {
        span.as_object_mut().unwrap().extend(more);
    }
    span
}

fn attributes(list: &[(&str, Value)]) -> Value {
    let one = |(key, value): &(&str, Value)| json!({"key": key, "value": value});
    list.iter().map(one).collect::<Vec<_>>().into()
}

fn resource(service: &str) -> Value {
    json!({"attributes": attributes(&[("service.name", json!({"stringValue": service}))])})
}

fn take(store: &Store, line: &Value) {
    store.import(&mut line.to_string().as_bytes()).unwrap();
}

fn put(store: &Store, service: &str, spans: &[Value]) {
    let scoped = json!([{"scope": {"name": "lib"}, "spans": spans}]);
    take(store, &json!({"resourceSpans": [{"resource": resource(service), "scopeSpans": scoped}]}));
}

fn put_logs(store: &Store, service: &str, logs: &[Value]) {
    let scoped = json!([{"logRecords": logs}]);
    take(store, &json!({"resourceLogs": [{"resource": resource(service), "scopeLogs": scoped}]}));
}

fn put_metric(store: &Store, metric: &Value) {
    let scoped = json!([{"metrics": [metric]}]);
    take(store, &json!({"resourceMetrics": [{"resource": resource("shop"), "scopeMetrics": scoped}]}));
}

fn store() -> Store {
    Store::new(64 << 20)
}

fn trace(number: u8) -> TraceId {
    TraceId::new(&[number; 16]).unwrap()
}

fn tree(store: &Store) -> Tree {
    store.tree(trace(1)).unwrap()
}

/// Each row as its name under its parent's, with its depth.
fn shape(tree: &Tree) -> Vec<String> {
    let row = |it: &Row| format!("{}{}", "  ".repeat(it.depth), it.span.name);
    tree.rows.iter().map(row).collect()
}

fn oddities(tree: &Tree) -> Vec<Oddity> {
    tree.rows.iter().flat_map(|it| it.oddities.clone()).collect()
}

#[test]
fn a_trace_is_a_tree_in_the_order_of_time() {
    let store = store();
    let spans = [
        span(1, 4, 2, (30, 40), json!({})),
        span(1, 3, 1, (50, 60), json!({})),
        span(1, 2, 1, (20, 45), json!({})),
        span(1, 1, 0, (10, 100), json!({})),
    ];
    put(&store, "shop", &spans);
    let tree = tree(&store);
    assert_eq!(shape(&tree), ["span 1", "  span 2", "    span 4", "  span 3"]);
    assert_eq!((tree.start, tree.end), (10, 100));
    assert_eq!(tree.rows.iter().map(|it| it.children).collect::<Vec<_>>(), [2, 1, 0, 0]);
    assert_eq!(tree.rows.iter().map(|it| it.parent).collect::<Vec<_>>(), [None, Some(0), Some(1), Some(0)]);
    assert!(oddities(&tree).is_empty());
    assert!(store.tree(trace(2)).is_none());
}

#[test]
fn a_span_whose_parent_is_missing_is_shown_and_said() {
    let store = store();
    put(&store, "shop", &[span(1, 1, 9, (0, 5), json!({})), span(1, 2, 1, (1, 2), json!({}))]);
    assert_eq!(shape(&tree(&store)), ["span 1", "  span 2"]);
    assert_eq!(oddities(&tree(&store)), [Oddity::MissingParent]);
    // It arrives later.
    put(&store, "shop", &[span(1, 9, 0, (0, 9), json!({}))]);
    assert_eq!(shape(&tree(&store)), ["span 9", "  span 1", "    span 2"]);
    assert!(oddities(&tree(&store)).is_empty());
}

#[test]
fn circles_are_cut_and_every_span_is_shown_once() {
    let store = store();
    let spans = [
        span(1, 1, 3, (0, 9), json!({})),
        span(1, 2, 1, (1, 9), json!({})),
        span(1, 3, 2, (2, 9), json!({})),
        span(1, 4, 4, (5, 6), json!({})),
        span(1, 5, 3, (3, 4), json!({})),
    ];
    put(&store, "shop", &spans);
    let tree = tree(&store);
    assert_eq!(shape(&tree), ["span 4", "span 1", "  span 2", "    span 3", "      span 5"]);
    assert_eq!(oddities(&tree), [Oddity::OwnParent, Oddity::Circle]);
}

#[test]
fn a_trace_of_great_depth_is_laid_without_recursion() {
    let store = store();
    let spans: Vec<_> = (1..=50_000).map(|it| span(1, it, it - 1, (it, 100_000), json!({}))).collect();
    put(&store, "shop", &spans);
    let tree = tree(&store);
    assert_eq!(tree.rows.len(), 50_000);
    assert_eq!(tree.rows.last().unwrap().depth, 49_999);
}

#[test]
fn a_span_that_was_sent_twice_is_shown_once_and_one_of_the_same_id_is_not_hidden() {
    let store = store();
    put(&store, "shop", &[span(1, 1, 0, (0, 9), json!({}))]);
    put(&store, "shop", &[span(1, 1, 0, (0, 9), json!({}))]);
    assert_eq!(shape(&tree(&store)), ["span 1"]);
    put(&store, "shop", &[span(1, 1, 0, (3, 5), json!({"name": "other"}))]);
    assert_eq!(shape(&tree(&store)), ["span 1", "other"]);
    assert_eq!(oddities(&tree(&store)), [Oddity::SameId, Oddity::SameId]);
}

#[test]
fn what_ends_before_it_begins_takes_no_time() {
    let store = store();
    put(&store, "shop", &[span(1, 1, 0, (9, 2), json!({})), span(1, 2, 1, (u64::MAX, 0), json!({}))]);
    let tree = tree(&store);
    assert_eq!(tree.rows.iter().map(|it| it.span.duration()).collect::<Vec<_>>(), [0, 0]);
    assert_eq!(oddities(&tree), [Oddity::Backwards, Oddity::Backwards]);
    let page = store.traces(&TraceFilter::default(), None, 10);
    assert_eq!(page.traces[0].start, 9);
}

#[test]
fn another_clock_is_set_right() {
    let store = store();
    put(&store, "front", &[span(1, 1, 0, (1000, 2000), json!({"kind": 3}))]);
    // A server whose clock is 5 s behind, and what it does itself.
    let (start, end) = (10, 410);
    put(
        &store,
        "back",
        &[span(1, 2, 1, (start, end), json!({"kind": 2})), span(1, 3, 2, (start + 100, end), json!({}))],
    );
    let tree = tree(&store);
    assert_eq!(shape(&tree), ["span 1", "  span 2", "    span 3"]);
    assert_eq!(oddities(&tree), [Oddity::Skewed(1290), Oddity::Skewed(1290)]);
    assert_eq!(tree.rows.iter().map(|it| it.start).collect::<Vec<_>>(), [1000, 1300, 1400]);
    assert_eq!((tree.start, tree.end), (1000, 2000));
    let page = store.traces(&TraceFilter::default(), None, 1);
    assert_eq!((page.traces[0].start, page.traces[0].duration), (1000, 1000), "the list says the same");
}

#[test]
fn what_another_process_does_later_is_no_wrong_clock() {
    let store = store();
    put(&store, "front", &[span(1, 1, 0, (1000, 2000), json!({"kind": 4}))]);
    put(&store, "worker", &[span(1, 2, 1, (5000, 6000), json!({"kind": 5}))]);
    assert!(oddities(&tree(&store)).is_empty());
    assert_eq!(tree(&store).end, 6000);
}

fn names(store: &Store, filter: &TraceFilter) -> Vec<String> {
    let page = store.traces(filter, None, 100);
    page.traces.iter().map(|it| it.trace.to_string()[..2].to_owned()).collect()
}

#[test]
fn traces_are_found_by_what_is_asked() {
    let store = store();
    let http = |route: &str, status: u64| {
        let list = attributes(&[
            ("http.request.method", json!({"stringValue": "GET"})),
            ("http.route", json!({"stringValue": route})),
            ("http.response.status_code", json!({"intValue": status})),
            ("user", json!({"stringValue": "ada"})),
        ]);
        json!({"kind": 2, "attributes": list})
    };
    put(&store, "shop", &[span(1, 1, 0, (0, 5 * SECOND), http("/items", 200))]);
    put(&store, "shop", &[span(2, 1, 0, (0, SECOND), http("/users", 503))]);
    put(&store, "bank", &[span(3, 1, 0, (0, 10), json!({"status": {"code": 2}}))]);
    let base = TraceFilter::default;
    let some = |text: &str| Some(text.to_owned());
    let attribute = |key: &str, value: Option<&str>| vec![(key.to_owned(), value.map(str::to_owned))];
    let cases: [(TraceFilter, &[&str]); 14] = [
        (base(), &["03", "02", "01"]),
        (TraceFilter { service: some("shop"), ..base() }, &["02", "01"]),
        (TraceFilter { service: some("sho"), ..base() }, &[]),
        (TraceFilter { route: some("/items"), ..base() }, &["01"]),
        (TraceFilter { route: some("span"), ..base() }, &["03", "02", "01"]),
        (TraceFilter { outcome: Some(Outcome::Failed), ..base() }, &["03", "02"]),
        (TraceFilter { outcome: Some(Outcome::Fine), ..base() }, &["01"]),
        (TraceFilter { http_status: Some((500, 599)), ..base() }, &["02"]),
        (TraceFilter { at_least: Some(SECOND), ..base() }, &["02", "01"]),
        (TraceFilter { at_least: Some(SECOND), at_most: Some(2 * SECOND), ..base() }, &["02"]),
        (TraceFilter { attributes: attribute("user", None), ..base() }, &["02", "01"]),
        (TraceFilter { attributes: attribute("http.response.status_code", Some("200")), ..base() }, &["01"]),
        (TraceFilter { attributes: attribute("service.name", Some("bank")), ..base() }, &["03"]),
        (TraceFilter { service: some("bank"), attributes: attribute("user", Some("ada")), ..base() }, &[]),
    ];
    for (filter, wanted) in cases {
        assert_eq!(names(&store, &filter), wanted, "{filter:?}");
    }
}

#[test]
fn a_list_of_traces_has_pages() {
    let store = store();
    for number in 1..=25 {
        put(&store, "shop", &[span(number, 1, 0, (0, 1), json!({}))]);
    }
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let page = store.traces(&TraceFilter::default(), before, 10);
        seen.extend(page.traces.iter().map(|it| it.trace));
        assert!(page.traces.len() <= 10);
        before = page.before;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=25).rev().map(trace).collect::<Vec<_>>());
}

#[test]
fn a_trace_is_called_by_its_first_span() {
    let store = store();
    put(&store, "shop", &[span(1, 2, 1, (3, 9), json!({"kind": 2})), span(1, 3, 2, (1, 4), json!({}))]);
    let page = store.traces(&TraceFilter::default(), None, 1);
    assert!(!page.traces[0].whole && page.traces[0].first.name.contains('2'), "a server's before all");
    put(&store, "front", &[span(1, 1, 0, (2, 11), json!({"status": {"code": 2}}))]);
    let page = store.traces(&TraceFilter::default(), None, 1);
    let summary = &page.traces[0];
    assert!(summary.whole && summary.first.name.contains('1'));
    assert_eq!((summary.start, summary.duration, summary.spans, summary.failed), (1, 10, 3, 1));
    let services: Vec<_> = summary.services.iter().map(|(name, count)| (&**name, *count)).collect();
    assert_eq!(services, [("front", 1), ("shop", 2)]);
}

#[test]
fn logs_are_found_by_what_is_asked() {
    let store = store();
    let log = |text: &str, severity: u8, more: Value| {
        let mut log = json!({"body": {"stringValue": text}, "severityNumber": severity});
        if let Value::Object(more) = more {
            log.as_object_mut().unwrap().extend(more);
        }
        log
    };
    let of_span = json!({"traceId": "01".repeat(16), "spanId": "02".repeat(8)});
    put_logs(&store, "shop", &[log("One", 9, of_span), log("two", 17, json!({}))]);
    put_logs(&store, "bank", &[log("three", 5, json!({"traceId": "01".repeat(16)}))]);
    let found = |filter: &LogFilter| -> Vec<String> {
        let logs = store.logs(filter, None, 10);
        logs.iter().map(|it| it.record().body.unwrap().to_string()).collect()
    };
    let base = LogFilter::default;
    assert_eq!(found(&base()), ["three", "two", "One"]);
    assert_eq!(found(&LogFilter { trace: Some(trace(1)), ..base() }), ["three", "One"]);
    assert_eq!(found(&LogFilter { span: "02".repeat(8).parse().ok(), ..base() }), ["One"]);
    assert_eq!(found(&LogFilter { service: Some("shop".into()), ..base() }), ["two", "One"]);
    assert_eq!(found(&LogFilter { severity: Some(9), ..base() }), ["two", "One"]);
    assert_eq!(found(&LogFilter { text: Some("oNE".into()), ..base() }), ["One"]);
    let first = store.logs(&base(), None, 1);
    assert_eq!(store.logs(&base(), Some(first[0].sequence), 10).len(), 2);
}

#[test]
fn routes_have_rate_errors_and_duration() {
    let store = store();
    let list = attributes(&[
        ("http.request.method", json!({"stringValue": "GET"})),
        ("http.route", json!({"stringValue": "/items"})),
    ]);
    let spans: Vec<_> = (1..=100)
        .map(|it| {
            let status = json!({"code": if it <= 3 { 2 } else { 0 }});
            let more = json!({"kind": 2, "status": status, "attributes": list});
            span(1, it, 0, (it * SECOND, it * SECOND + it), more)
        })
        .collect();
    put(&store, "shop", &spans);
    put(
        &store,
        "shop",
        &[span(2, 1, 0, (0, 1), json!({"kind": 3})), span(2, 2, 0, (0, 1), json!({"kind": 5}))],
    );
    let routes = store.routes(0);
    assert_eq!(routes.len(), 2, "calls of others are not ours: {routes:?}");
    let items = &routes[0];
    assert_eq!((&*items.route, items.method.as_deref()), ("/items", Some("GET")));
    assert_eq!((items.count, items.failed), (100, 3));
    assert_eq!((items.p50, items.p95, items.p99, items.longest), (50, 95, 99, 100));
    assert!((items.rate().unwrap() - 100.0 / 99.0).abs() < 0.001);
    assert_eq!((&*routes[1].route, routes[1].rate()), ("span 2", None));
    assert_eq!(store.routes(90 * SECOND + 90)[0].count, 11);
}

/// The samples of a metric's only series.
fn samples(metric: &Value) -> Vec<telemetry::Sample> {
    let store = store();
    put_metric(&store, metric);
    let series = store.series(&MetricFilter::default());
    assert_eq!(series.len(), 1);
    store.samples(series[0].series.number).unwrap()
}

fn sum(temporality: u8, monotonic: bool, points: &[(u64, u64, i64)]) -> Value {
    let point = |(start, time, value): &(u64, u64, i64)| {
        json!({
            "startTimeUnixNano": start, "timeUnixNano": time, "asInt": value.to_string()
        })
    };
    let points: Vec<_> = points.iter().map(point).collect();
    json!({"name": "m", "unit": "1", "sum":
        {"aggregationTemporality": temporality, "isMonotonic": monotonic, "dataPoints": points}})
}

#[test]
fn sums_of_either_temporality_show_what_happened_between_points() {
    let changes = |metric: &Value| samples(metric).iter().map(|it| it.change).collect::<Vec<_>>();
    let cumulative = [(1, 10, 5), (1, 20, 8), (1, 30, 8), (1, 40, 2), (45, 50, 7)];
    assert_eq!(changes(&sum(2, true, &cumulative)), [None, Some(3.0), Some(0.0), Some(2.0), Some(7.0)]);
    assert_eq!(changes(&sum(1, true, &[(1, 10, 5), (10, 20, 8)])), [Some(5.0), Some(8.0)]);
    assert_eq!(changes(&sum(2, false, &[(1, 10, 5), (1, 20, 3)])), [None, None]);
    assert_eq!(changes(&sum(0, true, &[(1, 10, 5)])), [None]);
}

#[test]
fn gauges_and_what_has_no_value() {
    let points = json!([{"timeUnixNano": 1, "asDouble": 1.5}, {"timeUnixNano": "2", "flags": 1, "asInt": 3},
        {"timeUnixNano": 3, "asDouble": "NaN"}]);
    let samples = samples(&json!({"name": "g", "gauge": {"dataPoints": points}}));
    assert_eq!((samples[0].value, samples[1].value), (Some(1.5), None));
    assert!(samples[2].value.unwrap().is_nan());
}

#[test]
fn histograms_have_percentiles_of_what_happened_between_points() {
    let point = |time: u64, counts: [u64; 4]| {
        json!({"timeUnixNano": time, "count": counts.iter().sum::<u64>(),
        "sum": 10.0 * f64::from(u32::try_from(time).unwrap()), "explicitBounds": [10, 20, 40],
        "bucketCounts": counts.map(|it| it.to_string())})
    };
    let points = [point(1, [100, 0, 0, 0]), point(2, [100, 0, 100, 0]), point(3, [100, 0, 100, 5])];
    let of = |temporality: u8| {
        samples(&json!({"name": "h", "histogram":
        {"aggregationTemporality": temporality, "dataPoints": points}}))
    };
    let cumulative = of(2);
    assert_eq!(cumulative[0].spread, None);
    let second = cumulative[1].spread.unwrap();
    assert_eq!((second.p50, second.p95, second.p99, second.mean), (30.0, 39.0, 39.8, Some(0.1)));
    let third = cumulative[2].spread.unwrap();
    assert_eq!((third.p50, third.p99), (40.0, 40.0), "beyond the last bound nothing is known");
    assert_eq!(cumulative.iter().map(|it| it.change).collect::<Vec<_>>(), [None, Some(100.0), Some(5.0)]);
    assert_eq!(of(1)[0].spread.unwrap().p50, 5.0);
}

#[test]
fn exponential_histograms_have_percentiles() {
    let point = json!({"timeUnixNano": 1, "count": 8, "scale": 0, "zeroCount": 2,
        "positive": {"offset": 1, "bucketCounts": ["4", 2]}, "negative": {"offset": -2147483648, "bucketCounts": []}});
    let metric = |point: &Value| {
        json!({"name": "e", "exponentialHistogram":
        {"aggregationTemporality": 1, "dataPoints": [point]}})
    };
    let spread = samples(&metric(&point))[0].spread.unwrap();
    // Two zeros, four from 2 to 4, two from 4 to 8.
    assert!(spread.p50 > 0.0 && spread.p50 <= 4.0, "{spread:?}");
    assert!(spread.p95 > 4.0 && spread.p99 <= 8.0, "{spread:?}");
    let absurd =
        json!({"scale": -2147483648, "count": 1, "positive": {"offset": 2147483647, "bucketCounts": [1]}});
    // Bounds beyond all numbers are no bounds.
    assert!(samples(&metric(&absurd))[0].spread.is_none_or(|it| it.p99.is_finite()));
}

#[test]
fn series_are_listed_and_their_points_are_whole() {
    let store = store();
    let point = |value: u8, host: &str| {
        json!({"asInt": value, "attributes":
        attributes(&[("host", json!({"stringValue": host}))])})
    };
    put_metric(
        &store,
        &json!({"name": "g", "unit": "By", "gauge": {"dataPoints": [point(1, "a"), point(2, "b")]}}),
    );
    put_metric(&store, &json!({"name": "g", "unit": "By", "gauge": {"dataPoints": [point(3, "a")]}}));
    put_metric(&store, &sum(2, true, &[(1, 2, 3)]));
    let all = store.series(&MetricFilter::default());
    assert_eq!(all.iter().map(|it| it.points).collect::<Vec<_>>(), [2, 1, 1]);
    assert_eq!(all[0].series.metric().unit, "By");
    assert_eq!(store.series(&MetricFilter { name: Some("m".into()), ..MetricFilter::default() }).len(), 1);
    assert!(store.series(&MetricFilter { service: Some("x".into()), ..MetricFilter::default() }).is_empty());
    let gauge = store.points(all[0].series.number).unwrap().gauge.unwrap();
    assert_eq!(gauge.data_points.iter().map(|it| it.as_int).collect::<Vec<_>>(), [Some(1), Some(3)]);
    assert!(gauge.data_points.iter().all(|it| it.attributes[0].value.as_ref().unwrap().to_string() == "a"));
    assert!(store.points(99).is_none());
}

#[test]
fn who_follows_is_told_what_came_and_what_was_lost() {
    let store = Store::new(1 << 20);
    assert_eq!(store.since(0, 10).last, 0);
    put(&store, "shop", &[span(1, 1, 0, (0, 1), json!({}))]);
    put_logs(&store, "shop", &[json!({})]);
    put_metric(&store, &sum(2, true, &[(1, 2, 3)]));
    put(&store, "shop", &[span(1, 2, 0, (0, 1), json!({}))]);
    let arrivals = store.since(0, 3);
    let kinds: Vec<_> = arrivals
        .records
        .iter()
        .map(|it| match it {
            Record::Span(_) => "span",
            Record::Log(_) => "log",
            Record::Point(_) => "point",
        })
        .collect();
    assert_eq!((kinds, arrivals.last, arrivals.lost), (vec!["span", "log", "point"], 3, 0));
    let arrivals = store.since(3, 3);
    assert_eq!((arrivals.records.len(), arrivals.last, arrivals.lost), (1, 4, 0));
    assert_eq!(store.since(4, 3).records.len(), 0);
    // A reader that was away while the store was flooded.
    let body = "b".repeat(10_000);
    for _ in 0..200 {
        put_logs(&store, "shop", &[json!({"body": {"stringValue": body}})]);
    }
    let mut after = 4;
    let (mut seen, mut lost) = (0, 0);
    loop {
        let arrivals = store.since(after, 7);
        if arrivals.last == after {
            break;
        }
        seen += arrivals.records.len() as u64;
        lost += arrivals.lost;
        after = arrivals.last;
    }
    assert_eq!(seen + lost, 200);
    assert!(lost > 50 && lost == store.counts().dropped.logs - 1, "{lost}");
}

#[test]
fn who_waits_is_woken() {
    let store = std::sync::Arc::new(store());
    let other = std::sync::Arc::clone(&store);
    let waiting = std::thread::spawn(move || other.wait(0, Instant::now() + Duration::from_secs(30)));
    put(&store, "shop", &[span(1, 1, 0, (0, 1), json!({}))]);
    assert_eq!(waiting.join().unwrap(), 1);
    assert_eq!(store.wait(1, Instant::now()), 1);
}
