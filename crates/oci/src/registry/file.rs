//! A file of any web server, by its address: the way there is that to registries (proxies, authorities, patience), their
//! credentials are not taken along.

use std::{
    fs::File,
    io::{self, Read, Seek as _, Write as _},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ureq::http::Method;
use url::Url;

use super::{
    Client, Problem, Secret,
    client::problem_of,
    transport::{Answer, Body, Outgoing, read_fault, server},
};

/// A file that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct FileRequest<'a> {
    /// Its address: `https://` or `http://`. A name and password in it are for its server alone.
    pub url: &'a str,
    /// The `ETag` of the file that is here already.
    pub etag: Option<&'a str>,
    /// More bytes are not taken.
    pub limit: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The file is the one that is here already.
    Unchanged,
    /// It has been written.
    Written {
        /// How the server calls this state of it.
        etag: Option<String>,
    },
}

/// A file that could not be had. Addresses are told without what may be a secret in them.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is no address of the web.
    #[error("{0} is no address of a file; it looks like https://example.com/name.cnb")]
    Address(String),
    /// Another answer than a file.
    #[error("{place}: the server answered with status {status}{}", hint(*status))]
    Status {
        /// The address.
        place: String,
        /// HTTP's number.
        status: u16,
    },
    /// It has too many bytes.
    #[error("{place}: it has more than {} MiB, which is more than is taken", limit >> 20)]
    TooLarge {
        /// The address.
        place: String,
        /// In bytes.
        limit: u64,
    },
    /// The server cannot be reached.
    #[error("{place}: {problem}")]
    Unreachable {
        /// The address.
        place: String,
        /// Why.
        problem: Problem,
    },
    /// It cannot be written here.
    #[error(transparent)]
    Write(#[from] io::Error),
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; it wants to know who asks: https://NAME:PASSWORD@HOST/… says so",
        404 | 410 => "; check the address",
        _ => "",
    }
}

/// What ends one try.
enum End {
    Broken(Problem),
    Final(FileError),
}

impl Client {
    /// Writes a file of the web into `to`, in place of what is in it. `moved` is told of bytes so far and, where it is
    /// known, in all.
    ///
    /// # Errors
    /// When it cannot be had whole; what is in `to` then is worth nothing.
    pub fn file(
        &self,
        request: FileRequest<'_>,
        to: &mut File,
        moved: &dyn Fn(u64, Option<u64>),
    ) -> Result<Fetched, FileError> {
        let url = Url::parse(request.url).ok().filter(|it| matches!(it.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| FileError::Address(shown(request.url)))?;
        let place = shown(request.url);
        let mut tries = 1;
        loop {
            match self.try_file(&url, &request, to, moved) {
                Ok(fetched) => return Ok(fetched),
                Err(End::Final(error)) => return Err(error),
                Err(End::Broken(problem)) if tries < self.settings.retry.tries => {
                    let asked = problem.may_pass().unwrap_or_default();
                    std::thread::sleep(asked.max(self.settings.retry.pause(tries)));
                    tries += 1;
                }
                Err(End::Broken(problem)) => {
                    return Err(FileError::Unreachable { place, problem: problem.after(tries) });
                }
            }
        }
    }

    fn try_file(
        &self,
        url: &Url,
        request: &FileRequest<'_>,
        to: &mut File,
        moved: &dyn Fn(u64, Option<u64>),
    ) -> Result<Fetched, End> {
        let place = || shown(request.url);
        // It was asked as often as makes sense.
        let unreachable = |problem| End::Final(FileError::Unreachable { place: place(), problem });
        let answer = self.ask_for(url, request.etag).map_err(unreachable)?;
        match answer.status {
            200 => {}
            304 if request.etag.is_some() => return Ok(Fetched::Unchanged),
            status => return Err(End::Final(FileError::Status { place: place(), status })),
        }
        let too_large = || End::Final(FileError::TooLarge { place: place(), limit: request.limit });
        let size = answer.header("content-length").and_then(|it| it.parse::<u64>().ok());
        if size.is_some_and(|it| it > request.limit) {
            return Err(too_large());
        }
        let etag = answer.header("etag").map(str::to_owned);
        let write = |error: io::Error| End::Final(FileError::Write(error));
        to.rewind().and_then(|()| to.set_len(0)).map_err(write)?;
        let mut reader = answer.body.into_reader().take(request.limit + 1);
        let (mut buffer, mut sum) = (vec![0; 64 << 10], 0);
        loop {
            let got =
                reader.read(&mut buffer).map_err(|error| End::Broken(problem_of(read_fault(&error), 1)))?;
            if got == 0 {
                break;
            }
            sum += got as u64;
            to.write_all(&buffer[..got]).map_err(write)?;
            moved(sum, size);
        }
        match size {
            _ if sum > request.limit => Err(too_large()),
            Some(size) if sum != size => {
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the answer ended too early");
                Err(End::Broken(problem_of(read_fault(&error), 1)))
            }
            _ => Ok(Fetched::Written { etag }),
        }
    }

    fn ask_for(&self, url: &Url, etag: Option<&str>) -> Result<Answer, Problem> {
        let login = (!url.username().is_empty()).then(|| {
            let decoded =
                |it: &str| percent_encoding::percent_decode_str(it).decode_utf8_lossy().into_owned();
            let text = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
            Secret::new(format!("Basic {}", BASE64_STANDARD.encode(text)))
        });
        let mut bare = url.clone();
        // Neither fails for an address of the web.
        let _ = (bare.set_username(""), bare.set_password(None));
        bare.set_fragment(None);
        let headers: Vec<_> = etag.map(|it| ("If-None-Match", it.to_owned())).into_iter().collect();
        self.steadily(self.settings.retry.tries, || {
            self.transport.send(&Outgoing {
                method: Method::GET,
                url: bare.clone(),
                headers: &headers,
                authorization: login.as_ref(),
                body: Body::None,
                strict: true,
            })
        })
    }
}

/// An address without its login and without what stands behind `?`, which may be a key.
#[must_use]
pub fn shown(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) => format!("{}://{}{}", url.scheme(), server(&url), url.path()),
        Err(_) => text.split(['?', '#']).next().unwrap_or_default().to_owned(),
    }
}
