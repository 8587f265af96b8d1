//! Questions with one answer.

use serde_json::{Value, json};

use super::Wrong;
use super::shape;
use crate::query::{LogFilter, MetricFilter, Outcome, TraceFilter};
use crate::receiver::Shared;

/// How many of a list are sent where nobody says, and at most.
const USUAL: usize = 100;
const MOST: usize = 1000;

/// What stands behind the question mark. A name that no question knows is an error: a misspelt filter would find too much.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Every value of that name.
    fn all(&mut self, name: &str) -> Vec<String> {
        let found = self.0.extract_if(.., |(it, _)| it == name);
        found.map(|(_, value)| value).collect()
    }

    /// The value of that name; an empty one is none.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.all(name).pop().filter(|it| !it.is_empty())
    }

    pub(super) fn read<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>, Wrong> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Wrong::request(format!("{name}: {text:?} cannot be read")))
    }

    fn duration(&mut self, name: &str) -> Result<Option<u64>, Wrong> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let how = || Wrong::request(format!("{name}: {text:?} is no duration, such as 250ms, 1.5s or 2m"));
        nanoseconds(&text).map(Some).ok_or_else(how)
    }

    fn limit(&mut self) -> Result<usize, Wrong> {
        Ok(self.read("limit")?.unwrap_or(USUAL).min(MOST))
    }

    /// All were asked for.
    pub(super) fn end(&self) -> Result<(), Wrong> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Wrong::request(format!("{name} is not asked here"))),
        }
    }
}

/// A number and its unit.
fn nanoseconds(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 6e10,
        "h" => 3.6e12,
        _ => return None,
    };
    let value = number.parse::<f64>().ok()? * scale;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    (0.0..=1e18).contains(&value).then_some(value as u64)
}

/// The answer to what is asked of a path.
pub(super) fn answer(path: &str, mut asked: Parameters, shared: &Shared) -> Result<Value, Wrong> {
    match path.split_once('/') {
        None => match path {
            "status" => asked.end().map(|()| shape::status(shared)),
            "traces" => traces(asked, shared),
            "logs" => logs(asked, shared),
            "series" => series(asked, shared),
            "routes" => {
                let since = asked.read("since")?.unwrap_or(0);
                asked.end()?;
                let routes: Vec<_> = shared.store.routes(since).iter().map(shape::route).collect();
                Ok(json!({ "routes": routes }))
            }
            _ => Err(Wrong::missing(format!("/api/v1/{path} is not there"))),
        },
        Some(("traces", id)) => {
            asked.end()?;
            let id = id.parse().map_err(|it| Wrong::request(format!("{id:?}: {it}")))?;
            let tree = shared.store.tree(id);
            Ok(shape::tree(&tree.ok_or_else(|| Wrong::missing(format!("trace {id} is not kept")))?))
        }
        Some(("series", number)) => {
            asked.end()?;
            let gone = || Wrong::missing(format!("series {number:?} is not kept"));
            let number = number.parse().map_err(|_| gone())?;
            let metric = shared.store.points(number).ok_or_else(gone)?;
            let samples = shared.store.samples(number).ok_or_else(gone)?;
            let samples: Vec<_> = samples.iter().map(shape::sample).collect();
            Ok(json!({ "metric": metric, "samples": samples }))
        }
        Some(_) => Err(Wrong::missing(format!("/api/v1/{path} is not there"))),
    }
}

fn traces(mut asked: Parameters, shared: &Shared) -> Result<Value, Wrong> {
    let outcome = match asked.text("outcome").as_deref() {
        None => None,
        Some("failed") => Some(Outcome::Failed),
        Some("fine") => Some(Outcome::Fine),
        Some(other) => return Err(Wrong::request(format!("outcome: {other:?} is neither failed nor fine"))),
    };
    let attribute = |text: String| match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (text, None),
    };
    let filter = TraceFilter {
        service: asked.text("service"),
        route: asked.text("route"),
        outcome,
        http_status: statuses(&mut asked)?,
        at_least: asked.duration("at-least")?,
        at_most: asked.duration("at-most")?,
        attributes: asked.all("attribute").into_iter().map(attribute).collect(),
    };
    let (before, limit) = (asked.read("before")?, asked.limit()?);
    asked.end()?;
    let page = shared.store.traces(&filter, before, limit);
    let traces: Vec<_> = page.traces.iter().map(shape::summary).collect();
    Ok(json!({ "traces": traces, "before": page.before }))
}

/// `404`, or `500-599`.
fn statuses(asked: &mut Parameters) -> Result<Option<(u16, u16)>, Wrong> {
    let Some(text) = asked.text("status") else { return Ok(None) };
    let (from, to) = text.split_once('-').unwrap_or((&text, &text));
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) => Ok(Some((from, to))),
        _ => Err(Wrong::request(format!("status: {text:?} is no status, such as 404 or 500-599"))),
    }
}

fn logs(mut asked: Parameters, shared: &Shared) -> Result<Value, Wrong> {
    let filter = LogFilter {
        trace: asked.read("trace")?,
        span: asked.read("span")?,
        service: asked.text("service"),
        severity: asked.read("severity")?,
        text: asked.text("text"),
    };
    let (before, limit) = (asked.read("before")?, asked.limit()?);
    asked.end()?;
    let logs = shared.store.logs(&filter, before, limit);
    let next = logs.last().filter(|_| logs.len() == limit).map(|it| it.sequence);
    Ok(json!({ "logs": logs.iter().map(|it| shape::log(it)).collect::<Vec<_>>(), "before": next }))
}

fn series(mut asked: Parameters, shared: &Shared) -> Result<Value, Wrong> {
    let filter = MetricFilter { service: asked.text("service"), name: asked.text("name") };
    asked.end()?;
    let series: Vec<_> = shared.store.series(&filter).iter().map(shape::series).collect();
    Ok(json!({ "series": series }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(nanoseconds("250ms"), Some(250_000_000));
        assert_eq!(nanoseconds("1.5s"), Some(1_500_000_000));
        assert_eq!(nanoseconds("2m"), Some(120_000_000_000));
        assert_eq!(nanoseconds("7ns"), Some(7));
        for text in ["", "5", "s", "-1s", "1e9s", "1 s", "1.2.3s", "99999999999999h"] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
    }
}
