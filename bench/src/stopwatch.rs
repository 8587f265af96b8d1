//! Measuring programs fairly: contestants take turns within each round, so that what else the machine does hits all
//! alike, and the median is told, with the fastest and the slowest run beside it.

use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;

/// Something that is measured.
pub(crate) struct Contestant<'a> {
    name: &'a str,
    /// One run; what it returns counts, so preparations are free.
    run: Box<dyn FnMut() -> Result<Duration> + 'a>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: &'a str, run: impl FnMut() -> Result<Duration> + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// The runs of one contestant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(crate) name: String,
    /// Sorted.
    runs: Vec<Duration>,
}

impl Timing {
    pub(crate) fn median(&self) -> Duration {
        self.runs[self.runs.len() / 2]
    }

    /// How long this took, as a multiple of another.
    pub(crate) fn times(&self, other: &Self) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64()
    }

    /// How much longer this took than another, in milliseconds; negative when it was faster.
    pub(crate) fn more_than(&self, other: &Self) -> f64 {
        (self.median().as_secs_f64() - other.median().as_secs_f64()) * 1e3
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |it: Option<&Duration>| it.map_or(0.0, |it| it.as_secs_f64() * 1e3);
        write!(
            f,
            "   {:<44} median {:>9.2} ms   ({:.2} to {:.2}, {} runs)",
            self.name,
            self.median().as_secs_f64() * 1e3,
            ms(self.runs.first()),
            ms(self.runs.last()),
            self.runs.len()
        )
    }
}

/// How many rounds there are: as many as `BENCH_ROUNDS` says, where it does.
pub(crate) fn rounds(usual: usize) -> usize {
    let asked = std::env::var("BENCH_ROUNDS").ok().and_then(|it| it.parse().ok());
    asked.unwrap_or(usual).max(1)
}

/// Runs every contestant once to warm up, then `rounds` times in turn.
pub(crate) fn interleaved(rounds: usize, mut contestants: Vec<Contestant<'_>>) -> Result<Vec<Timing>> {
    let mut timings: Vec<Timing> =
        contestants.iter().map(|it| Timing { name: it.name.to_owned(), runs: Vec::new() }).collect();
    for round in 0..=self::rounds(rounds) {
        for (contestant, timing) in contestants.iter_mut().zip(&mut timings) {
            let took = (contestant.run)()?;
            if round > 0 {
                timing.runs.push(took);
            }
        }
    }
    timings.iter_mut().for_each(|it| it.runs.sort());
    Ok(timings)
}

/// Runs a command to its end; an error shows what it printed.
pub(crate) fn time(command: &mut Command) -> Result<Duration> {
    let begin = Instant::now();
    output(command)?;
    Ok(begin.elapsed())
}

/// Runs a command to its end and returns what it printed on standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // With `--format json` the reason is the last line of standard output.
        let last = out.lines().next_back().unwrap_or_default();
        return Err(format!("{command:?} failed with {}\n{}\n{last}", output.status, err.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contestants_take_turns_and_the_first_round_does_not_count() {
        let order = std::cell::RefCell::new(Vec::new());
        let contestant = |name: &'static str, ms: u64| {
            let (order, mut runs) = (&order, 0);
            Contestant::new(name, move || {
                order.borrow_mut().push(name);
                runs += 1;
                Ok(Duration::from_millis(ms * runs))
            })
        };
        let timings = interleaved(3, vec![contestant("a", 1), contestant("b", 10)]).unwrap();
        assert_eq!(order.into_inner(), ["a", "b", "a", "b", "a", "b", "a", "b"]);
        // Runs 2, 3 and 4 count: the median is the third's.
        assert_eq!(timings[0].median(), Duration::from_millis(3));
        assert!((timings[1].times(&timings[0]) - 10.0).abs() < 1e-9);
        assert!((timings[1].more_than(&timings[0]) - 27.0).abs() < 1e-9);
    }

    #[test]
    fn a_command_that_fails_is_an_error_with_its_words() {
        let error = time(Command::new("sh").args(["-c", "echo oh >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("\noh\n"), "{error}");
    }
}
