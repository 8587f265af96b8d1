//! Starts a program in a room N times and prints the median, in milliseconds:
//! `cargo run -p sandbox --example true -- [ROOT [N [PROGRAM...]]]` (default: `/`, 100, `/bin/true`).

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use std::time::Instant;

use sandbox::{Exit, Identity, Isolation, Network, Process, Room, Stdio, Upper};

fn main() {
    sandbox::serve_if_asked();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = arguments.first().map_or("/", String::as_str);
    let times: usize = arguments.get(1).map_or(100, |count| count.parse().unwrap());
    let program = arguments
        .get(2..)
        .filter(|rest| !rest.is_empty())
        .map_or(vec!["/bin/true".into()], <[String]>::to_vec);
    if let Err(forbidden) = sandbox::check_host(&std::env::temp_dir()) {
        println!("{forbidden}\n{}", forbidden.cure);
        return;
    }
    let room = Room {
        root: vec![root.into()],
        upper: Upper::Tmpfs,
        mounts: Vec::new(),
        user: Identity { uid: 1000, gid: 1000 },
        hostname: "room".to_owned(),
        network: Network::Host,
        isolation: Isolation::Full,
    };
    let process = Process {
        argv: program.iter().map(Into::into).collect(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/".into(),
        stdin: Stdio::Inherit,
        stdout: Stdio::Inherit,
        stderr: Stdio::Inherit,
    };
    let mut millis: Vec<f64> = (0..times)
        .map(|_| {
            let start = Instant::now();
            let exit = room.start(&process).unwrap().wait().unwrap();
            assert_eq!(exit, Exit::Code(0));
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    println!("median of {times} starts: {:.2} ms (fastest {:.2})", millis[times / 2], millis[0]);
}
