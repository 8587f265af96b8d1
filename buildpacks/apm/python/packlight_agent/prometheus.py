"""A page for Prometheus: one port for a server and all its workers, and one sum of what they have counted.

Every process that has metrics answers on a socket of its own in a folder that they share. Whoever gets the port asks the
others when Prometheus asks, and adds up; when its process ends, another one gets it. What an ended process has counted
stays in a file, so that a counter never goes back. Sockets are the interpreter's own (`_socket`), so that gevent's
patches don't turn a waiting thread into a greenlet that stops the app. Next: exposition.py, the text itself.
"""

import json
import os
import tempfile
import time
from _queue import Empty, SimpleQueue
from _thread import start_new_thread

from . import exposition
from .say import say_seldom
from .sender import COLLECTING
from .settings import number, text

FOLDER = "PACKLIGHT_PROMETHEUS_DIR"
_AGAIN = 1.0
_CLOSING = 1.5
_LONGEST = 5.0
_MOST = 64 << 10


def announce():
    """Names the folder, before any process of the app is started: all of them inherit the name."""
    name = f"packlight-prometheus-{os.getuid()}-{os.getpid()}"
    os.environ.setdefault(FOLDER, os.path.join(tempfile.gettempdir(), name))


class Scrape:
    """This process's part. `collect()` makes the reader deliver to `receive`."""

    def __init__(self, collect):
        self.host = text("OTEL_EXPORTER_PROMETHEUS_HOST", "localhost")
        self.port = number("OTEL_EXPORTER_PROMETHEUS_PORT", 9464)
        self.folder = os.environ.get(FOLDER, "")
        self.collect, self.families = collect, []
        self.open = []
        self._start()
        os.register_at_fork(after_in_child=self._forked)

    def receive(self, data):
        """What the reader has collected."""
        self.families = exposition.families(data)

    def state(self):
        """What this process has counted until now."""
        with COLLECTING:
            self.collect()
            return self.families

    def close(self):
        """Leaves what was counted to whoever answers next; called before the process ends, perhaps more than once.

        In a thread of its own: a signal may have stopped the app's in the middle of counting.
        """
        done = SimpleQueue()
        try:
            start_new_thread(lambda: (self._close(), done.put(None)), ())
            done.get(timeout=_CLOSING)
        except (Empty, RuntimeError):
            # RuntimeError: an interpreter that is shutting down starts no thread any more.
            say_seldom("prometheus end", f"the last metrics of process {os.getpid()} are lost")

    def _close(self):
        try:
            kept = exposition.lasting(self.state())
            path = os.path.join(self.folder, f"{os.getpid()}.ended")
            if kept and os.path.isdir(self.folder):
                with open(path + ".new", "w", encoding="utf-8") as file:
                    json.dump(kept, file)
                os.rename(path + ".new", path)
        except Exception as problem:
            say_seldom("prometheus end", f"the last metrics of process {os.getpid()} are lost ({problem})")

    def _start(self):
        start_new_thread(self._guarded, (self._answer_others, "metrics of this process are not added to the others'"))
        start_new_thread(self._guarded, (self._answer_prometheus, f"nothing waits for Prometheus on port {self.port}"))

    def _forked(self):
        # The parent's sockets, which only the parent's threads serve.
        for each in self.open:
            try:
                os.close(each.detach())
            except OSError:
                pass
        self.open, self.families = [], []
        self._start()

    def _guarded(self, serve, lost):
        try:
            serve()
        except Exception as problem:
            say_seldom(serve.__name__, f"{lost} ({type(problem).__name__}: {problem})")

    def _answer_others(self):
        import _socket

        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        path = os.path.join(self.folder, f"{os.getpid()}.socket")
        if os.path.exists(path):
            os.unlink(path)
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(8)
        self.open.append(listener)
        for connection in _connections(listener):
            _send(connection, json.dumps(self.state()).encode())

    def _answer_prometheus(self):
        listener = self._port()
        for connection in _connections(listener):
            start_new_thread(self._guarded, (lambda it=connection: self._page(it), "a question of Prometheus' was lost"))

    def _port(self):
        """The port, once no other process of this app has it."""
        import _socket

        while True:
            family, kind, protocol, _, address = _socket.getaddrinfo(self.host, self.port, 0, _socket.SOCK_STREAM)[0]
            listener = _socket.socket(family, kind, protocol)
            try:
                listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
                listener.bind(address)
                listener.listen(16)
                self.open.append(listener)
                return listener
            except OSError:
                listener.close()
                self._say_foreign()
                time.sleep(_AGAIN)

    def _say_foreign(self):
        """Another program has the port when no other process of this app is there to have it."""
        others = [it for it in _names(self.folder) if it.endswith(".socket") and it != f"{os.getpid()}.socket"]
        if not others:
            say_seldom("prometheus port", f"port {self.port} of {self.host} is taken: nothing waits for Prometheus", 3600)

    def _page(self, connection):
        import _socket

        inner = _socket.socket(fileno=connection)
        try:
            inner.settimeout(_LONGEST)
            question = b""
            while b"\r\n\r\n" not in question and len(question) < _MOST:
                part = inner.recv(4096)
                if not part:
                    return
                question += part
            words = question.split(b"\r\n", 1)[0].split(b" ")
            path = words[1].split(b"?")[0] if len(words) == 3 else b""
            if words[0] not in (b"GET", b"HEAD") or path not in (b"/metrics", b"/"):
                inner.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            body = exposition.text(self._everything()).encode("utf-8", "replace")
            head = f"HTTP/1.1 200 OK\r\ncontent-type: {exposition.CONTENT_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            inner.sendall(head.encode() + (b"" if words[0] == b"HEAD" else body))
        finally:
            _end(inner)

    def _everything(self):
        """What each process has counted, by its id: the living are asked, of the others there is a file."""
        own = str(os.getpid())
        found, alive = [(own, self.state())], {own}
        names = _names(self.folder)
        for name in names:
            pid, _, kind = name.partition(".")
            if kind == "socket" and pid != own:
                answer = _ask(os.path.join(self.folder, name))
                if answer is not None:
                    alive.add(pid)
                    found.append((pid, answer))
        for name in names:
            pid, _, kind = name.partition(".")
            if kind == "ended" and pid not in alive:
                found.append((pid, _read(os.path.join(self.folder, name)) or []))
        return found


def _names(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def _ask(path):
    """What the process behind a socket has counted; a socket that nobody answers is cleared away."""
    import _socket

    asker = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        asker.settimeout(_LONGEST)
        asker.connect(path)
        parts = []
        while part := asker.recv(1 << 16):
            parts.append(part)
        return json.loads(b"".join(parts))
    except ConnectionRefusedError:
        try:
            os.unlink(path)
        except OSError:
            pass
        return None
    except (OSError, ValueError):
        return None
    finally:
        asker.close()


def _connections(listener):
    """File descriptors of those who connect."""
    while True:
        try:
            descriptor, _ = listener._accept()
        except OSError:
            if listener.fileno() < 0:
                return
            time.sleep(_AGAIN)
            continue
        yield descriptor


def _send(connection, body):
    import _socket

    inner = _socket.socket(fileno=connection)
    try:
        inner.settimeout(_LONGEST)
        inner.sendall(body)
    except OSError:
        pass
    finally:
        _end(inner)


def _end(inner):
    """Ends a connection, of which a child that was forked meanwhile may have a copy."""
    import _socket

    try:
        inner.shutdown(_socket.SHUT_RDWR)
    except OSError:
        pass
    inner.close()
