//! Variables that Paketo's users set, with Packlight's own buildpacks.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use support::*;

#[test]
fn variables_and_labels_of_the_image_are_asked_for_as_with_paketo_and_the_rest_is_told() {
    let (app, name) = (plain_app(), "flow-paketo");
    std::fs::write(app.path().join("Procfile"), "web: sh -c 'echo $LANG-$PATHS-$PORT_TWO'\n").unwrap();
    let layout = tempfile::tempdir().unwrap();
    let output = format!("oci:{}", layout.path().join("out").display());
    let wishes = [
        "BPE_LANG=C.UTF-8",
        "BPE_APPEND_PATHS=/b",
        "BPE_DELIM_PATHS=:",
        "BPE_DEFAULT_PORT_TWO=80",
        "BP_OCI_VENDOR=us",
        "BP_IMAGE_LABELS=team=core \"contact=the core team\"",
        "BP_EMBED_CERTS=true",
        "BP_NOBODYS=1",
    ];
    let build = |wishes: &[&str]| {
        let mut command = packlight(["build", name, "--agent", "none", "-v", "-o", &output, "--path"]);
        command.arg(app.path());
        command.args(wishes.iter().flat_map(|it| ["-e", it]));
        say(&mut command)
    };
    let said = build(&wishes).ok().both();
    for words in ["BP_EMBED_CERTS has no effect", "BP_NOBODYS has no effect", "variables of the image: PATHS"]
    {
        assert!(said.contains(words), "no {words:?} in:\n{said}");
    }
    let run = |more: &[&str]| {
        say(packlight(["run", name, "--network", "none"]).args(more)).ok().out.trim().to_owned()
    };
    assert_eq!(run(&[]), "C.UTF-8-/b-80");
    assert_eq!(run(&["-e", "PATHS=/a", "-e", "PORT_TWO=81"]), "C.UTF-8-/a:/b-81");
    let config = say(std::process::Command::new("skopeo").args(["inspect", "--config", &output])).ok().out;
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.vendor"], "us", "{labels}");
    assert_eq!(labels["org.opencontainers.image.title"], name);
    assert_eq!((&labels["team"], &labels["contact"]), (&"core".into(), &"the core team".into()));

    // What is no longer asked for is gone.
    build(&[]).ok();
    assert_eq!(run(&[]), "--");
    build(&["BP_IMAGE_LABELS=nonsense"]).fails(51, &["`nonsense` is no label"]);
    build(&["BPE_APPEND_=x"]).fails(51, &["BPE_APPEND_ names no variable"]);
}
