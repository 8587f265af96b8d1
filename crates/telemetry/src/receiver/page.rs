//! The page: files that are in the program. They hold no telemetry, so anybody may load them; what they ask for is guarded.

use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY};
use hyper::{Method, Response, StatusCode};

use super::answer::{Body, whole};

macro_rules! files {
    ($($name:literal),*) => {
        /// Each with its name.
        const FILES: &[(&str, &[u8])] = &[$(($name, include_bytes!(concat!("../../page/", $name)))),*];
    };
}

files!(
    "index.html",
    "page.css",
    "page.js",
    "ask.js",
    "draw.js",
    "traces.js",
    "logs.js",
    "metrics.js",
    "receiver.js",
    "uPlot.iife.min.js",
    "uPlot.min.css"
);

/// Scripts of the page's own files and no others: what is not markup by mistake could not run either.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page; none where the request is for something else.
pub(super) fn answer(method: &Method, path: &str) -> Option<Response<Body>> {
    let name = match path.strip_prefix('/')? {
        "" => "index.html",
        name => name,
    };
    let (name, content) = FILES.iter().find(|(it, _)| *it == name)?;
    if method != Method::GET && method != Method::HEAD {
        return None;
    }
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    };
    let mut response = whole(StatusCode::OK, kind, content.to_vec());
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // Another version of the program has the same addresses.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
        FILES.iter().map(|(name, content)| (*name, std::str::from_utf8(content).unwrap()))
    }

    #[test]
    fn the_page_has_all_that_it_names_and_names_all_that_it_has() {
        let own: Vec<_> = texts().filter(|(name, _)| !name.starts_with("uPlot")).collect();
        for (name, _) in FILES.iter().filter(|(name, _)| *name != "index.html") {
            let named = own.iter().any(|(_, text)| {
                text.contains(&format!("\"{name}\"")) || text.contains(&format!("\"./{name}\""))
            });
            assert!(named, "{name} is loaded by nothing");
        }
        for (file, text) in &own {
            for import in text.split("from \"./").skip(1) {
                let name = import.split('"').next().unwrap();
                assert!(FILES.iter().any(|(it, _)| *it == name), "{file} loads {name}, which is not there");
            }
            assert!(!text.contains("http://") || *file == "receiver.js", "{file} loads from elsewhere");
        }
    }

    /// What an app says of itself is shown as text. None of these is needed, and each makes markup or code of a text.
    #[test]
    fn no_text_becomes_markup() {
        let doors = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "srcdoc",
        ];
        for (name, text) in texts().filter(|(name, _)| !name.starts_with("uPlot")) {
            for door in doors {
                assert!(!text.contains(door), "{name}: {door}");
            }
            assert!(!text.contains("<script>") && !text.contains(" onclick="), "{name}");
        }
    }

    #[test]
    fn the_page_is_small() {
        let pack = |content: &[u8]| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut packer, content).unwrap();
            packer.finish().unwrap().len()
        };
        let all: usize = FILES.iter().map(|(_, content)| pack(content)).sum();
        assert!(all < 300_000, "{all} bytes");
    }

    #[test]
    fn other_paths_are_not_the_page() {
        assert!(answer(&Method::GET, "/").is_some() && answer(&Method::HEAD, "/page.js").is_some());
        for path in ["/v1/traces", "/../Cargo.toml", "/index.htm", "//", "", "/uPlot.LICENSE"] {
            assert!(answer(&Method::GET, path).is_none(), "{path}");
        }
        assert!(answer(&Method::POST, "/").is_none());
    }
}
