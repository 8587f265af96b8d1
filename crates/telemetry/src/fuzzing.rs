//! Doors for the fuzz targets, to what is otherwise reached through a connection.

use std::sync::Arc;

use crate::decode::{Encoding, Signal, decode};
use crate::receiver::fuzzing as receiver;
use crate::store::Store;

/// Keeps a request in protobuf; how many records it brought, or none where it is malformed.
#[must_use]
pub fn protobuf(store: &Store, signal: Signal, body: &[u8]) -> Option<usize> {
    let batch = decode(signal, Encoding::Protobuf, body).ok()?;
    let records = batch.records.len();
    store.keep(batch);
    Some(records)
}

/// The status and the body of the answer to a question, without its `/api/v1/`.
#[must_use]
pub fn ask(store: &Arc<Store>, path: &str, query: &str) -> (u16, serde_json::Value) {
    receiver::ask(store, path, query)
}

/// The message in a body of gRPC, unpacked where it is packed; none where it is malformed.
#[must_use]
pub fn grpc(body: &[u8]) -> Option<Vec<u8>> {
    receiver::grpc(body)
}
