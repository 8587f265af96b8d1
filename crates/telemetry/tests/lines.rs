//! OTLP JSON lines, out and in.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::Value;
use telemetry::{ImportError, Imported, Store};

/// One of everything, as a Collector writes it.
const LINES: &str = include_str!("lines.jsonl");

fn import(text: &str) -> (Store, Result<Imported, ImportError>) {
    let store = Store::new(64 << 20);
    let imported = store.import(&mut text.as_bytes());
    (store, imported)
}

fn export(store: &Store) -> String {
    let mut lines = Vec::new();
    store.export(&mut lines).unwrap();
    String::from_utf8(lines).unwrap()
}

#[test]
fn what_was_imported_is_exported_to_the_last_field() {
    let (store, imported) = import(LINES);
    assert_eq!(imported.unwrap(), Imported { lines: 3, records: 9, rejected: 0 });
    let lines = export(&store);
    let parse = |text: &str| text.lines().map(|it| serde_json::from_str(it).unwrap()).collect::<Vec<Value>>();
    assert_eq!(parse(&lines), parse(LINES));
    let (again, _) = import(&lines);
    assert_eq!(export(&again), lines);
}

#[test]
fn an_empty_store_writes_nothing() {
    assert_eq!(export(&import("").0), "");
    assert_eq!(export(&import("\n  \n").0), "");
}

#[test]
fn a_line_that_is_wrong_is_named_and_those_before_it_are_kept() {
    let first = LINES.lines().next().unwrap();
    for (bad, what) in [
        ("{\"resourceSpans\":[", "line 2: the body is not OTLP in JSON: EOF"),
        ("{}", "line 2: it has none of resourceSpans, resourceMetrics and resourceLogs"),
        ("{\"resourceSpans\":7}", "line 2: the body is not OTLP in JSON: invalid type"),
        ("\u{1}", "line 2: the body is not OTLP in JSON"),
    ] {
        let (store, imported) = import(&format!("{first}\n{bad}\n{first}\n"));
        let error = imported.unwrap_err().to_string();
        assert!(error.starts_with(what), "{error}");
        assert_eq!(store.counts().spans, 2, "{bad}");
    }
}

#[test]
fn a_line_without_end_is_refused() {
    let line = format!("{{\"resourceSpans\":[{}]}}", " ".repeat(17 << 20));
    let error = import(&line).1.unwrap_err();
    assert_eq!(error.to_string(), "line 1: it is longer than 16 MiB");
}
