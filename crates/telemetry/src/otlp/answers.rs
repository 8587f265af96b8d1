//! What a receiver answers: `Export…ServiceResponse`, and `google.rpc.Status` for errors.

use serde::Serialize;

use super::json::is_default;

/// The answer to a request that was taken. The three signals call the count differently, in JSON only.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Answer {
    /// Absent where everything was taken.
    #[prost(message, optional, tag = "1")]
    pub(crate) partial_success: Option<PartialSuccess>,
}

/// That some records were not taken, and why.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PartialSuccess {
    /// How many.
    #[prost(int64, tag = "1")]
    pub(crate) rejected: i64,
    /// Why, for people.
    #[prost(string, tag = "2")]
    pub(crate) error_message: String,
}

impl Answer {
    /// As JSON; `count` is the signal's name for the number of records.
    pub(crate) fn json(&self, count: &str) -> serde_json::Value {
        match &self.partial_success {
            None => serde_json::json!({}),
            Some(it) => serde_json::json!({
                "partialSuccess": { count: it.rejected.to_string(), "errorMessage": it.error_message }
            }),
        }
    }
}

/// `google.rpc.Status`, without its details.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct Status {
    /// A code of gRPC.
    #[prost(int32, tag = "1")]
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}
