//! What the system takes as variables of a process.

use std::collections::BTreeMap;

/// Whether all of them can be set: a name without `=`, and no zero byte anywhere.
#[must_use]
pub fn is_environment(variables: &BTreeMap<String, String>) -> bool {
    variables.iter().all(|(name, value)| {
        !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
    })
}
