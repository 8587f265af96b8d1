//! The specification's clauses, and cases that show them: black boxes, which lay out what a platform lays out, start the
//! programs of `/cnb/lifecycle` (ours, or those that `CNB_LIFECYCLE_DIR` names) and look at what they leave.
//! It is no unit test: a case knows files, variables and exit codes and nothing of the code behind them; and a case that
//! no wrong lifecycle fails is no case, so each names the mutants that it must notice.
//! Open `TABLE.md` next, where every clause stands with its cases and with what came out for ours and for the reference;
//! then `cases/`, and `DECISIONS.md`: what we do where text and reference differ.

pub mod case;
pub mod clauses;
pub mod mutants;
pub mod outcome;
pub mod peers;
pub mod plain;
pub mod programs;
pub mod source_mutants;
pub mod suite;
pub mod table;
pub mod whole;
