//! A registry behind a proxy that fails.
