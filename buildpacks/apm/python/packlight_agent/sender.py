"""Everything that leaves the process leaves here: bounded queues, one thread, retries, a flush with a deadline.

The app's threads only ever put into a queue that is safe in a signal handler; nothing here raises into the app.
Raw threads and C queues are taken on purpose: gevent's patches must not turn the sender into a greenlet that
stops the app. Next: transport.py (one POST).
"""

import os
import time
from _queue import Empty, SimpleQueue
from _thread import allocate_lock, get_ident, start_new_thread

from .say import say_seldom
from .transport import Failure

# How long an exit may take altogether, in seconds.
EXIT_SECONDS = 2.0
# A batch is given up after so many attempts; between them 1, 2, 4 ... seconds, or what the receiver asks for.
ATTEMPTS, LONGEST_WAIT = 6, 30.0


class _Reentrant:
    """A lock that its thread may take again. No RLock: eventlet looks for every one in the process, replaces it, and
    tells the user about those that it can't. https://github.com/eventlet/eventlet/blob/v0.40.3/eventlet/patcher.py
    """

    def __init__(self):
        self._lock, self._owner, self._depth = allocate_lock(), None, 0

    def acquire(self):
        if self._owner != get_ident():
            self._lock.acquire()
            self._owner = get_ident()
        self._depth += 1

    def release(self):
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._lock.release()

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


# Held while a reader collects: the SDK's own locks are held then, and a child that is forked in that moment would find
# them locked for ever. A callback of the app's may itself fork while it is asked, so the same thread may have it twice.
COLLECTING = _Reentrant()
os.register_at_fork(
    before=COLLECTING.acquire, after_in_parent=COLLECTING.release, after_in_child=COLLECTING.release
)


class Pipeline:
    """One signal's queue. `encode(items)` makes the body, `transport` posts it."""

    def __init__(self, what, transport, encode, timeout, capacity=2048, batch=512, delay=1.0):
        self.what, self.transport, self.encode, self.timeout = what, transport, encode, timeout
        self.capacity, self.batch, self.delay = capacity, min(batch, capacity), delay
        self.collect = None
        self.period = None
        self.reset()

    def reset(self):
        """An empty queue, as a forked child needs it: what the parent has queued, the parent sends."""
        self.items = SimpleQueue()
        self.dropped = 0
        self.since = self.pending = None
        self.attempt, self.retry_at = 0, 0.0
        self.next_collect = time.monotonic() + self.period if self.period else None
        self.transport.forget()

    def due(self, now):
        """When something is to be done next; None: nothing waits."""
        times = [self.next_collect] if self.next_collect is not None else []
        if self.pending is not None:
            times.append(self.retry_at)
        elif self.items.qsize():
            self.since = self.since if self.since is not None else now
            times.append(now if self.items.qsize() >= self.batch else self.since + self.delay)
        return min(times) if times else None

    def step(self, deadline=None):
        """Does what is due: collects, takes a batch, sends it. With a deadline: all of it, one attempt each."""
        now = time.monotonic()
        if self.next_collect is not None and (deadline is not None or now >= self.next_collect):
            self.next_collect = now + self.period
            with COLLECTING:
                self.collect()
        while self.pending is not None or self.items.qsize():
            if self.pending is None:
                self._take()
            if self.pending is not None and not self._send(deadline):
                return
            if deadline is None and self.items.qsize() < self.batch:
                return

    def _take(self):
        items = []
        while len(items) < self.batch:
            try:
                items.append(self.items.get_nowait())
            except Empty:
                break
        self.since, self.attempt = None, 0
        if items:
            try:
                self.pending = (self.encode(items), len(items))
            except Exception as problem:
                self._lost(len(items), f"could not be encoded ({type(problem).__name__}: {problem})")

    def _send(self, deadline):
        body, count = self.pending
        timeout = self.timeout if deadline is None else min(self.timeout, deadline - time.monotonic())
        if timeout <= 0:
            self._lost(count, "were not sent: the process ends")
            return False
        try:
            self.transport.post(body, timeout)
        except Failure as failure:
            self.attempt += 1
            final = deadline is not None or self.attempt >= ATTEMPTS or failure.retry_after is None
            if final:
                more = f" ({self.items.qsize()} more wait)" if self.items.qsize() else ""
                self._lost(count, f"could not be sent: {failure}{more}")
            else:
                wait = failure.retry_after or 2.0 ** (self.attempt - 1)
                self.retry_at = time.monotonic() + min(wait, LONGEST_WAIT)
                say_seldom(self.what, f"{self.what} wait: {failure}")
            return False
        self.pending = None
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            say_seldom(self.what + " full", f"{dropped} {self.what} were dropped: the queue of {self.capacity} was full")
        return True

    def _lost(self, count, why):
        self.pending = None
        count += self.dropped
        self.dropped = 0
        say_seldom(self.what + " lost", f"{count} {self.what} {why}")


class Sender:
    """The thread behind all pipelines of this process; started with the first item, again in a forked child."""

    def __init__(self):
        self.pipelines = []
        # What else is to be done before an end.
        self.closing = []
        self.thread = None
        self.late = False
        self.exit_seconds = EXIT_SECONDS
        self._reset()
        os.register_at_fork(after_in_parent=self._share, after_in_child=self._forked)

    def _share(self):
        """A server and its workers end one after the other: together they take no longer than one alone."""
        self.exit_seconds = EXIT_SECONDS / 2

    def _forked(self):
        self._share()
        self._reset()

    def _reset(self):
        self._wake = SimpleQueue()
        self._idle = False
        self._start = allocate_lock()
        self.thread = None
        self.late = False
        for pipeline in self.pipelines:
            pipeline.reset()
        if any(pipeline.period for pipeline in self.pipelines):
            self.ensure()

    def add(self, pipeline):
        """A pipeline that `put` and the thread serve from now on."""
        self.pipelines.append(pipeline)
        if pipeline.period:
            pipeline.reset()
            self.ensure()
        return pipeline

    def put(self, pipeline, item):
        """Queues an item, or counts it as dropped when the queue is full. Safe in a signal handler."""
        size = pipeline.items.qsize()
        if size >= pipeline.capacity:
            pipeline.dropped += 1
            return
        pipeline.items.put(item)
        self.ensure()
        if self._idle or size + 1 == pipeline.batch:
            self._idle = False
            self._wake.put(None)

    def ensure(self):
        """Starts the thread unless it runs. The lock is never released: it is the flag that it was started."""
        if self.thread is None and self._start.acquire(False):
            try:
                self.thread = start_new_thread(self._run, (self._wake,))
            except RuntimeError:
                # The interpreter is ending: the flush will do the sending itself.
                self.thread = 0

    def mine(self):
        """Is the caller the sender's own thread?"""
        return self.thread is not None and self.thread == get_ident()

    def flush(self, seconds=None):
        """Sends all that is queued; waits at most so long; True when it was sent in time. Never raises."""
        for each in self.closing:
            each()
        if self.thread is None or self.late:
            return self.thread is None
        seconds = self.exit_seconds if seconds is None else seconds
        deadline = time.monotonic() + seconds
        if self.thread == 0 or self.mine():
            self._flush(deadline)
            return True
        done = SimpleQueue()
        self._wake.put((deadline, done))
        try:
            return done.get(timeout=seconds)
        except Empty:
            waiting = sum(p.items.qsize() + (p.pending[1] if p.pending else 0) for p in self.pipelines)
            say_seldom("late", f"{waiting} items were not sent within {seconds:g} s")
            # A receiver that swallows everything is waited for once, not by every exit handler in turn.
            self.late = True
            return False

    def _flush(self, deadline):
        for pipeline in self.pipelines:
            pipeline.step(deadline)

    def _run(self, wake):
        _suppress()
        while wake is self._wake:
            try:
                token = self._wait(wake)
                if token is None:
                    now = time.monotonic()
                    for pipeline in self.pipelines:
                        due = pipeline.due(now)
                        if due is not None and due <= now:
                            pipeline.step()
                else:
                    deadline, done = token
                    self._flush(deadline)
                    self.late = False
                    done.put(True)
            except Exception as problem:
                say_seldom("sender", f"sending failed ({type(problem).__name__}: {problem})")
                time.sleep(1)

    def _wait(self, wake):
        now = time.monotonic()
        due = [at for at in (pipeline.due(now) for pipeline in self.pipelines) if at is not None]
        try:
            if due:
                return wake.get(timeout=max(0.0, min(due) - now))
            self._idle = True
            if any(pipeline.items.qsize() for pipeline in self.pipelines):
                return None
            return wake.get()
        except Empty:
            return None
        finally:
            self._idle = False


def _suppress():
    """What this thread does is not to be observed itself."""
    import sys

    context = sys.modules.get("opentelemetry.context")
    if context is not None:
        key = getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
        context.attach(context.set_value("suppress_instrumentation", True, context.set_value(key, True)))
