//! What a person reads while a buildpack works: plain lines, which the platform colours.
//!
//! ```text
//! # Python                      a heading
//!   Python 3.13 from Debian     a step
//!     because nothing asks      a detail
//!   warning: ...
//!   Installing 12 packages ... done (0.4 s)
//! ```

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A log. Clones write to the same place.
#[derive(Clone)]
pub struct Log {
    to: Rc<RefCell<dyn Write>>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

impl Log {
    /// A log that writes to `to`.
    pub fn new(to: impl Write + 'static) -> Self {
        Self { to: Rc::new(RefCell::new(to)) }
    }

    /// A log that is kept in memory, with the way to read it: for tests.
    #[must_use]
    pub fn memory() -> (Self, Memory) {
        let memory = Memory(Rc::new(RefCell::new(Vec::new())));
        (Self::new(memory.clone()), memory)
    }

    /// `# text`: a new part of the work.
    pub fn heading(&self, text: impl fmt::Display) {
        self.line(&format!("# {text}"));
    }

    /// `  text`: what is done, or decided.
    pub fn step(&self, text: impl fmt::Display) {
        self.indented(2, &text.to_string());
    }

    /// `    text`: why, or what came of it.
    pub fn detail(&self, text: impl fmt::Display) {
        self.indented(4, &text.to_string());
    }

    /// `  warning: text`; further lines are indented.
    pub fn warning(&self, text: impl fmt::Display) {
        let text = text.to_string();
        let mut lines = text.lines();
        self.step(format_args!("warning: {}", lines.next().unwrap_or_default()));
        lines.for_each(|line| self.indented(4, line));
    }

    /// `  text`, then does `work`, then `    done (0.4 s)`.
    ///
    /// # Errors
    /// What `work` returns; it is not logged here, it is the caller's to tell.
    pub fn timed<T, E>(&self, text: impl fmt::Display, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.step(text);
        let started = Instant::now();
        let result = work()?;
        self.detail(format_args!("done ({})", seconds(started.elapsed())));
        Ok(result)
    }

    /// A line of a tool's output, indented by six.
    pub fn output(&self, line: &str) {
        self.indented(6, line);
    }

    /// Text as it is, such as an error.
    pub fn raw(&self, text: &str) {
        let mut to = self.to.borrow_mut();
        // A log that nobody reads any more (a closed pipe) is no reason to stop the work.
        let _: io::Result<()> = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    }

    fn indented(&self, by: usize, text: &str) {
        for line in text.lines() {
            self.line(format!("{:by$}{line}", "").trim_end());
        }
    }

    fn line(&self, text: &str) {
        self.raw(&format!("{text}\n"));
    }
}

/// What a log in memory has been told.
#[derive(Debug, Clone)]
pub struct Memory(Rc<RefCell<Vec<u8>>>);

impl Memory {
    /// All lines so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A duration as a person reads it: `3 ms`, `0.4 s`, `12 s`.
#[must_use]
pub fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        it if it < 0.1 => format!("{} ms", time.as_millis()),
        it if it < 10.0 => format!("{it:.1} s"),
        it => format!("{it:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_indented_by_what_they_are() {
        let (log, memory) = Log::memory();
        log.heading("Python");
        log.step("one");
        log.detail("two");
        log.warning("three\nand more");
        log.output("four");
        assert_eq!(memory.text(), "# Python\n  one\n    two\n  warning: three\n    and more\n      four\n");
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(seconds(Duration::from_millis(3)), "3 ms");
        assert_eq!(seconds(Duration::from_millis(440)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(12)), "12 s");
    }
}
