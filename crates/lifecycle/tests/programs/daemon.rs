//! Builds into a real Docker engine: `make test` starts one and names it in `DOCKER_HOST`.

use crate::platform::{Platform, Said, put_run_image, say};
use oci::docker::Engine;
use oci::{ImageName, Store};
use std::process::Command;

fn host() -> String {
    std::env::var("DOCKER_HOST").expect("no Docker engine: run this through tools/with-docker.sh")
}

fn engine() -> Engine {
    Engine::connect(Some(&host())).unwrap().unwrap()
}

fn docker(args: &[&str]) -> Said {
    say(Command::new("docker").args(args))
}

/// Everything that a test puts into the engine, gone when dropped.
struct Names(&'static str);

impl Names {
    fn run(&self) -> String {
        format!("{}-run:latest", self.0)
    }

    fn app(&self) -> String {
        format!("{}-app:latest", self.0)
    }

    fn put_run_image(&self, text: &str) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let image = put_run_image(&store, text);
        let name = ImageName::parse(&self.run(), "docker.io").unwrap();
        engine().load(&store, &image, &[name], &mut |_| {}).unwrap();
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        docker(&["rmi", "--force", &self.app(), &self.run()]);
    }
}

const BUILD: &str = r#"
for it in kept launched second; do
    if [ -e "$CNB_LAYERS_DIR/$it/file" ]; then echo "found $it/file"; fi
    if [ -e "$CNB_LAYERS_DIR/$it.toml" ]; then echo "found $it.toml"; fi
    if [ -e "$CNB_LAYERS_DIR/$it.sbom.cdx.json" ]; then echo "found $it.sbom"; fi
done
mkdir -p "$CNB_LAYERS_DIR/kept"; echo cached >"$CNB_LAYERS_DIR/kept/file"
printf '[types]\ncache = true\n' >"$CNB_LAYERS_DIR/kept.toml"
mkdir -p "$CNB_LAYERS_DIR/first"; cat main >"$CNB_LAYERS_DIR/first/file"
printf '[types]\nlaunch = true\n' >"$CNB_LAYERS_DIR/first.toml"
if ! [ -e "$CNB_LAYERS_DIR/second.toml" ]; then
    mkdir -p "$CNB_LAYERS_DIR/second"; date +%N >"$CNB_LAYERS_DIR/second/file"
fi
printf '[types]\nlaunch = true\n' >"$CNB_LAYERS_DIR/second.toml"
echo '{"a":1}' >"$CNB_LAYERS_DIR/second.sbom.cdx.json"
"#;

fn platform(names: &Names) -> Platform {
    let platform = Platform::new();
    platform.write("run.toml", &format!("[[images]]\nimage = \"{}\"\n", names.run()));
    platform.buildpack("test/layers", "exit 0", BUILD);
    platform
}

fn call(platform: &Platform, program: &str, args: &[&str]) -> Said {
    let mut flags = platform.flags_elsewhere(program);
    if !matches!(program, "detector" | "builder") {
        flags.push("-daemon".to_owned());
    }
    if matches!(program, "analyzer" | "exporter" | "creator") {
        flags.extend(["-launch-cache".to_owned(), platform.path("launch-cache").display().to_string()]);
    }
    let mut command = platform.command(program);
    say(command.env("DOCKER_HOST", host()).args(flags).args(args))
}

fn phases(platform: &Platform, app: &str) -> [Said; 5] {
    [("analyzer", &[app][..]), ("detector", &[]), ("restorer", &[]), ("builder", &[]), ("exporter", &[app])]
        .map(|(program, args)| call(platform, program, args).ok())
}

fn inspect(name: &str) -> serde_json::Value {
    let said = docker(&["image", "inspect", name]).ok();
    serde_json::from_str::<serde_json::Value>(&said.out).unwrap()[0].clone()
}

#[test]
fn a_build_is_in_the_engine_and_the_next_one_takes_its_layers_from_there() {
    let names = Names("programs-phases");
    names.put_run_image("one");
    let platform = platform(&names);
    phases(&platform, &names.app());
    let first = inspect(&names.app());
    assert_eq!(first["Config"]["Entrypoint"][0], "/cnb/lifecycle/launcher");
    assert_eq!(
        first["Config"]["Env"].as_array().unwrap().iter().filter(|it| **it == "LANG=C.UTF-8").count(),
        1
    );
    let report = platform.toml("layers/report.toml");
    assert_eq!(report["image"]["image-id"].as_str(), first["Id"].as_str());
    assert!(report["image"].get("digest").is_none());

    platform.forget_layers();
    let [_, _, _, built, exported] = phases(&platform, &names.app());
    for found in ["kept/file", "second.toml", "second.sbom"] {
        assert!(built.out.contains(&format!("found {found}\n")), "{found}: {built:?}");
    }
    assert!(exported.out.contains("Reusing layer 'test/layers:second'"), "{exported:?}");
    assert_eq!(inspect(&names.app())["Id"], first["Id"]);
}

#[test]
fn the_previous_image_may_be_an_id_of_the_engine() {
    let names = Names("programs-id");
    names.put_run_image("one");
    let platform = platform(&names);
    phases(&platform, &names.app());
    let id = inspect(&names.app())["Id"].as_str().unwrap().to_owned();
    platform.forget_layers();
    call(&platform, "analyzer", &["-previous-image", &id, "another-name"]).ok();
    let analyzed = platform.toml("layers/analyzed.toml");
    assert_eq!(analyzed["image"]["reference"].as_str(), Some(&*id));
    assert!(analyzed["metadata"]["buildpacks"][0]["layers"].get("second").is_some(), "{analyzed:?}");
}

/// A layer is known to the engine together with those beneath it: when one of them changes, it must come again.
#[test]
fn a_layer_that_is_only_in_the_engine_is_found_when_those_beneath_it_change() {
    for with_launch_cache in [true, false] {
        let names = Names("programs-moved");
        names.put_run_image("one");
        let platform = platform(&names);
        call(&platform, "creator", &[&names.app()]).ok();
        let before = inspect(&names.app());
        if !with_launch_cache {
            fs_err::remove_dir_all(platform.path("launch-cache")).unwrap();
            fs_err::create_dir(platform.path("launch-cache")).unwrap();
        }
        platform.forget_layers();
        platform.write("app/main", "changed\n");
        let said = call(&platform, "creator", &[&names.app()]).ok();
        assert!(said.out.contains("Adding layer 'test/layers:first'"), "{said:?}");
        assert!(said.out.contains("Reusing layer 'test/layers:second'"), "{said:?}");
        let after = inspect(&names.app());
        assert_ne!(before["Id"], after["Id"]);
        let layers = |image: &serde_json::Value| image["RootFS"]["Layers"].as_array().unwrap().clone();
        assert_eq!(layers(&before)[2], layers(&after)[2], "the layer `second`");
    }
}

#[test]
fn an_image_is_rebased_in_the_engine() {
    let names = Names("programs-rebase");
    names.put_run_image("one");
    let platform = platform(&names);
    call(&platform, "creator", &[&names.app()]).ok();
    let before = inspect(&names.app());
    names.put_run_image("two");
    let report = platform.path("rebased.toml").display().to_string();
    call(&platform, "rebaser", &["-report", &report, &names.app()]).ok();
    let after = inspect(&names.app());
    assert_eq!(after["Config"]["Labels"]["io.buildpacks.base.released"], "two");
    let layers = |image: &serde_json::Value| image["RootFS"]["Layers"].as_array().unwrap().clone();
    assert_eq!(layers(&before)[1..], layers(&after)[1..]);
    assert_ne!(layers(&before)[0], layers(&after)[0]);
    assert_eq!(platform.toml("rebased.toml")["image"]["image-id"].as_str(), after["Id"].as_str());
}
