//! A real registry.

use super::{folder, free_port, get};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Debian's registry on a port of its own, for one test.
pub(crate) struct Registry {
    program: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let (dir, port) = (folder(&[]), free_port());
        let config = dir.path().join("config.yml");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            dir.path().join("data").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        let program = command.arg("serve").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let program = program.unwrap_or_else(|error| panic!("docker-registry ({error}); run `make setup`"));
        get(port, "/v2/");
        Self { program, port, dir }
    }

    /// Where it keeps everything.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A name in it.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("localhost:{}/{name}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
