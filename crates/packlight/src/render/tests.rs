//! What a person and a program see of one build, as text.

use super::*;
use std::sync::Arc;

/// Something to write to and to read afterwards.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn text_screen(style: Styles, volume: Volume) -> (Screen, Paper, Paper) {
    let (err, out) = (Paper::default(), Paper::default());
    let voice = Voice::Text(Text::new(Box::new(err.clone()), style, volume, false));
    (Screen::with(voice, Box::new(out.clone()), style), err, out)
}

fn output(text: &str) -> Event {
    Event::Output { buildpack: "packlight/python@0.1.0".into(), error: false, text: text.into() }
}

fn downloading(name: &str, received: u64, size: u64) -> Event {
    Event::Downloading { kind: "package", name: name.into(), received, size: Some(size) }
}

fn downloaded(name: &str, bytes: u64) -> Event {
    Event::Downloaded { kind: "package", name: name.into(), bytes }
}

/// A build, in short.
fn story() -> Vec<Event> {
    vec![
        Event::PhaseStarted { phase: Phase::Prepare },
        Event::PhaseFinished { phase: Phase::Prepare, seconds: 0.01 },
        Event::Notice { text: ".env is left out of the app".into() },
        Event::PhaseStarted { phase: Phase::Detect },
        Event::Detected { buildpack: "packlight/python@0.1.0".into() },
        Event::PhaseFinished { phase: Phase::Detect, seconds: 0.2 },
        Event::PhaseStarted { phase: Phase::Base },
        downloading("libc6", 500_000, 1_000_000),
        downloading("bash", 100, 200_000),
        downloaded("libc6", 1_000_000),
        downloaded("bash", 200_000),
        Event::PhaseFinished { phase: Phase::Base, seconds: 6.04 },
        Event::PhaseStarted { phase: Phase::Build },
        output("Python 3.13\n  from De"),
        output("bian\n"),
        Event::Warning { text: "a big file".into() },
        output("no end"),
        Event::PhaseFinished { phase: Phase::Build, seconds: 2.0 },
        Event::LayerExported { name: "packlight/python:venv".into(), size: 3_100_000, reused: true },
    ]
}

fn told(screen: &Screen) {
    for event in story() {
        screen.event(event);
    }
}

#[test]
fn a_build_is_told_phase_by_phase_in_plain_lines() {
    let (screen, err, out) = text_screen(Styles::PLAIN, Volume::Normal);
    told(&screen);
    insta::assert_snapshot!(err.text(), @r"
    prepare  0.0 s
    .env is left out of the app
    detect
        packlight/python@0.1.0
      0.2 s
    base
        downloaded 2 packages, 1.2 MB
      6.0 s
    build
        [python] Python 3.13
        [python]   from Debian
        warning: a big file
        [python] no end
      2.0 s
    ");
    assert_eq!(out.text(), "", "nothing of this is a result");
}

#[test]
fn colour_marks_phases_warnings_and_who_speaks() {
    let (screen, err, _) = text_screen(Styles::COLOURED, Volume::Normal);
    told(&screen);
    let text = err.text();
    assert!(text.contains("\x1b[1;32mbuild\x1b[0m\n"), "{text:?}");
    assert!(text.contains("    \x1b[2m[python]\x1b[0m Python 3.13\n"), "{text:?}");
    assert!(text.contains("    \x1b[1;33mwarning:\x1b[0m a big file\n"), "{text:?}");
}

#[test]
fn verbose_adds_every_download_and_layer() {
    let (screen, err, _) = text_screen(Styles::PLAIN, Volume::Verbose);
    told(&screen);
    let text = err.text();
    assert!(text.contains("    downloaded bash, 200.0 kB\n"), "{text}");
    assert!(text.contains("layer packlight/python:venv: 3.1 MB, unchanged\n"), "{text}");
}

#[test]
fn quiet_leaves_the_one_word_and_shows_what_was_said_when_it_fails() {
    let (screen, err, out) = text_screen(Styles::PLAIN, Volume::Quiet);
    told(&screen);
    assert_eq!(err.text(), "");
    screen.result("built", &serde_json::json!({}), |_| "long".into(), "sha256:abc");
    assert_eq!(out.text(), "sha256:abc\n");
    screen.failed(&Failure::new(
        ExitCode::BUILDPACK,
        "packlight/python@0.1.0: bin/build ended with exit code 1",
    ));
    assert!(err.text().contains("[python] no end\n"), "{}", err.text());
    assert!(err.text().ends_with("error: packlight/python@0.1.0: bin/build ended with exit code 1\n"));
}

#[test]
fn a_failure_says_what_was_wrong_who_said_so_and_what_to_do() {
    let (screen, err, out) = text_screen(Styles::PLAIN, Volume::Normal);
    let mut failure =
        Failure::new(ExitCode::NOTHING_PASSED, "no buildpack takes this app").hint("two\nlines");
    failure.details = vec!["packlight/python@0.1.0: does not take it".into(), "    no marker".into()];
    assert_eq!(screen.failed(&failure), ExitCode::NOTHING_PASSED);
    insta::assert_snapshot!(err.text(), @r"
    error: no buildpack takes this app
      packlight/python@0.1.0: does not take it
          no marker
    hint: two
          lines
    ");
    assert_eq!(out.text(), "");
}

#[test]
fn json_is_one_event_a_line_with_whole_lines_of_output_and_the_result_last() {
    let out = Paper::default();
    let screen = Screen::with(Voice::Json, Box::new(out.clone()), Styles::PLAIN);
    told(&screen);
    screen.result("removed", &serde_json::json!({"names": ["a"]}), |_| String::new(), "");
    screen.failed(&Failure::usage("no").hint("yes"));
    let text = out.text();
    let kinds: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned()
        })
        .collect();
    let count = |kind: &str| kinds.iter().filter(|it| *it == kind).count();
    assert_eq!((count("output"), count("downloading"), count("downloaded")), (3, 0, 2));
    insta::assert_snapshot!(text.lines().rev().take(3).collect::<Vec<_>>().join("\n"), @r#"
    {"event":"failed","error":"no","hint":["yes"],"exit-code":2}
    {"event":"removed","names":["a"]}
    {"event":"layer-exported","name":"packlight/python:venv","size":3100000,"reused":true}
    "#);
}

#[test]
fn a_reader_that_has_left_is_no_error() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let screen = Screen::with(Voice::Json, Box::new(Closed), Styles::PLAIN);
    told(&screen);
}

#[test]
fn timings_are_a_table_with_shares() {
    let (screen, err, _) = text_screen(Styles::PLAIN, Volume::Normal);
    screen.event(Event::PhaseFinished { phase: Phase::Base, seconds: 3.0 });
    screen.event(Event::PhaseFinished { phase: Phase::Export, seconds: 0.5 });
    screen.timings(Duration::from_secs(4));
    let table: Vec<String> = err.text().lines().skip(2).map(str::to_owned).collect();
    assert_eq!(
        table,
        [
            "base        3.000 s   75 %",
            "export      0.500 s   12 %",
            "between     0.500 s   12 %",
            "total       4.000 s  100 %",
        ]
    );
}

#[test]
fn sizes_are_short() {
    let shown: Vec<_> = [0, 999, 1000, 29_512_345, 5_000_000_000].into_iter().map(bytes).collect();
    assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "29.5 MB", "5.0 GB"]);
}

#[test]
fn what_a_terminal_would_obey_is_shown_and_not_said() {
    let (screen, err, _) = text_screen(Styles::PLAIN, Volume::Normal);
    screen.event(Event::Notice { text: "the link \u{1b}[31mred leads out".into() });
    let text = err.text();
    assert!(text.contains("the link \u{fffd}[31mred") && !text.contains('\u{1b}'), "{text}");
}
