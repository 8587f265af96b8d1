use std::time::Instant;

use super::*;
use crate::decode::{Encoding, Signal, decode};

const MIB: usize = 1 << 20;

/// One span of a trace that has that number, with a name of that length.
fn span(trace: u32, id: u32, name: usize) -> String {
    let name = "n".repeat(name);
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"s{}"}}}}]}},
        "scopeSpans":[{{"spans":[{{"traceId":"{trace:032x}","spanId":"{id:016x}","name":"{name}{id}"}}]}}]}}]}}"#,
        trace % 7
    )
}

fn log(number: u32, body: usize) -> String {
    let body = "b".repeat(body);
    format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"scope":{{"name":"{number}"}},"logRecords":[{{"body":{{"stringValue":"{body}"}}}}]}}]}}]}}"#
    )
}

/// One point of a metric, with an attribute of that length that varies.
fn point(number: u32, attribute: usize) -> String {
    let value = "v".repeat(attribute);
    format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m{}","gauge":{{"dataPoints":[{{"asInt":1,
        "attributes":[{{"key":"k","value":{{"stringValue":"{value}{number}"}}}}]}}]}}}}]}}]}}]}}"#,
        number % 3
    )
}

fn put(store: &Store, signal: Signal, json: &str) {
    store.keep(decode(signal, Encoding::Json, json.as_bytes()).unwrap());
}

#[test]
fn the_oldest_traces_make_room_as_wholes() {
    let store = Store::new(MIB);
    for number in 1..=3000 {
        // Two spans of each trace, the second when others have come between.
        put(&store, Signal::Traces, &span(number, 1, 500));
        if number > 10 {
            put(&store, Signal::Traces, &span(number - 10, 2, 500));
        }
        let counts = store.counts();
        assert!(counts.bytes <= counts.limit, "{counts:?}");
    }
    let counts = store.counts();
    assert!(counts.dropped.traces > 1000 && counts.traces > 100, "{counts:?}");
    assert_eq!(counts.spans + counts.dropped.spans, 3000 + 2990);
    assert_eq!(counts.traces + counts.dropped.traces, 3000);
    let kept = store.lock();
    let oldest = kept.traces.since(0).map(|it| it.trace).min().unwrap();
    let number = u128::from_be_bytes(oldest.bytes().try_into().unwrap());
    assert_eq!(u64::try_from(number).unwrap(), counts.dropped.traces + 1);
    let two = kept.traces.since(0).filter(|it| it.trace == oldest).count();
    assert_eq!(two, 2, "a trace is never kept in part");
}

#[test]
fn a_flood_of_one_kind_does_not_push_out_the_others() {
    let store = Store::new(MIB);
    put(&store, Signal::Traces, &span(1, 1, 1000));
    put(&store, Signal::Metrics, &point(1, 1000));
    for number in 0..3000 {
        put(&store, Signal::Logs, &log(number, 1000));
    }
    let counts = store.counts();
    assert_eq!((counts.spans, counts.points), (1, 1), "{counts:?}");
    assert_eq!(counts.logs + counts.dropped.logs, 3000);
    assert!(counts.dropped.logs > 1000 && counts.bytes <= counts.limit, "{counts:?}");
    for number in 0..9000 {
        put(&store, Signal::Metrics, &point(number, 100));
    }
    let counts = store.counts();
    assert!(counts.spans == 1 && counts.dropped.points > 100 && counts.logs > 100, "{counts:?}");
    assert!(counts.bytes <= counts.limit, "{counts:?}");
}

#[test]
fn a_trace_without_end_does_not_push_out_the_others() {
    let store = Store::new(MIB);
    put(&store, Signal::Traces, &span(1, 1, 1000));
    for id in 1..=5000 {
        put(&store, Signal::Traces, &span(2, id, 1000));
    }
    let counts = store.counts();
    assert_eq!((counts.traces, counts.dropped.traces), (2, 0), "{counts:?}");
    assert_eq!(counts.spans + counts.dropped.spans, 5001);
}

/// What records share is given back with the last of them; else names that vary would fill the memory.
#[test]
fn nothing_is_left_of_what_was_dropped() {
    let store = Store::new(MIB);
    for number in 1..=2000 {
        put(&store, Signal::Traces, &span(number, number, 2000));
        put(&store, Signal::Logs, &log(number, 2000));
        put(&store, Signal::Metrics, &point(number, 2000));
    }
    let mut kept = store.lock();
    kept.limit = 0;
    kept.make_room();
    assert_eq!(kept.bytes(), 0, "{:?}", kept.counts());
    assert_eq!(kept.origins.iter().count(), 0);
    drop(kept);
    assert!(store.services().is_empty());
}

#[test]
fn a_reader_keeps_what_it_was_handed() {
    let store = Store::new(MIB);
    put(&store, Signal::Traces, &span(1, 1, 10));
    let held = store.wait_for_span(&WantedSpan::default(), Instant::now()).unwrap();
    let mut kept = store.lock();
    kept.limit = 0;
    kept.make_room();
    drop(kept);
    assert_eq!(held.span().name, "nnnnnnnnnn1");
    assert_eq!(&**held.source.origin().service(), "s1");
    drop(held);
    store.lock().sweep();
    assert_eq!(store.lock().bytes(), 0);
}

/// A kind of metric that changes its type, unit or temporality is another series; the order of attributes is none.
#[test]
fn series_are_told_apart() {
    let store = Store::new(MIB);
    let metric = |data: &str| {
        let json =
            format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m",{data}}}]}}]}}]}}"#);
        put(&store, Signal::Metrics, &json);
        store.lock().metrics.series().count()
    };
    let points = |attributes: &str| format!(r#"{{"dataPoints":[{{"asInt":1,"attributes":[{attributes}]}}]"#);
    let (a, b) = (r#"{"key":"a","value":{"intValue":1}}"#, r#"{"key":"b","value":{"intValue":1}}"#);
    assert_eq!(metric(&format!(r#""gauge":{}}}"#, points(a))), 1);
    assert_eq!(metric(&format!(r#""gauge":{}}}"#, points(a))), 1);
    assert_eq!(metric(&format!(r#""gauge":{}}}"#, points(&format!("{a},{b}")))), 2);
    assert_eq!(metric(&format!(r#""gauge":{}}}"#, points(&format!("{b},{a}")))), 2);
    assert_eq!(metric(&format!(r#""sum":{},"aggregationTemporality":1}}"#, points(a))), 3);
    assert_eq!(metric(&format!(r#""sum":{},"aggregationTemporality":2}}"#, points(a))), 4);
    assert_eq!(metric(&format!(r#""unit":"s","gauge":{}}}"#, points(a))), 5);
    assert_eq!(store.counts().points, 7);
}
