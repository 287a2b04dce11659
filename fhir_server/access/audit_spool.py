"""Audit records on local disk until they are in MongoDB: one write(2) for each request, before its answer leaves.

What was written is in the kernel's hands, so killing the process loses nothing; only a machine that loses its power may
lose what was not yet shipped, which is less than a second. When the disk or the spool is full, requests are refused.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import Unavailable

SEGMENT_BYTES = 8 * 1024 * 1024
SPOOL_BYTES = 1024 * 1024 * 1024
"""What may wait for MongoDB: about three million requests."""
FREE_BYTES = 64 * 1024 * 1024
SUFFIX = ".spool"
FULL = "The audit trail cannot be written now, and nothing is answered without it. Try again later."


class Spool:
    """The records of one process, in segments that others may read and, once they are let go, remove. Thread-safe."""

    def __init__(self, directory: Path, *, segment_bytes: int = SEGMENT_BYTES, spool_bytes: int = SPOOL_BYTES) -> None:
        self.directory = directory
        self._segment_bytes, self._spool_bytes = segment_bytes, spool_bytes
        self._lock = threading.Lock()
        self._file = -1
        self._written = 0
        self._failed = False

    def refuse_when_full(self) -> None:
        """Raises Unavailable when the next record could not be kept: before anything is done that it would tell of."""
        if self._failed or self._file < 0:
            with self._lock:
                self._next_segment()

    def write(self, line: bytes) -> None:
        """Keep a record. Raises Unavailable when that is not possible; the request must then be refused."""
        with self._lock:
            if self._file < 0 or self._written >= self._segment_bytes:
                self._next_segment()
            try:
                whole = os.write(self._file, line) == len(line)
            except OSError as error:
                self._failed = True
                raise Unavailable(FULL, retry_after=10) from error
            self._written += len(line)
            if not whole:
                # The reader passes over a line that has no end only where the segment ends.
                self._failed = True
                raise Unavailable(FULL, retry_after=10)

    def close(self) -> None:
        """Let go of the segment."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _next_segment(self) -> None:
        self._let_go()
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            disk = os.statvfs(self.directory)
            waiting = sum(each.stat().st_size for each in segments(self.directory))
            if disk.f_bavail * disk.f_frsize < FREE_BYTES or waiting >= self._spool_bytes:
                raise Unavailable(FULL, retry_after=10)
            name = f"{time.time_ns():020d}-{os.getpid()}"
            begun = self.directory / f"{name}.new"
            descriptor = os.open(begun, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            # The name that readers look for comes after the lock: they remove segments that nobody holds.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            begun.rename(self.directory / f"{name}{SUFFIX}")
        except OSError as error:
            self._failed = True
            raise Unavailable(FULL, retry_after=10) from error
        self._file, self._written, self._failed = descriptor, 0, False


def segments(directory: Path) -> list[Path]:
    """The segments in a spool, oldest first."""
    return sorted(directory.glob(f"*{SUFFIX}"))


def read_lines(segment: Path, position: int, size: int) -> tuple[list[bytes], int]:
    """(whole lines behind a position in a segment, the position behind them): about `size` bytes, one line at least."""
    with segment.open("rb") as file:
        file.seek(position)
        read = file.read(size)
        if read and b"\n" not in read:
            read += file.readline()
    end = read.rfind(b"\n") + 1
    return read[:end].splitlines(keepends=True), position + end


def is_let_go(segment: Path) -> bool:
    """Whether no process writes to a segment any more: the kernel gives a dead one's locks back."""
    with segment.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def only_reader(directory: Path) -> Iterator[bool]:
    """Whether this process is the one that may ship what is in a spool, for as long as the context lasts."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / "shipping.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            # A lock of the process and not of the file: workers that are forked meanwhile must not hold it for ever.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
