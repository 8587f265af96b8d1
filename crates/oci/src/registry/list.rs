//! Lists: tags and repositories, page by page.

use serde::Deserialize;

use super::{
    Error,
    client::{Client, Request, Task, To},
    error::Problem,
    manifests::parse,
    site::{Site, adopt},
};
use crate::ImageName;

/// A list that goes on longer is a registry's mistake.
const MAX_PAGES: usize = 10_000;

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Catalog {
    #[serde(default)]
    repositories: Option<Vec<String>>,
}

impl Client {
    /// The tags of a name's repository, as the registry orders them.
    ///
    /// # Errors
    /// When there is no such repository, or the registry can't be asked.
    pub fn tags(&self, name: &ImageName) -> Result<Vec<String>, Error> {
        let task = self.task(name, "pull", "list the tags".to_owned());
        let mut all = Vec::new();
        self.pages(&task, task.path("tags/list"), |page| {
            let page: Tags = parse(&task, "the list of tags", page)?;
            all.extend(page.tags.unwrap_or_default());
            Ok(())
        })?;
        Ok(all)
    }

    /// The repositories of a registry, as far as it tells: not every one has such a list.
    ///
    /// # Errors
    /// When the registry has no list for this user.
    pub fn repositories(&self, registry: &str) -> Result<Vec<String>, Error> {
        let task = Task {
            site: Site::of(&self.settings, registry),
            repository: String::new(),
            scopes: vec!["registry:catalog:*".to_owned()],
            asked: "list the repositories".to_owned(),
        };
        let mut all = Vec::new();
        self.pages(&task, "_catalog".to_owned(), |page| {
            let page: Catalog = parse(&task, "the list of repositories", page)?;
            all.extend(page.repositories.unwrap_or_default());
            Ok(())
        })?;
        Ok(all)
    }

    /// Reads a list to its end, in pages as long as the registry likes: some refuse a number above their own.
    pub(super) fn pages(
        &self,
        task: &Task,
        path: String,
        mut page: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut to = To::Path(path);
        for _ in 0..MAX_PAGES {
            let request = || Request { to: to.clone(), ..Request::get(String::new()) };
            let (heads, json) = self.document(task, request, "the list")?;
            page(&json)?;
            match heads.link.as_deref().and_then(next_of) {
                None => return Ok(()),
                Some(link) => {
                    to = To::Url(adopt(&heads.url, link).ok_or_else(|| task.error(no_page()))?);
                    // What was asked last would be asked for ever.
                    if matches!(&to, To::Url(url) if *url == heads.url) {
                        return Err(task.error(no_page()));
                    }
                }
            }
        }
        Err(task.error(no_page()))
    }
}

fn no_page() -> Problem {
    Problem::BadAnswer("its list has no end".to_owned())
}

/// The target of `Link: <target>; rel="next"`.
pub(super) fn next_of(link: &str) -> Option<&str> {
    link.split(',').find_map(|one| {
        let (target, rest) = one.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = rest.split(';').any(|it| matches!(it.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_where_the_link_says() {
        assert_eq!(next_of("</v2/_catalog?last=a&n=2>; rel=\"next\""), Some("/v2/_catalog?last=a&n=2"));
        assert_eq!(next_of("<a>; rel=\"prev\", <b>; title=x; rel=next"), Some("b"));
        for none in ["", "<a>", "<a; rel=\"next\"", "</x>; rel=\"last\""] {
            assert_eq!(next_of(none), None, "{none}");
        }
    }
}
