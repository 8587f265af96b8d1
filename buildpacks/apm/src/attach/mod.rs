//! How an agent gets into a process: one file for each language.

pub mod python;
pub mod python_code;
pub mod python_resolve;
