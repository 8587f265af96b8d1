//! What of the network is there.

use std::fs;
use std::os::unix::fs::symlink;

use sandbox::{Exit, Network};

use crate::room::place::{Outcome, Place, finish, process, run, sh, start};

pub(crate) fn without_network_there_is_loopback_only(place: &Place) {
    for network in [Network::None, Network::Own] {
        let mut room = place.room();
        room.network = network;
        let said = sh(
            &room,
            "tail -n +2 /proc/net/route; tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/net/if_inet6 | cut -c1-32",
        );
        let said: Vec<&str> =
            said.split_whitespace().filter(|line| *line != "00000000000000000000000000000001").collect();
        assert_eq!(said, ["lo"]);
        assert_eq!(run(&room, &["/guest", "guest", "talk-to-itself"]).said, "Ok(())\n");
    }
    let said = sh(&place.room(), "readlink /proc/self/ns/net");
    assert_eq!(said.trim_end(), fs::read_link("/proc/self/ns/net").unwrap().to_str().unwrap());
}

pub(crate) fn an_own_network_can_be_joined_from_outside(place: &Place) {
    let mut room = place.room();
    room.network = Network::Own;
    // What pasta and slirp4netns do: the room's user namespace first, then its network.
    let join = |pid: u32| {
        let joined = std::process::Command::new("nsenter")
            .args(["--preserve-credentials", "--user", "--net", "--target", &pid.to_string()])
            .args(["cat", "/proc/self/net/dev"])
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&joined.stdout).into_owned() + &String::from_utf8_lossy(&joined.stderr);
        assert!(joined.status.success(), "{said}");
        assert_eq!(said.lines().skip(2).count(), 1, "{said}");
    };
    join(start(&room, &["/bin/sleep", "100"]).pid());
    let waiting = room.prepare(&process(&["/bin/echo", "at last"])).unwrap();
    join(waiting.pid());
    assert_eq!(
        finish(waiting.begin().unwrap()),
        Outcome { exit: Exit::Code(0), said: "at last\n".to_owned() }
    );
}

pub(crate) fn an_outward_network_has_no_way_to_link_local_addresses(place: &Place) {
    let mut room = place.room();
    room.network = Network::Outward;
    // As the kernel prints them: destination and mask in the host's byte order, and the flags "up", "refused" and "of a host".
    let said = sh(
        &room,
        "while read -r _ to _ flags _ _ _ mask _; do echo $to/$mask $flags; done < /proc/net/route",
    );
    for route in ["0000FEA9/0080FFFF 0201", "0080FEA9/0080FFFF 0201", "FEA9FEA9/FFFFFFFF 0205"] {
        assert!(said.contains(route), "{said}");
    }
    assert_eq!(run(&room, &["/guest", "guest", "talk-to-itself"]).said, "Ok(())\n");
}

pub(crate) fn the_hosts_resolver_is_there_with_the_hosts_network(place: &Place) {
    let host = fs::read_to_string("/etc/resolv.conf").unwrap();
    // As a systemd-resolved machine's image has it: a link to nowhere.
    symlink("../run/systemd/resolve/stub-resolv.conf", place.dir.join("tree/etc/resolv.conf")).unwrap();
    assert_eq!(sh(&place.room(), "cat /etc/resolv.conf"), host);
    let mut room = place.room();
    room.network = Network::None;
    assert_ne!(run(&room, &["/bin/cat", "/etc/resolv.conf"]).exit, Exit::Code(0));
}
