"""One HTTP request, read so that a stall is noticed and a cancel is obeyed at once.

`requests` does the transport: proxies, certificates and credentials are the person's usual ones. A blocked
socket cannot be interrupted from the thread that waits for it, so the reading happens in a thread of its own; the
caller takes the pieces from a queue, and between two looks gives its `tick` the chance to raise.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeAlias
from urllib.parse import urljoin, urlsplit

import requests

_CHUNK = 1 << 16
_POLL = 0.1
_MAX_RETRY_AFTER = 60.0  # seconds: a server may ask for any time
_MAX_REDIRECTS = 10
_COUNT = r"[0-9]{1,15}"  # a number of bytes; what is longer is nonsense, and Python refuses to read 5,000 digits
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})

Tick: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient a download is.

    Parameters
    ----------
    connect : float
        Seconds to reach a server.
    stall : float
        Seconds in which at least 64 KiB (or the rest of the file) must arrive.
    attempts : int
        Tries in a row, for one address, that bring nothing new.
    backoff : float
        Seconds before the second try; doubled for each further one.
    """

    connect: float = 10.0
    stall: float = 30.0
    attempts: int = 4
    backoff: float = 1.0


class TransferError(Exception):
    """A try failed; another may not."""

    def __init__(self, message: str, retry_after: float = 0.0, *, offline: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.offline = offline


class RangeError(TransferError):
    """The server cannot continue where we stopped: the next try must start at the beginning."""


class RefusedError(Exception):
    """An address will not give the file, however often it is asked."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a server says before it sends bytes.

    Attributes
    ----------
    start : int
        Offset of the first byte that it sends.
    total : int or None
        Bytes of the whole file; None if it does not say.
    validator : str or None
        A strong ETag or a date, for If-Range; None if it gives none that can be trusted.
    content_type : str
        Media type, lower case, without parameters.
    """

    start: int
    total: int | None
    validator: str | None
    content_type: str


class _Session(requests.Session):
    """Follows no redirects: even where it is told not to, `requests` takes the whole body of one into memory."""

    def resolve_redirects(self, *_args: Any, **_more: Any) -> Generator[requests.Response, None, None]:
        yield from ()


class Stream:
    """A running request; use it as a context manager.

    Parameters
    ----------
    url : str
        What to ask for.
    start : int
        Offset to continue from; 0 asks for the whole file.
    validator : str or None
        Sent as If-Range, so that a file that has changed comes whole.
    limits : Limits
        Time-outs.
    tick : callable
        Called about ten times a second while waiting; what it raises goes through, and ends the request.
    """

    def __init__(self, url: str, start: int, validator: str | None, limits: Limits, tick: Tick) -> None:
        self._url, self._start, self._limits, self._tick = url, start, limits, tick
        # Compressed bytes could neither be counted nor taken up in the middle.
        self._headers = {"Accept-Encoding": "identity"}
        if start:
            self._headers["Range"] = f"bytes={start}-"
            if validator:
                self._headers["If-Range"] = validator
        # Bounded, so that a quick line does not fill the memory while the disk is slow.
        self._queue: Queue[Head | bytes | Exception | None] = Queue(maxsize=16)
        self._closed = Event()
        self._response: requests.Response | None = None
        # A daemon: a socket that blocks must not keep the program alive.
        self._thread = Thread(target=self._read, name="napari-sam-download", daemon=True)

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        shutdown = getattr(getattr(self._response, "raw", None), "shutdown", None)
        if shutdown is not None:  # urllib3 >= 2.3; before, the thread ends by its own time-out
            with suppress(ValueError, RuntimeError, OSError):  # the response has ended in the meantime
                shutdown()
        self._thread.join(timeout=1.0)

    def head(self) -> Head:
        """Wait for the answer's head; redirects are followed."""
        item = self._next(self._limits.connect + self._limits.stall)
        if not isinstance(item, Head):
            raise TransferError("it sent no answer")
        return item

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes as they arrive."""
        while isinstance(chunk := self._next(self._limits.stall), bytes):
            yield chunk

    def _next(self, patience: float) -> Head | bytes | None:
        """Take the next piece from the reading thread; raise what it raised."""
        deadline = time.monotonic() + patience
        while True:
            self._tick()
            try:
                item = self._queue.get(timeout=_POLL)
            except Empty:
                if time.monotonic() > deadline:
                    raise TransferError(f"it sent nothing for {patience:.0f} s") from None
                continue
            if isinstance(item, Exception):
                raise item
            return item

    def _read(self) -> None:
        """Body of the reading thread: the head, the chunks, then None or what went wrong."""
        try:
            with _Session() as session, self._get(session) as response:
                self._put(read_head(response, self._start))
                for chunk in response.iter_content(_CHUNK):
                    if not self._put(chunk):
                        return
            self._put(None)
        except (TransferError, RefusedError) as error:
            self._put(error)
        except requests.RequestException as error:
            self._put(_explain(error, self._limits))
        except Exception as error:  # anything else is a bug, to be seen by the caller and not by this thread alone
            self._put(error)

    def _get(self, session: requests.Session) -> requests.Response:
        """Ask, and follow redirects, but never from an encrypted connection to an open one."""
        url = self._url
        for _ in range(_MAX_REDIRECTS):
            timeout = (self._limits.connect, self._limits.stall)
            self._response = response = session.get(url, headers=self._headers, stream=True, timeout=timeout)
            if not response.is_redirect:
                return response
            response.close()
            url = _following(session, response, url)
        raise RefusedError("it redirects without end")

    def _put(self, item: Head | bytes | Exception | None) -> bool:
        """Hand a piece over; return False when nobody wants it any more."""
        while not self._closed.is_set():
            with suppress(Full):
                self._queue.put(item, timeout=_POLL)
                return True
        return False


def _following(session: requests.Session, response: requests.Response, url: str) -> str:
    """Return the address to which the answer of `url` redirects."""
    try:
        following = urljoin(url, session.get_redirect_target(response) or "")
        encrypted = urlsplit(following).scheme == "https"
    except ValueError as error:  # no text, or no address
        raise RefusedError("it redirects to an address that cannot be read") from error
    if urlsplit(url).scheme == "https" and not encrypted:
        raise RefusedError("it redirects to an address without encryption (https)")
    return following


def read_head(response: requests.Response, start: int) -> Head:
    """Turn status and headers into a `Head`, or into the error that they mean."""
    status, headers = response.status_code, response.headers
    if status in _TEMPORARY:
        raise TransferError(f"it answers {_status(response)}", _retry_after(headers.get("Retry-After", "")))
    # 416: what is here already reaches beyond the end of the file.
    if status == 416:
        raise RangeError("it cannot continue where the download stopped")
    if status not in (200, 206):
        raise RefusedError(f"it answers {_status(response)}")
    content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    validator = _validator(headers.get("ETag"), headers.get("Last-Modified"))
    if status == 200:
        # A length is of the bytes on the wire: of no use when the server compresses although asked not to.
        plain = headers.get("Content-Encoding", "identity") == "identity"
        length = headers.get("Content-Length", "")
        return Head(0, int(length) if plain and re.fullmatch(_COUNT, length) else None, validator, content_type)
    parts = re.fullmatch(rf"bytes ({_COUNT})-{_COUNT}/({_COUNT}|\*)", headers.get("Content-Range", ""))
    if parts is None or int(parts[1]) != start:
        raise RangeError("it continues at another place than asked")
    return Head(start, int(parts[2]) if parts[2] != "*" else None, validator, content_type)


def _validator(etag: str | None, modified: str | None) -> str | None:
    """Return what If-Range may carry: RFC 9110, section 13.1.5, forbids weak tags."""
    if etag and not etag.startswith("W/"):
        return etag
    return modified


def _retry_after(value: str) -> float:
    """Read Retry-After in seconds; the form with a date is left to our own backoff."""
    return min(float(value), _MAX_RETRY_AFTER) if value.isdecimal() else 0.0


def _status(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason or ''}".strip()


def _explain(error: requests.RequestException, limits: Limits) -> Exception:
    """Say in a few words what `requests` says in a paragraph."""
    match error:
        case requests.exceptions.ProxyError():
            return TransferError("the proxy cannot be reached (see HTTPS_PROXY)", offline=True)
        case requests.exceptions.SSLError():
            return RefusedError("its certificate is not trusted (a company proxy? see REQUESTS_CA_BUNDLE)")
        case requests.exceptions.ConnectTimeout():
            return TransferError(f"it cannot be reached within {limits.connect:.0f} s", offline=True)
        case requests.exceptions.ReadTimeout():
            return TransferError(f"it sent nothing for {limits.stall:.0f} s")
        case requests.exceptions.ChunkedEncodingError():
            return TransferError("the connection broke off")
        case requests.exceptions.ConnectionError() if "Read timed out" in str(error):
            return TransferError(f"it sent nothing for {limits.stall:.0f} s")
        case requests.exceptions.ConnectionError():
            return TransferError("it cannot be reached", offline=True)
        case _:
            return RefusedError(f"the request failed ({type(error).__name__})")
