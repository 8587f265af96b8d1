"""One POST after another to one OTLP receiver, over a connection that is kept; the standard library only.

It does not decide about retries: it says what happened. Next: sender.py.
"""

import gzip
import os
import time
from urllib.parse import urlsplit

RETRYABLE = (429, 502, 503, 504)
ANSWER_BYTES = 4096


class Failure(Exception):
    """A request that was not accepted: `retry_after` is in seconds, None when a repetition can't help."""

    def __init__(self, text, retry_after=None):
        super().__init__(text)
        self.retry_after = retry_after


class Transport:
    """Posts bodies of one signal; not for two threads at a time."""

    def __init__(self, otlp):
        self._otlp = otlp
        self._connection = None

    def forget(self):
        """Drops the connection without a word to the other side: in a forked child it is the parent's."""
        self._connection = None

    def post(self, body, timeout):
        """Sends the body; raises `Failure`."""
        headers = {"content-type": self._otlp.content_type, "user-agent": "packlight-python", **self._otlp.headers}
        if self._otlp.gzip:
            body, headers["content-encoding"] = gzip.compress(body, 5), "gzip"
        reused = self._connection is not None
        try:
            status, reason, after, answer = self._exchange(body, headers, timeout)
        except Exception as problem:
            self._close()
            # A kept connection may have been closed by the receiver meanwhile: that is no failure yet.
            if not reused or isinstance(problem, TimeoutError):
                raise self._unreachable(problem) from None
            try:
                status, reason, after, answer = self._exchange(body, headers, timeout)
            except Exception as again:
                self._close()
                raise self._unreachable(again) from None
        if not 200 <= status < 300:
            self._refused(status, reason, after, answer)

    def _exchange(self, body, headers, timeout):
        if self._connection is None:
            self._connection = self._connect(timeout)
        self._connection.timeout = timeout
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        self._connection.request("POST", self._target, body, {**headers, **self._proxy_headers})
        response = self._connection.getresponse()
        answer = response.read(ANSWER_BYTES)
        after = response.getheader("retry-after")
        if not response.isclosed() or response.will_close:
            self._close()
        return response.status, response.reason, after, answer

    def _connect(self, timeout):
        import http.client

        parts = urlsplit(self._otlp.url)
        host, port, secure = parts.hostname, parts.port, parts.scheme == "https"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._proxy_headers = _basic("authorization", parts)
        proxy = _proxy(parts.scheme, parts.netloc.rpartition("@")[2])
        if proxy is not None:
            return self._through(proxy, parts, secure, timeout)
        if secure:
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls())
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _through(self, proxy, parts, secure, timeout):
        import http.client

        if not secure:
            self._target = f"http://{parts.netloc.rpartition('@')[2]}{self._target}"
            self._proxy_headers = {**self._proxy_headers, **_basic("proxy-authorization", proxy)}
            return http.client.HTTPConnection(proxy.hostname, proxy.port or 80, timeout=timeout)
        connection = http.client.HTTPSConnection(proxy.hostname, proxy.port or 80, timeout=timeout, context=self._tls())
        connection.set_tunnel(parts.hostname, parts.port or 443, _basic("Proxy-Authorization", proxy))
        return connection

    def _tls(self):
        import ssl

        context = ssl.create_default_context(cafile=self._otlp.certificate)
        if self._otlp.client_certificate:
            context.load_cert_chain(self._otlp.client_certificate, self._otlp.client_key)
        return context

    def _close(self):
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        except Exception:
            pass

    def _unreachable(self, problem):
        hint = ""
        if ":4317" in self._otlp.shown and type(problem).__name__ in ("BadStatusLine", "RemoteDisconnected", "ConnectionResetError"):
            hint = "; 4317 is the port of OTLP over gRPC, HTTP is usually on 4318"
        return Failure(f"{self._otlp.shown}: {_words(problem)}{hint}", retry_after=0)

    def _refused(self, status, reason, after, answer):
        text = f"{self._otlp.shown} answered {status} {reason}"
        if status in RETRYABLE:
            raise Failure(text, retry_after=_retry_after(after))
        if status == 404 and not self._otlp.url.endswith(f"/v1/{self._otlp.signal}"):
            name = f"OTEL_EXPORTER_OTLP_{self._otlp.signal.upper()}_ENDPOINT"
            text += f"; {name} is used as it is, and receivers listen on /v1/{self._otlp.signal}"
        elif status in (401, 403):
            text += "; are the credentials in OTEL_EXPORTER_OTLP_HEADERS?"
        elif status == 415 and self._otlp.json:
            text += "; the receiver takes no JSON, leave OTEL_EXPORTER_OTLP_PROTOCOL out"
        raise Failure(text)


def _words(problem):
    text = str(problem.args[-1] if isinstance(problem, OSError) and problem.args else problem) or type(problem).__name__
    return text[:200]


def _retry_after(value):
    if not value:
        return 0
    try:
        return max(0.0, float(value))
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (TypeError, ValueError):
            return 0


def _basic(header, parts):
    if not parts.username:
        return {}
    from base64 import b64encode
    from urllib.parse import unquote

    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {header: "Basic " + b64encode(pair.encode()).decode()}


def _proxy(scheme, host):
    name = f"{scheme}_proxy"
    # An upper-case HTTP_PROXY may be a request header in a CGI program (httpoxy).
    value = os.environ.get(name) or (
        os.environ.get(name.upper()) if scheme == "https" or "REQUEST_METHOD" not in os.environ else None
    )
    if not value:
        return None
    from urllib.request import proxy_bypass_environment

    if proxy_bypass_environment(host) or host.rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]"):
        return None
    return urlsplit(value if "://" in value else "http://" + value)
