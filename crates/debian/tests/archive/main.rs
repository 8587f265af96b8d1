//! The whole way against a tiny archive made on the spot, and against the one that this machine uses.

#[cfg(test)]
mod common;
#[cfg(test)]
mod compose;
#[cfg(test)]
mod fetch;
#[cfg(test)]
mod index;
#[cfg(test)]
mod network;
#[cfg(test)]
mod resolve;
#[cfg(test)]
mod settle;
