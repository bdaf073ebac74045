"""A loopback server that misbehaves on request, and fixtures for it: import those into a conftest."""

from __future__ import annotations

import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ETAG = '"version-1"'


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.requests[self.path].append(dict(self.headers))
        answers = self.server.answers[self.path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)

    def log_message(self, *_: object) -> None:
        pass

    def start(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Connection", "close")
        self.end_headers()

    def offset(self) -> int:
        """Where the client wants to go on."""
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Callable[[Handler], None]]] = {}
        self.requests: dict[str, list[dict[str, str]]] = defaultdict(list)
        self.release = threading.Event()  # lets stalled answers go at the end of a test

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what is tested here."""

    def serve(self, path: str, *answers: Callable[[Handler], None]) -> str:
        """Answer requests for `path` in turn; the last answer is given for ever."""
        self.answers[path] = list(answers)
        return f"http://127.0.0.1:{self.server_port}{path}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stands between the tests and the loopback server."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Answers:
    """What servers do, well and badly."""

    @staticmethod
    def whole(body: bytes, *, etag: str | None = ETAG, ranges: bool = True) -> Callable[[Handler], None]:
        def answer(handler: Handler) -> None:
            headers = {"ETag": etag} if etag else {}
            condition = handler.headers.get("If-Range")
            start = handler.offset() if ranges and condition in (None, etag) else 0
            if start >= len(body):
                handler.start(416, Content_Range=f"bytes */{len(body)}", Content_Length=0)
                return
            if start:
                headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            handler.start(206 if start else 200, Content_Length=len(body) - start, **headers)
            handler.wfile.write(body[start:])

        return answer

    @staticmethod
    def cut(body: bytes, after: int, *, etag: str | None = ETAG) -> Callable[[Handler], None]:
        """Promise everything from the offset asked, send `after` bytes of it, hang up."""

        def answer(handler: Handler) -> None:
            start = handler.offset()
            headers: dict[str, object] = {"ETag": etag} if etag else {}
            if start:
                headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            handler.start(206 if start else 200, Content_Length=len(body) - start, **headers)
            handler.wfile.write(body[start : start + after])

        return answer

    @staticmethod
    def stall(server: Server, body: bytes, after: int) -> Callable[[Handler], None]:
        """Send `after` bytes and fall silent without hanging up."""

        def answer(handler: Handler) -> None:
            start = handler.offset()
            headers: dict[str, object] = {"ETag": ETAG}
            if start:
                headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            handler.start(206 if start else 200, Content_Length=len(body) - start, **headers)
            handler.wfile.write(body[start : start + after])
            handler.wfile.flush()
            server.release.wait(20)

        return answer

    @staticmethod
    def status(code: int, **headers: object) -> Callable[[Handler], None]:
        return lambda handler: handler.start(code, Content_Length=0, **headers)

    @staticmethod
    def page(status: int = 200, content_type: str = "text/html; charset=utf-8") -> Callable[[Handler], None]:
        body = b"<!DOCTYPE html><html><body>Please log in</body></html>"

        def answer(handler: Handler) -> None:
            handler.start(status, Content_Type=content_type, Content_Length=len(body))
            handler.wfile.write(body)

        return answer


@pytest.fixture
def answers() -> type[Answers]:
    return Answers
