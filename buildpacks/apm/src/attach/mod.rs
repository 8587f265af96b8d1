//! How an agent gets into a process: one file for each language.

pub mod python;
mod python_app;
pub mod python_code;
pub(crate) mod python_found;
mod python_pip;
pub mod python_resolve;
mod python_single;
mod python_uv;
