//! How long the sandbox takes to start `/bin/true`, as root and as an ordinary user, against the program alone.

use std::process::Command;

use super::Figure;
use crate::Result;
use crate::ground::Ground;
use crate::stopwatch::output;

pub(super) const FIGURE: Figure = Figure {
    name: "sandbox",
    what: "start of /bin/true in the sandbox, as the caller and, when that is root, as an ordinary user",
    aim: "under 8 ms",
    measure,
};

#[expect(clippy::print_stdout, reason = "a program")]
fn measure(ground: &Ground) -> Result<()> {
    let built = ground.example("sandbox", "true")?;
    // Copied to where an ordinary user may read it.
    let program = ground.room.join("true");
    std::fs::copy(built, &program)?;
    output(Command::new("chmod").args(["755"]).arg(&program).arg(&ground.room))?;
    // A tree of its own: an ordinary user's overlay cannot stand on the machine's `/` with its mounts.
    let tree = ground.room.join("tree");
    std::fs::create_dir_all(&tree)?;
    let files = ["/bin/true", "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"];
    output(Command::new("cp").args(["--parents", "-L", "-t"]).arg(&tree).args(files))?;
    let who = output(Command::new("id").arg("-un"))?;
    println!("   {:<10} {}", who.trim(), output(Command::new(&program).arg(&tree))?.trim());
    if who.trim() == "root" {
        // `nobody` is on every machine.
        let mut as_user = Command::new("setpriv");
        as_user.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&program).arg(&tree);
        println!("   {:<10} {}", "nobody", output(&mut as_user)?.trim());
    }
    Ok(())
}
