//! The requests of a rebase as the registry's log has them, counted, and sent again by the plainest client.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::fleet::{self, Fleet};
use crate::Result;
use crate::beside::Beside;
use crate::http::Http;

/// The registry's log of what it answered.
pub(super) struct Log(PathBuf);

impl Log {
    pub(super) fn of(beside: &Beside) -> Result<Self> {
        let path = beside.room.join("registry.log");
        if path.is_file() { Ok(Self(path)) } else { Err(format!("{} is not there", path.display()).into()) }
    }

    /// What is logged from now on.
    pub(super) fn since_now(&self) -> Result<Requests> {
        let mut file = File::open(&self.0)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Requests { file, of: BTreeMap::new() })
    }
}

/// Requests, in order, by repository.
pub(super) struct Requests {
    file: File,
    of: BTreeMap<String, Vec<Line>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    method: String,
    /// Path and query.
    path: String,
    status: u16,
}

impl Requests {
    /// Reads what has been logged since, of the client that says to be `agent`.
    pub(super) fn read(&mut self, agent: &str) -> Result<()> {
        let mut text = String::new();
        self.file.read_to_string(&mut text)?;
        for line in text.lines().filter(|it| it.contains(agent)).filter_map(parse) {
            if let Some(repository) = repository(&line.path) {
                self.of.entry(repository.to_owned()).or_default().push(line);
            }
        }
        Ok(())
    }
}

/// One line in the format that web servers have.
fn parse(line: &str) -> Option<Line> {
    let mut quoted = line.split('"');
    let mut request = quoted.nth(1)?.split(' ');
    let (method, path) = (request.next()?.to_owned(), request.next()?.to_owned());
    request.next()?.starts_with("HTTP/").then_some(())?;
    let status = quoted.next()?.split_whitespace().next()?.parse().ok()?;
    Some(Line { method, path, status })
}

fn repository(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/v2/")?;
    let end = ["/manifests/", "/blobs/"].iter().filter_map(|it| rest.find(it)).min()?;
    Some(&rest[..end])
}

/// What a request is for, for people.
fn kind(line: &Line) -> &'static str {
    match line.method.as_str() {
        "GET" if line.path.contains("/manifests/") => "GET a manifest",
        "GET" => "GET a configuration",
        "HEAD" if line.path.contains("/manifests/") => "HEAD a manifest",
        "HEAD" => "HEAD a blob",
        "POST" if line.path.contains("mount=") => "POST, a layer from another repository",
        "POST" => "POST, begin an upload",
        "PUT" if line.path.contains("/manifests/") => "PUT the manifest",
        "PUT" => "PUT the configuration",
        _ => "others",
    }
}

/// The requests of a fleet, ready to be sent for another fleet of the same images.
pub(super) struct Replay<'a> {
    recorded: &'a Fleet,
    requests: &'a Requests,
    /// What was put, by digest; manifests by repository.
    blobs: HashMap<String, Vec<u8>>,
    manifests: HashMap<String, (String, Vec<u8>)>,
}

impl<'a> Replay<'a> {
    pub(super) fn of(recorded: &'a Fleet, requests: &'a Requests) -> Result<Self> {
        let mut replay = Self { recorded, requests, blobs: HashMap::new(), manifests: HashMap::new() };
        let mut http = Http::connect(&recorded.registry)?;
        for at in 0..recorded.len() {
            let repository = recorded.repository(at);
            let lines = requests.of.get(&repository);
            let ends_well = lines.and_then(|it| it.last()).is_some_and(|it| kind(it) == "PUT the manifest");
            if !ends_well {
                return Err(format!("the log has no end of {repository}: {lines:?}").into());
            }
            let manifest = fleet::bytes(&mut http, &format!("/v2/{repository}/manifests/latest"))?;
            let value: serde_json::Value = serde_json::from_slice(&manifest)?;
            let text = |it: &serde_json::Value| it.as_str().unwrap_or_default().to_owned();
            let config = text(&value["config"]["digest"]);
            let bytes = fleet::bytes(&mut http, &format!("/v2/{repository}/blobs/{config}"))?;
            replay.blobs.insert(config, bytes);
            replay.manifests.insert(repository, (text(&value["mediaType"]), manifest));
        }
        Ok(replay)
    }

    /// How many requests there were, and which.
    pub(super) fn tell(&self) -> String {
        let own = |name: &str| name.starts_with(&self.recorded.prefix);
        let mut counts: BTreeMap<(bool, &str), usize> = BTreeMap::new();
        let mut all = 0;
        for (name, lines) in &self.requests.of {
            all += lines.len();
            for line in lines {
                *counts.entry((own(name), kind(line))).or_default() += 1;
            }
        }
        let images = self.recorded.len();
        let mut text = format!("   {:.3} requests for each image:", all as f64 / images as f64);
        for ((own, kind), count) in &counts {
            let each = *count as f64 / images as f64;
            let whose = if *own { "" } else { ", of the run image's repository" };
            text.push_str(&if *own {
                format!("\n     {each:>6.3}  {kind}")
            } else {
                format!("\n     {count} in all  {kind}{whose}")
            });
        }
        text
    }

    /// Sends them all for another fleet, as many at a time as packlight does.
    pub(super) fn run(&self, fleet: &Fleet) -> Result<Duration> {
        let begin = Instant::now();
        let mut http = Http::connect(&fleet.registry)?;
        let others = self.requests.of.iter().filter(|(name, _)| !name.starts_with(&self.recorded.prefix));
        for line in others.flat_map(|it| it.1) {
            http.ask(&line.method, &line.path, ("", b""))?.must_be(&[line.status], &line.path)?;
        }
        fleet::each(fleet, &|http, at| self.one(http, &self.recorded.repository(at), &fleet.repository(at)))?;
        Ok(begin.elapsed())
    }

    fn one(&self, http: &mut Http, from: &str, to: &str) -> Result<()> {
        let mut location = String::new();
        for line in self.requests.of.get(from).into_iter().flatten() {
            let mut path = line.path.replacen(from, to, 1);
            let mut content: (&str, &[u8]) = ("", b"");
            if line.method == "PUT" && path.contains("/manifests/") {
                let (kind, bytes) = &self.manifests[from];
                content = (kind, bytes);
            } else if line.method == "PUT" {
                let digest = path.split("digest=").nth(1).unwrap_or_default().replace("%3A", ":");
                let digest = digest.split('&').next().unwrap_or_default();
                let bytes = self.blobs.get(digest).ok_or_else(|| format!("{path} puts what is not kept"))?;
                path = format!("{location}&digest={digest}");
                content = ("application/octet-stream", bytes);
            }
            let answer = http.ask(&line.method, &path, content)?.must_be(&[line.status], &path)?;
            // Where an upload goes on; a layer that is taken from elsewhere, meanwhile, is said to be somewhere too.
            if answer.status == 202 {
                location = answer.location;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_a_request_of_a_repository() {
        let line = parse(
            r#"127.0.0.1 - - [26/Nov/2026:05:37:05 +0000] "POST /v2/a/b/blobs/uploads/?mount=x&from=c HTTP/1.1" 201 0 "" "packlight""#,
        )
        .unwrap();
        assert_eq!((line.method.as_str(), line.status), ("POST", 201));
        assert_eq!(repository(&line.path), Some("a/b"));
        assert_eq!(kind(&line), "POST, a layer from another repository");
        assert_eq!(parse("time=\"2026\" level=error msg=\"response\" x"), None);
        assert_eq!(repository("/v2/"), None);
    }
}
