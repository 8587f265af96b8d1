//! The flags of `packlight build` that say where the next build finds what this one leaves, in `pack`'s words.

use crate::failure::Failure;
use clap::Args;
use platform::ImageName;
use platform::build::BuildCache;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(next_help_heading = "A cache for other machines")]
pub(super) struct CacheArguments {
    /// Keep cached layers in this image of a registry, too; with --publish
    #[arg(long, value_name = "IMAGE", conflicts_with = "cache")]
    cache_image: Option<String>,
    /// Keep cached layers elsewhere: 'type=build;format=image;name=IMAGE' (with --publish) or
    /// 'type=build;format=bind;source=DIR'
    #[arg(long, value_name = "CACHE", value_parser = parse)]
    cache: Vec<Asked>,
}

/// One `--cache`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// The store keeps it anyway.
    Own,
    Image(String),
    Folder(PathBuf),
}

/// Whether the image goes to a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    Yes,
    No,
}

impl CacheArguments {
    pub(super) fn cache(&self, published: Published, default_registry: &str) -> Result<BuildCache, Failure> {
        let given = self.cache_image.iter().map(|it| Asked::Image(it.clone())).chain(self.cache.clone());
        let mut wanted = given.filter(|it| *it != Asked::Own);
        let cache = match wanted.next() {
            None => BuildCache::Store,
            Some(Asked::Image(_)) if published == Published::No => {
                return Err(Failure::usage("a cache image goes with --publish, as with pack"));
            }
            Some(Asked::Image(name)) => BuildCache::Image(ImageName::parse(&name, default_registry)?),
            // As pack has it, which keeps the one of the build in a folder of its own.
            Some(Asked::Folder(dir)) => BuildCache::Folder(dir.join("build-cache")),
            Some(Asked::Own) => BuildCache::Store,
        };
        match wanted.next() {
            None => Ok(cache),
            Some(_) => Err(Failure::usage("a build has one cache; --cache names two")),
        }
    }
}

/// `type=build;format=image;name=…`: pairs in any order, names whatever their case.
fn parse(text: &str) -> Result<Asked, String> {
    let (mut kind, mut format, mut place) = ("build", "volume", None);
    for field in text.split(';').filter(|it| !it.is_empty()) {
        let (key, value) = field.split_once('=').ok_or_else(|| format!("`{field}` is no KEY=VALUE"))?;
        match (&*key.to_lowercase(), value) {
            ("type", "build" | "launch") => kind = value,
            ("format", "image" | "volume" | "bind") => format = value,
            ("name" | "source", _) => place = Some(value).filter(|it| !it.is_empty()),
            ("type", _) => return Err(format!("there is no type `{value}`: there are build and launch")),
            ("format", _) => {
                return Err(format!("there is no format `{value}`: there are image, volume and bind"));
            }
            _ => return Err(format!("`{key}` is none of type, format, name and source")),
        }
    }
    match (kind, format, place) {
        // The store has every layer of an image that it needs.
        ("launch", "volume", _) | (_, "volume", None) => Ok(Asked::Own),
        ("launch", ..) => Err("the layers of images are kept in the store; leave type=launch out".to_owned()),
        (_, "volume", Some(name)) => Err(format!(
            "`{name}` is a volume of a Docker engine, which Packlight does not use; format=bind;source=DIR keeps the cache in a folder"
        )),
        (_, "image", None) => Err("format=image lacks the image's name: name=IMAGE".to_owned()),
        (_, "image", Some(name)) => Ok(Asked::Image(name.to_owned())),
        (_, _, None) => Err("format=bind lacks the folder: source=DIR".to_owned()),
        (_, _, Some(dir)) => {
            let dir = std::path::absolute(Path::new(dir)).map_err(|error| error.to_string())?;
            Ok(Asked::Folder(dir))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_said_as_with_pack() {
        assert_eq!(parse("type=build;format=image;name=r.io/c"), Ok(Asked::Image("r.io/c".to_owned())));
        assert_eq!(parse("Format=bind;SOURCE=/c;type=build"), Ok(Asked::Folder("/c".into())));
        for own in ["type=build", "type=launch;format=volume;name=x", "format=volume"] {
            assert_eq!(parse(own), Ok(Asked::Own), "{own}");
        }
        for (wrong, words) in [
            ("build", "is no KEY=VALUE"),
            ("type=kaniko", "there are build and launch"),
            ("format=tar", "there are image, volume and bind"),
            ("size=1", "none of type"),
            ("format=volume;name=x", "format=bind;source=DIR"),
            ("format=image", "name=IMAGE"),
            ("format=bind", "source=DIR"),
            ("type=launch;format=bind;source=/x", "leave type=launch out"),
        ] {
            let said = parse(wrong).unwrap_err();
            assert!(said.contains(words), "{wrong}: {said}");
        }
    }

    #[test]
    fn a_cache_image_goes_with_a_published_image() {
        let arguments = CacheArguments { cache_image: Some("team/cache".to_owned()), cache: Vec::new() };
        let cache = |published| arguments.cache(published, "docker.io");
        assert!(matches!(cache(Published::Yes).unwrap(), BuildCache::Image(_)));
        assert!(cache(Published::No).unwrap_err().message.contains("--publish"));
        let two = vec![Asked::Folder("/a".into()), Asked::Own, Asked::Folder("/b".into())];
        let arguments = CacheArguments { cache_image: None, cache: two };
        assert!(arguments.cache(Published::No, "docker.io").unwrap_err().message.contains("one cache"));
    }
}
