//! What a lifecycle left in a room, as one tree: the files of the layers directory, what buildpacks noted, and the
//! image, which is read from its layout by this file alone, so that no reader of ours can hide what a writer of ours
//! did wrong.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// What came out.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// The exit code of the last program.
    pub exit: i32,
    /// What the launched process printed.
    pub launched: String,
    /// What is in the room at the end.
    pub now: Value,
    /// What was in it at the step `keep`.
    pub kept: Value,
}

impl Outcome {
    /// All of it that two lifecycles can be compared by.
    #[must_use]
    pub fn tree(&self) -> Value {
        let mut tree = self.now.clone();
        tree["exit"] = json!(self.exit);
        tree["launched"] = json!(self.launched);
        tree
    }
}

/// The value at a path of names with ` > ` between them; a list is entered by its position.
#[must_use]
pub fn at<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split(" > ").try_fold(tree, |value, name| match value {
        Value::Array(all) => all.get(name.parse::<usize>().ok()?),
        other => other.get(name),
    })
}

/// Whether a list has an element, an object a key, or a text words.
#[must_use]
pub fn has(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Array(all), part) => all.contains(part),
        (Value::Object(all), Value::String(name)) => all.contains_key(name),
        (Value::String(text), Value::String(words)) => text.contains(words.as_str()),
        _ => false,
    }
}

/// Everything that differs between two trees, by path.
pub fn differences(path: &str, one: &Value, other: &Value, found: &mut Vec<(String, String)>) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|it| !a.contains_key(*it)));
            for name in names {
                let next = if path.is_empty() { name.clone() } else { format!("{path} > {name}") };
                let none = Value::Null;
                differences(&next, a.get(name).unwrap_or(&none), b.get(name).unwrap_or(&none), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path} > {at}"), a, b, found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push((path.to_owned(), format!("{a} and {b}"))),
    }
}

/// Reads what is in a room.
///
/// # Errors
/// When a file can't be read or an image is damaged.
pub fn read(room: &Path) -> io::Result<Value> {
    let mut layers = Map::new();
    texts(&room.join("layers"), "", &mut layers)?;
    let mut out = Map::new();
    texts(&room.join("out"), "", &mut out)?;
    let team = room.join("layouts/registry.example/team");
    let mut images = Map::new();
    for name in ["app/1", "app/2", "other/1"] {
        let dir = team.join(name);
        if dir.join("index.json").exists() {
            images.insert(name.to_owned(), json!(manifest_digest(&dir)?));
        }
    }
    let app = team.join("app/1");
    let image = if app.join("index.json").exists() { image(&app)? } else { Value::Null };
    Ok(json!({ "layers": layers, "out": out, "images": images, "image": image }))
}

/// Files by path: TOML as a tree, the others as text.
fn texts(dir: &Path, prefix: &str, into: &mut Map<String, Value>) -> io::Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            texts(&entry.path(), &format!("{name}/"), into)?;
            continue;
        }
        let text = String::from_utf8_lossy(&fs_err::read(entry.path())?).into_owned();
        let tree = name.ends_with(".toml").then(|| toml::from_str::<toml::Value>(&text).ok()).flatten();
        let value = match tree {
            Some(tree) => serde_json::to_value(tree).map_err(io::Error::other)?,
            None => Value::String(text),
        };
        into.insert(name, value);
    }
    Ok(())
}

fn blob(layout: &Path, digest: &Value) -> io::Result<Vec<u8>> {
    let digest = digest.as_str().unwrap_or_default();
    fs_err::read(layout.join("blobs").join(digest.replace(':', "/")))
}

fn tree(bytes: &[u8]) -> io::Result<Value> {
    serde_json::from_slice(bytes).map_err(io::Error::other)
}

fn manifest_digest(layout: &Path) -> io::Result<Value> {
    let index = tree(&fs_err::read(layout.join("index.json"))?)?;
    Ok(index["manifests"][0]["digest"].clone())
}

fn image(layout: &Path) -> io::Result<Value> {
    let digest = manifest_digest(layout)?;
    let bytes = blob(layout, &digest)?;
    let manifest = tree(&bytes)?;
    let mut config = tree(&blob(layout, &manifest["config"]["digest"])?)?;
    let mut labels = Map::new();
    for (name, value) in config["config"]["Labels"].as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        let parsed = tree(text.as_bytes()).ok().filter(|it| it.is_object() || it.is_array());
        labels.insert(name.clone(), parsed.unwrap_or_else(|| value.clone()));
    }
    let (mut files, mut layers) = (Map::new(), Map::new());
    let diff_ids = config["rootfs"]["diff_ids"].as_array().cloned().unwrap_or_default();
    for (layer, diff_id) in manifest["layers"].as_array().into_iter().flatten().zip(&diff_ids) {
        let mut tar = Vec::new();
        let packed = blob(layout, &layer["digest"])?;
        let mut unpacked = flate2::read::GzDecoder::new(&packed[..]);
        unpacked.read_to_end(&mut tar)?;
        if json!(digest_of(&tar)) != *diff_id {
            return Err(io::Error::other(format!("the layer {diff_id} has another diff id")));
        }
        let listed = list(&tar)?;
        // By what is in it: where among the others a layer stands is the lifecycle's own business.
        let mut key = listed.keys().next().cloned().unwrap_or_else(|| "empty".to_owned());
        while layers.contains_key(&key) {
            key.push_str(" again");
        }
        layers.insert(key, json!({ "diff_id": diff_id, "files": listed.keys().collect::<Vec<_>>() }));
        files.extend(listed);
    }
    let created = config["created"].take();
    let author = config["author"].take();
    let target = json!({ "os": config["os"], "architecture": config["architecture"] });
    let mut runtime = config["config"].take();
    if let Some(it) = runtime.as_object_mut() {
        it.remove("Labels");
    }
    Ok(json!({
        "digest": digest,
        "manifest-size": bytes.len(),
        "created": created,
        "author": author,
        "target": target,
        "config": runtime,
        "labels": labels,
        "layers": layers,
        "diff_ids": diff_ids,
        "files": files,
    }))
}

/// The files of a layer, without directories.
fn list(tar: &[u8]) -> io::Result<Map<String, Value>> {
    let mut files = Map::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let header = entry.header().clone();
        if header.entry_type().is_dir() {
            continue;
        }
        let owner = format!("{}:{}", header.uid()?, header.gid()?);
        let link = entry.link_name()?.map(|it| it.display().to_string());
        let mut text = String::new();
        if link.is_none() {
            entry.read_to_string(&mut text)?;
        }
        let what = link.map_or_else(|| json!({ "text": text }), |it| json!({ "link": it }));
        let mut file =
            json!({ "owner": owner, "time": header.mtime()?, "mode": format!("{:o}", header.mode()?) });
        if let (Some(file), Value::Object(what)) = (file.as_object_mut(), what) {
            file.extend(what);
        }
        files.insert(path.trim_start_matches('/').to_owned(), file);
    }
    Ok(files)
}

fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect();
    format!("sha256:{hex}")
}

/// A run image as an OCI layout; `text` makes it differ from another one.
///
/// # Errors
/// When it can't be written.
pub fn write_run_image(layout: &Path, text: &str) -> io::Result<()> {
    let release = format!("ID=debian\nVERSION_ID=\"13\"\n# {text}\n");
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(release.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    builder.append_data(&mut header, "etc/os-release", release.as_bytes())?;
    let tar = builder.into_inner()?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar)?;
    let layer = gzip.finish()?;
    let config = json!({
        "os": "linux",
        "architecture": "amd64",
        "config": {
            "Env": ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"],
            "Labels": {
                "io.buildpacks.base.distro.name": "debian",
                "io.buildpacks.base.distro.version": "13",
                "io.buildpacks.base.released": text,
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [digest_of(&tar)] },
        "history": [{ "created_by": "a run image" }],
    });
    let put = |bytes: &[u8]| -> io::Result<Value> {
        let digest = digest_of(bytes);
        let path = layout.join("blobs").join(digest.replace(':', "/"));
        fs_err::create_dir_all(layout.join("blobs/sha256"))?;
        fs_err::write(path, bytes)?;
        Ok(json!({ "digest": digest, "size": bytes.len() }))
    };
    let typed = |mut it: Value, kind: &str| {
        it["mediaType"] = json!(format!("application/vnd.oci.image.{kind}"));
        it
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": typed(put(config.to_string().as_bytes())?, "config.v1+json"),
        "layers": [typed(put(&layer)?, "layer.v1.tar+gzip")],
    });
    let manifest = typed(put(manifest.to_string().as_bytes())?, "manifest.v1+json");
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs_err::write(layout.join("index.json"), index.to_string())?;
    fs_err::write(layout.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}")
}
