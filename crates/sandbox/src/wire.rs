//! What the caller and its runner say to each other over one socket: an order, then reports.
//!
//! The order is JSON in a memory file (a message has a size limit) that comes with the three standard streams; a report
//! is one message of JSON; a signal to pass on is one message of one byte; the end of the socket is the order to die.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::{Process, Room};

/// What the runner is to do.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order<R, P> {
    pub(crate) room: R,
    /// None asks only whether the room can be made.
    pub(crate) process: Option<P>,
    pub(crate) begin: Begin,
}

/// When the program begins.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Begin {
    /// As soon as its room is there.
    AtOnce,
    /// When the caller has said so, with [`GO`].
    WhenTold,
}

/// The message for a program that waits; it has the place of signal 0, which is none.
pub(crate) const GO: u8 = 0;

/// An order as the runner has it, with the standard streams for the program.
pub(crate) struct Received {
    pub(crate) order: Order<Room, Process>,
    pub(crate) streams: [OwnedFd; 3],
}

/// What the runner says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Sent by the program's process just before exec: the kernel attaches its host process id.
    Hello,
    /// The program runs.
    Started,
    /// The program cannot be executed.
    Refused {
        #[serde(with = "lossless")]
        program: PathBuf,
        errno: i32,
        hint: Option<String>,
    },
    /// A step before that failed.
    Failed(Failure),
    /// The program ended with this wait status.
    Ended(i32),
}

/// Hands an order to the runner.
pub(crate) fn send_order(
    socket: BorrowedFd<'_>,
    order: &Order<&Room, &Process>,
    streams: [BorrowedFd<'_>; 3],
) -> io::Result<()> {
    let mut file = File::from(rustix::fs::memfd_create("order", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(order)?)?;
    file.rewind()?;
    let fds = [file.as_fd(), streams[0], streams[1], streams[2]];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(socket, &[IoSlice::new(b"o")], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes the order from the caller.
pub(crate) fn receive_order(socket: BorrowedFd<'_>) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut buffer = [IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(socket, &mut buffer, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let mut fds = fds.next().into_iter().flatten();
    let (Some(file), Some(stdin), Some(stdout), Some(stderr)) =
        (fds.next(), fds.next(), fds.next(), fds.next())
    else {
        return Err(Errno::BADMSG.into());
    };
    let mut json = Vec::new();
    File::from(file).read_to_end(&mut json)?;
    Ok(Received { order: serde_json::from_slice(&json)?, streams: [stdin, stdout, stderr] })
}

/// Tells the caller something; a caller that is gone hears nothing, and nobody is left who could mind.
pub(crate) fn report(socket: BorrowedFd<'_>, report: &Report) {
    if let Ok(json) = serde_json::to_vec(report) {
        let _ = rustix::net::send(socket, &json, SendFlags::NOSIGNAL);
    }
}

/// A report, and the host process id of who sent it; `None` when everybody who could is gone.
pub(crate) fn hear(socket: BorrowedFd<'_>) -> io::Result<Option<(Report, Option<u32>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut bytes = [0; 16 * 1024];
    let (length, pid) = loop {
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [IoSliceMut::new(&mut bytes)];
        let message = match rustix::net::recvmsg(socket, &mut buffer, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        {
            Err(Errno::INTR) => continue,
            Err(Errno::CONNRESET) => return Ok(None),
            message => message?,
        };
        let pid = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(sender) => {
                Some(sender.pid.as_raw_nonzero().get().cast_unsigned())
            }
            _ => None,
        });
        break (message.bytes, pid);
    };
    if length == 0 {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&bytes[..length])?, pid)))
}

/// Paths and strings of any bytes as JSON text: each byte is the character of that number, so what is ASCII stays
/// readable and nothing is lost.
pub(crate) mod lossless {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::PathBuf;

    use serde::de::{DeserializeOwned, Error};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// What has such a text.
    pub(crate) trait Text: Sized {
        type Form: Serialize + DeserializeOwned;
        fn form(&self) -> Self::Form;
        fn back(form: Self::Form) -> Option<Self>;
    }

    fn text(bytes: &[u8]) -> String {
        bytes.iter().copied().map(char::from).collect()
    }

    fn bytes(text: &str) -> Option<Vec<u8>> {
        text.chars().map(|character| u8::try_from(character).ok()).collect()
    }

    impl Text for OsString {
        type Form = String;
        fn form(&self) -> String {
            text(self.as_bytes())
        }
        fn back(form: String) -> Option<Self> {
            bytes(&form).map(Self::from_vec)
        }
    }

    impl Text for PathBuf {
        type Form = String;
        fn form(&self) -> String {
            text(self.as_os_str().as_bytes())
        }
        fn back(form: String) -> Option<Self> {
            OsString::back(form).map(Self::from)
        }
    }

    impl Text for Vec<u8> {
        type Form = String;
        fn form(&self) -> String {
            text(self)
        }
        fn back(form: String) -> Option<Self> {
            bytes(&form)
        }
    }

    impl<T: Text> Text for Vec<T> {
        type Form = Vec<T::Form>;
        fn form(&self) -> Self::Form {
            self.iter().map(T::form).collect()
        }
        fn back(form: Self::Form) -> Option<Self> {
            form.into_iter().map(T::back).collect()
        }
    }

    impl<A: Text, B: Text> Text for (A, B) {
        type Form = (A::Form, B::Form);
        fn form(&self) -> Self::Form {
            (self.0.form(), self.1.form())
        }
        fn back(form: Self::Form) -> Option<Self> {
            Some((A::back(form.0)?, B::back(form.1)?))
        }
    }

    pub(crate) fn serialize<T: Text, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.form().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Text, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::back(T::Form::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("a character above 255"))
    }
}

#[cfg(test)]
mod tests {
    use super::lossless::Text;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn every_byte_survives_the_trip_to_the_runner() {
        let all = OsString::from_vec((1..=255).collect());
        let json = serde_json::to_string(&all.form()).unwrap();
        assert_eq!(OsString::back(serde_json::from_str(&json).unwrap()), Some(all));
    }
}
