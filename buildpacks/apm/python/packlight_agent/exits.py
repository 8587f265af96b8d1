"""The ends of a process: interpreter exit, SIGTERM, a multiprocessing or celery child; each flushes once, in time."""

import atexit
import os

from . import imports


class Flush:
    """A vendor's own function as what `watch` wants: it never raises, and whoever waits for it waits two seconds at most.

    In a thread, since a signal comes while the main one may hold a lock that the function needs.
    """

    def __init__(self, function):
        self._function = function

    def flush(self):
        try:
            import threading

            thread = threading.Thread(target=self._run, name="packlight-flush", daemon=True)
            thread.start()
            thread.join(2.0)
        except Exception:
            pass  # a thread that can't be started any more: the vendor's own exit handler is next

    def _run(self):
        try:
            self._function()
        except Exception:
            pass  # the process ends: nobody is helped by a word on what it could not send


def watch(flush):
    """Calls `flush` (which never raises and takes at most two seconds) before this process or a child of it ends."""
    atexit.register(flush)
    # Children of multiprocessing (and of billiard, celery's copy of it) leave by os._exit: atexit never runs there.
    for module in ("multiprocessing.util", "billiard.util"):
        imports.when(module, lambda util: _watch_children(util, flush))
    imports.when("billiard.pool", lambda pool: _watch_pool(pool, flush))
    imports.when("uvicorn.server", lambda server: _watch_uvicorn(server, flush))
    _watch_sigterm(flush)


def _watch_children(util, flush):
    def in_child(_):
        util.Finalize(None, flush, exitpriority=-100)

    util.register_after_fork(flush.__self__, in_child)
    # A spawned child begins as a new interpreter: nothing is run "after fork" in it.
    util.Finalize(None, flush, exitpriority=-100)


def _watch_pool(pool, flush):
    # A worker of celery's that has done its number of tasks leaves past everything above.
    # https://github.com/open-telemetry/opentelemetry-python-contrib/issues/4916
    inner = pool.Worker._do_exit

    def _do_exit(self, *args, **kwargs):
        flush()
        return inner(self, *args, **kwargs)

    pool.Worker._do_exit = _do_exit


def _watch_uvicorn(server, flush):
    # When it has shut down, it sends itself the signal that asked it to, and below gunicorn that has its default action then:
    # nothing runs any more. https://github.com/encode/uvicorn/pull/1600
    inner = server.Server.shutdown

    async def shutdown(self, *args, **kwargs):
        await inner(self, *args, **kwargs)
        flush()

    server.Server.shutdown = shutdown


def _watch_sigterm(flush):
    import _signal

    def end(number, _frame):
        flush()
        _signal.signal(number, _signal.SIG_DFL)
        if os.getpid() == 1:
            # The kernel keeps a default action away from process 1.
            os._exit(128 + number)
        os.kill(os.getpid(), number)

    # A handler of the app's own (gunicorn, uvicorn) replaces this one and ends in an ordinary exit.
    try:
        if _signal.getsignal(_signal.SIGTERM) in (0, _signal.SIG_DFL):
            _signal.signal(_signal.SIGTERM, end)
    except (ValueError, AttributeError):
        pass  # not the main thread


