//! A trace as a tree, whatever its spans say of one another.

use std::collections::HashMap;
use std::sync::Arc;

use crate::id::TraceId;
use crate::store::{SpanKind, Store, StoredSpan};

/// What is wrong with a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// Its parent has not arrived: it is on its way, was not sampled, or another receiver has it.
    MissingParent,
    /// It says that it is its own parent.
    OwnParent,
    /// It is among its own ancestors; the circle is cut before it.
    Circle,
    /// Another span of the trace has its id.
    SameId,
    /// It ended before it began.
    Backwards,
    /// Its clock and its parent's cannot both be right; it and what is below it of the same process are drawn so many nanoseconds
    /// later.
    Skewed(i64),
}

/// A span in its place.
#[derive(Clone, Debug)]
pub struct Row {
    /// The span.
    pub span: Arc<StoredSpan>,
    /// How many spans it is under.
    pub depth: usize,
    /// The row of the span that it is under.
    pub parent: Option<usize>,
    /// How many spans are directly under it.
    pub children: usize,
    /// When it began in nanoseconds since 1970, by the clock of the first row.
    pub start: u64,
    /// What is wrong with it.
    pub oddities: Vec<Oddity>,
}

/// A trace.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Its id.
    pub trace: TraceId,
    /// Every span once, each after the one that it is under.
    pub rows: Vec<Row>,
    /// When the first began, in nanoseconds since 1970.
    pub start: u64,
    /// When the last ended.
    pub end: u64,
}

impl Store {
    /// A trace as a tree; none where none of it is kept.
    #[must_use]
    pub fn tree(&self, trace: TraceId) -> Option<Tree> {
        let spans = self.spans_of(trace);
        if spans.is_empty() { None } else { Some(Tree::of(trace, spans)) }
    }
}

impl Tree {
    pub(super) fn of(trace: TraceId, spans: Vec<Arc<StoredSpan>>) -> Self {
        let spans = without_repeats(spans);
        let parents = parents(&spans);
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        let mut roots = Vec::new();
        for (at, parent) in parents.iter().enumerate() {
            match parent {
                Ok(parent) => below[*parent].push(at),
                Err(_) => roots.push(at),
            }
        }
        let order = |list: &mut Vec<usize>| list.sort_by_key(|at| (spans[*at].start, spans[*at].sequence));
        below.iter_mut().for_each(order);
        order(&mut roots);
        let mut laying =
            Laying { spans: &spans, below: &below, rows: Vec::new(), placed: vec![false; spans.len()] };
        for root in roots {
            laying.lay(root, parents[root].err().flatten());
        }
        // What no root leads to goes round in circles.
        let mut rest: Vec<_> = (0..spans.len()).filter(|it| !laying.placed[*it]).collect();
        order(&mut rest);
        for at in rest {
            laying.lay(at, Some(Oddity::Circle));
        }
        let mut rows = laying.rows;
        mark(&mut rows);
        let start = rows.iter().map(|it| it.start).min().unwrap_or_default();
        let end = rows.iter().map(|it| it.start.saturating_add(it.span.duration())).max().unwrap_or_default();
        Self { trace, rows, start, end }
    }
}

/// A sender that got no answer sends again: the same span, to the byte.
fn without_repeats(spans: Vec<Arc<StoredSpan>>) -> Vec<Arc<StoredSpan>> {
    let mut seen: HashMap<_, Vec<usize>> = HashMap::new();
    let mut kept: Vec<Arc<StoredSpan>> = Vec::new();
    for span in spans {
        let same = seen.entry(span.id).or_default();
        // A list of its own for each id, of which there are more than a few in no honest trace.
        if same.len() < 8 && same.iter().any(|it| kept[*it].is_repeated_by(&span)) {
            continue;
        }
        same.push(kept.len());
        kept.push(span);
    }
    kept
}

/// The place of each span's parent, or that it has none, and what is wrong with that.
fn parents(spans: &[Arc<StoredSpan>]) -> Vec<Result<usize, Option<Oddity>>> {
    let mut places: HashMap<_, usize> = HashMap::new();
    for (at, span) in spans.iter().enumerate() {
        // Zipkin's libraries give both sides of a call one id; what is below it is below the server.
        let place = places.entry(span.id).or_insert(at);
        if span.kind == SpanKind::Server && spans[*place].kind != SpanKind::Server {
            *place = at;
        }
    }
    let parent = |(at, span): (usize, &Arc<StoredSpan>)| {
        let Some(parent) = span.parent else { return Err(None) };
        match places.get(&parent) {
            None => Err(Some(Oddity::MissingParent)),
            Some(place) if *place == at || parent == span.id => Err(Some(Oddity::OwnParent)),
            Some(place) => Ok(*place),
        }
    };
    spans.iter().enumerate().map(parent).collect()
}

/// Rows as they are laid, without recursion: a trace may be as deep as it is long.
struct Laying<'a> {
    spans: &'a [Arc<StoredSpan>],
    below: &'a [Vec<usize>],
    rows: Vec<Row>,
    placed: Vec<bool>,
}

impl Laying<'_> {
    fn lay(&mut self, root: usize, oddity: Option<Oddity>) {
        let mut open = vec![(root, None::<usize>)];
        while let Some((at, parent)) = open.pop() {
            if std::mem::replace(&mut self.placed[at], true) {
                continue;
            }
            let depth = parent.map_or(0, |it| self.rows[it].depth + 1);
            if let Some(parent) = parent {
                self.rows[parent].children += 1;
            }
            let span = Arc::clone(&self.spans[at]);
            let oddities = oddity.filter(|_| parent.is_none()).into_iter().collect();
            let row = self.rows.len();
            self.rows.push(Row { start: span.start, span, depth, parent, children: 0, oddities });
            open.extend(self.below[at].iter().rev().map(|below| (*below, Some(row))));
        }
    }
}

/// Moves what another clock has timed, and says what is wrong with each.
fn mark(rows: &mut [Row]) {
    let mut counts: HashMap<_, usize> = HashMap::new();
    for row in rows.iter() {
        *counts.entry(row.span.id).or_default() += 1;
    }
    let mut moved = vec![0_i64; rows.len()];
    for at in 0..rows.len() {
        let span = Arc::clone(&rows[at].span);
        if counts[&span.id] > 1 {
            rows[at].oddities.push(Oddity::SameId);
        }
        if span.end < span.start {
            rows[at].oddities.push(Oddity::Backwards);
        }
        if let Some(parent) = rows[at].parent {
            moved[at] = skew(&rows[parent], &span, moved[parent]);
        }
        if moved[at] != 0 {
            rows[at].start = span.start.saturating_add_signed(moved[at]);
            rows[at].oddities.push(Oddity::Skewed(moved[at]));
        }
    }
}

/// By how many nanoseconds a span is moved under its parent. Within a process there is one clock. Between two, the other side of
/// a call cannot begin before it, nor after it has ended: then it is put into its middle.
fn skew(parent: &Row, span: &StoredSpan, moved: i64) -> i64 {
    if Arc::ptr_eq(parent.span.source.origin(), span.source.origin()) {
        return moved;
    }
    let (start, length) = (parent.start, parent.span.duration());
    let called = parent.span.kind == SpanKind::Client && span.kind == SpanKind::Server;
    if span.start >= start && (!called || span.start <= start.saturating_add(length)) {
        return 0;
    }
    let aim = start.saturating_add(length.saturating_sub(span.duration()) / 2);
    i64::try_from(i128::from(aim) - i128::from(span.start)).unwrap_or(0)
}
