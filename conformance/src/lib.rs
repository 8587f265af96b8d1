//! The specification's clauses as black-box cases: a folder of TOML files, each of which lays out buildpacks as shell
//! scripts, runs one phase as a program, and looks at what came out.
//! It is no unit test: a case knows the phases' files, variables and exit codes and nothing of the code behind them;
//! and a case that no wrong lifecycle fails is no case, so each names the mutants that it must notice.
//! Open `cases/` next, then `DECISIONS.md`: what we do where text and reference differ.

pub mod case;
pub mod clauses;
pub mod mutants;
pub mod outcome;
pub mod peers;
pub mod plain;
pub mod programs;
pub mod suite;
pub mod table;
pub mod whole;
