"""Bring a file, such as a checkpoint, from the network to the disk, whole and right or not at all.

Made on `requests`, because none of the well-kept download helpers does all that two gigabytes over a clinic's network
ask for: pooch neither resumes nor cancels, huggingface_hub serves one host. What is added here: resume, mirrors, stall
and cancel, a checksum before the file gets its name, and a message that says what to do.
"""

from __future__ import annotations

import errno
import shutil
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from napari_sam.checkpoints.container import is_web_page
from napari_sam.checkpoints.download.partial import Partial, forget
from napari_sam.checkpoints.download.source import DownloadSource, by_hand, disk_error
from napari_sam.checkpoints.download.transport import Head, Limits, RangeError, RefusedError, Stream, TransferError
from napari_sam.errors import WeightsError
from napari_sam.files import clear_way, format_bytes, part_path
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sam.progress import Progress

__all__ = ["DownloadSource", "Limits", "by_hand", "clear", "download", "partial_size"]

_LOCK_POLL = 0.2  # seconds between two looks at whether to cancel
_POLL = 0.1
_MAX_BACKOFF = 30.0


def download(
    source: DownloadSource,
    target: Path,
    progress: Progress = no_progress,
    *,
    replace: bool = False,
    limits: Limits | None = None,
) -> None:
    """Download `source` to `target`.

    Bytes gather in ``target.part``; they stay there when the download is cancelled or fails, and the next call goes on
    from them. The file gets its name only when its checksum is right. Of several processes that ask for the same
    file, one downloads and the others wait.

    Parameters
    ----------
    source : DownloadSource
        What to download.
    target : Path
        Where to put it; missing folders are made.
    progress : Progress
        Called about ten times a second, also while nothing arrives; may raise `Cancelled`.
    replace : bool
        Download even if `target` exists, and replace it in the end: for a damaged file.
    limits : Limits, optional
        Time-outs and tries.

    Raises
    ------
    WeightsError
        If no address gives the right file, or it cannot be written; the message says what to do.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target, progress):
            # Asked with the lock held: another process may have brought it meanwhile.
            if replace or not target.is_file():
                if target.is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{target.name} is a folder there")
                with Partial(target, source.checksum[0] if source.checksum else None) as partial:
                    _Download(source, target, partial, progress, limits or Limits()).run()
    except OSError as error:
        raise disk_error(error, source, target) from error


def partial_size(target: Path) -> int:
    """Bytes of an unfinished download of `target`; 0 if there is none."""
    try:
        found = part_path(target).lstat()
    except FileNotFoundError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def clear(target: Path) -> None:
    """Delete whatever downloads of `target` left beside it."""
    forget(target)
    _lock_path(target).unlink(missing_ok=True)


def _lock_path(target: Path) -> Path:
    return target.with_name(target.name + ".lock")


@contextmanager
def _alone(target: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of `target`; whoever waits for it can still cancel."""
    # A link that somebody put there would be written through.
    clear_way(_lock_path(target))
    lock = FileLock(_lock_path(target))
    while True:
        try:
            lock.acquire(timeout=_LOCK_POLL)
            break
        except Timeout:
            progress(0.0)  # the process that has the lock shows how far it is
    try:
        yield
    finally:
        lock.release()


@dataclass
class _Download:
    """One call of `download`, with its lock held."""

    source: DownloadSource
    target: Path
    partial: Partial
    progress: Progress
    limits: Limits
    failures: list[str] = field(default_factory=list)
    offline: bool = True

    def run(self) -> None:
        """Try every address in turn."""
        # More bytes than the file has: they are of something else.
        if partial_size(self.target) > self.source.bound:
            forget(self.target)
        self.partial.open(self._tick)
        for url in self.source.urls:
            failure = self._from(url)
            if failure is None:
                self.partial.install()
                self.progress(1.0)
                return
            self.failures.append(f"{urlsplit(url).hostname}: {failure}")
        raise WeightsError(self._advice())

    def _from(self, url: str) -> str | None:
        """Try one address as often as it is worth it; return None when the whole, right file is here, or why not."""
        may_resume = True
        best = self.partial.have
        barren, failure = 0, ""
        while barren < self.limits.attempts:
            wait = self.limits.backoff * 2**barren
            try:
                # A part that has every byte is only compared.
                if not self._complete():
                    self._transfer(url, may_resume=may_resume)
                problem = self._problem()
                if problem is None:
                    return None
                self.offline = False
                # Only bytes of several requests can be a mixture: those of one are what the server has.
                mixture, best = self.partial.resumed, 0
                self.partial.restart()
                if not mixture:
                    return problem
                failure, may_resume, wait = problem, False, 0.0  # perhaps the part from earlier was bad
            except RangeError as error:
                failure, may_resume, wait = str(error), False, 0.0
            except TransferError as error:
                failure, wait = str(error), max(wait, error.retry_after)
                self.offline &= error.offline
            except RefusedError as error:
                self.offline = False
                return str(error)
            # Tries count while nothing new comes: on a bad line it may go on a hundred times.
            barren = 0 if self.partial.have > best else barren + 1
            best = max(best, self.partial.have)
            if barren < self.limits.attempts:
                self._pause(min(wait, _MAX_BACKOFF))
        return failure

    def _transfer(self, url: str, *, may_resume: bool) -> None:
        """Make one request and take in what it brings."""
        start, validator = self._resume_point(url) if may_resume else (0, None)
        with Stream(url, start, validator, self.limits, self._tick) as stream:
            head = stream.head()
            self._check_head(head)
            chunks = stream.chunks()
            first = next(chunks, b"")
            # Looked at before a byte of the part is dropped: a login page must not cost 2 GB that are already here.
            if head.start == 0 and (is_web_page(first) or head.content_type == "text/html"):
                raise RefusedError("it sends a web page instead of the file (a login page, or a proxy?)")
            self.partial.begin(url, head)
            self._check_space()
            self._take(first)
            for chunk in chunks:
                self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        """Keep a chunk, and stop when more comes than the file has."""
        self.partial.write(chunk)
        if self.partial.have > self.source.bound:
            self.partial.restart()
            raise RefusedError(f"it sends more than {self._bound_text()}")

    def _resume_point(self, url: str) -> tuple[int, str | None]:
        """Where to go on, and the condition under which the server may.

        Bytes of another address, or with nothing to recognise the file by, are continued only if a checksum will tell
        a mixture from the file.
        """
        same = self.partial.url == url and self.partial.validator is not None
        if same:
            return self.partial.have, self.partial.validator
        return (self.partial.have, None) if self.source.checksum else (0, None)

    def _check_head(self, head: Head) -> None:
        """Refuse a file of another length before any of it is read."""
        size = self.source.size
        if size is not None and head.total is not None and head.total != size:
            raise RefusedError(f"it offers {format_bytes(head.total)} instead of {format_bytes(size)}: another file")
        if head.total is not None and head.total > self.source.bound:
            raise RefusedError(f"it offers {format_bytes(head.total)}, more than {self._bound_text()}")
        known = (self.partial.total, self.partial.validator)
        if head.start and self.partial.url is not None and None not in known and (head.total, head.validator) != known:
            raise RangeError("the file there has changed since the download began")

    def _check_space(self) -> None:
        """Say that the disk is too small before it is full."""
        total = self._total()
        if total is not None and shutil.disk_usage(self.target.parent).free < total - self.partial.have:
            raise OSError(errno.ENOSPC, "not enough space")

    def _complete(self) -> bool:
        """Whether every byte is here, as far as that can be known without asking."""
        return self.source.size is not None and self.partial.have == self.source.size

    def _problem(self) -> str | None:
        """Say what is wrong with the whole file, or return None."""
        size, have = self.source.size, self.partial.have
        if size is not None and have != size:
            return f"it sent {format_bytes(have)} ({have} bytes) instead of {format_bytes(size)} ({size} bytes)"
        if self.source.checksum is None:
            self.partial.flush()
            return self.source.check(part_path(self.target), lambda _: self._tick())
        algorithm, expected = self.source.checksum
        if self.partial.digest() == expected:
            return None
        return f"the file there differs from what its authors published (another {algorithm} checksum)"

    def _bound_text(self) -> str:
        kind = "a file of its kind has" if self.source.size is None else "the file has"
        return f"the {format_bytes(self.source.bound)} that {kind}"

    def _total(self) -> int | None:
        return self.source.size or self.partial.total

    def _tick(self) -> None:
        """Report, which is also where a cancel comes in."""
        total = self._total()
        self.progress(min(self.partial.have / total, 1.0) if total else 0.0)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._tick()
            time.sleep(min(left, _POLL))

    def _advice(self) -> str:
        """Say what went wrong at every address, and the way out."""
        lead = f"Could not download {self.source.name}."
        if self.offline:
            lead += " Is this machine offline, or behind a proxy (HTTPS_PROXY)?"
        tried = " ".join(f"{failure}." for failure in self.failures)
        kept = (
            f" The {format_bytes(self.partial.have)} that are here are kept: try again to go on."
            if self.partial.have
            else ""
        )
        return f"{lead} {tried}{kept} {by_hand(self.source)}"
