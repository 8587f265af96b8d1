//! The programs of `/cnb/lifecycle`, started as a platform starts them, on buildpacks as shell scripts.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![expect(unreachable_pub, reason = "shared by the modules of this test")]

mod calling;
mod daemon;
mod layout;
mod platform;
mod registry;
