//! Addresses that a network of the room's own refuses, whoever connects it: routes that lead nowhere, more exact ones
//! than a tool copies from the host.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use rustix::net::{AddressFamily, SocketType};

use crate::sys;

/// Link-local (RFC 3927) in halves, since a host may have a route to the whole; and from it the addresses to which clouds
/// give a route each: metadata and names of Amazon, Google, Azure and others, and credentials of containers at Amazon.
const REFUSED: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(169, 254, 0, 0), 17),
    (Ipv4Addr::new(169, 254, 128, 0), 17),
    (Ipv4Addr::new(169, 254, 169, 253), 32),
    (Ipv4Addr::new(169, 254, 169, 254), 32),
    (Ipv4Addr::new(169, 254, 170, 2), 32),
    (Ipv4Addr::new(169, 254, 170, 23), 32),
];

/// Link-local (RFC 4291) as a whole and as the kernel has it on each device; and metadata at Amazon and Google.
const REFUSED_6: &[(Ipv6Addr, u16)] = &[
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23), 128),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
];

/// Sets the routes in this network namespace, whose loopback is up.
pub(crate) fn refuse_link_local() -> io::Result<()> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    for (address, length) in REFUSED {
        sys::refuse(socket.as_fd(), *address, *length)?;
    }
    match rustix::net::socket(AddressFamily::INET6, SocketType::DGRAM, None) {
        // A kernel without IPv6 refuses all of it.
        Err(rustix::io::Errno::AFNOSUPPORT) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(socket) => {
            let each = |(address, length): &(Ipv6Addr, u16)| sys::refuse_6(socket.as_fd(), *address, *length);
            match REFUSED_6.iter().try_for_each(each) {
                // It has it, and it is switched off for this network: there is no route either.
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::EACCES | libc::ENODEV | libc::EOPNOTSUPP)
                    ) =>
                {
                    Ok(())
                }
                result => result,
            }
        }
    }
}
