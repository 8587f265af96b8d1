//! `packlight run --telemetry`: a real app, with a receiver beside it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::time::{Duration, Instant};
use support::*;

#[test]
fn an_apps_telemetry_is_received_beside_it() {
    build("flow-telemetry", &repository().join("examples/flask"));
    let here = free_port();
    let running = Running::start(&mut packlight([
        "run",
        "flow-telemetry",
        "--telemetry",
        "-e",
        &format!("PORT={here}"),
    ]));
    let line = running.until("the app's telemetry is at");
    let (_, page) = line.split_once("http://").unwrap();
    let (address, code) = page.trim().split_once("/#code=").unwrap();
    assert!(get(here, "/").contains("200 OK"));
    assert!(get(address.rsplit(':').next().unwrap().parse().unwrap(), "/").contains("Packlight telemetry"));
    assert_eq!(code.trim().len(), 32, "{line}");

    let dir = folder(&[]);
    let file = dir.path().join("session.jsonl");
    let deadline = Instant::now() + Duration::from_secs(60);
    let lines = loop {
        let export = ["telemetry", "export", file.to_str().unwrap(), "--from", address];
        say(&mut packlight(export)).ok();
        let lines = std::fs::read_to_string(&file).unwrap();
        // The metrics come after five seconds.
        if lines.contains("\"kind\":2") && lines.contains("http.server.request.duration") {
            break lines;
        }
        assert!(Instant::now() < deadline, "{lines}\n{}", running.printed());
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(
        lines.contains(r#""name":"GET /""#) && lines.contains(r#"{"stringValue":"flow-telemetry"}"#),
        "{lines}"
    );
    let (code, _) = running.stop("TERM");
    assert_eq!(code, Some(0));
    say(&mut packlight(["telemetry", "export", "x", "--from", address]))
        .fails(1, &["no receiver answers at"]);
}

#[test]
fn an_app_without_a_network_is_no_sender() {
    let run = ["run", "flow-telemetry", "--telemetry", "--network", "none"];
    say(&mut packlight(run)).fails(2, &["an app with --network none cannot send telemetry"]);
}
