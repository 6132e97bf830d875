"""The ZeroMQ context of all clients of this process, and whether there are descriptors left for more.

Where the system gives no descriptor any more, libzmq ends the process while it makes a context (`epoll.cpp`), and
reports an error while it makes a socket. So there is one context for as long as anybody uses it, a process that lives
long holds it (`held`), and room is looked for before. A service has a context of its own, for who is asked about its
keys is asked by its context.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

import zmq

from grainloop.protocols.errors import Unavailable

Context = zmq.Context[zmq.Socket[bytes]]

FOR_A_CONTEXT: Final = 24
"""Descriptors that a context with a few sockets needs, with some to spare."""
FOR_A_RUN: Final = 48
"""Those of two clients, and of the files and libraries of a session."""
_IO_THREADS: Final = 2
"""So that a stack of PL images on its way to the model does not hold up the instrument."""
_FOLDERS: Final = ("/proc/self/fd", "/dev/fd")


class _Shared:
    """The one context, counted; a forked process begins anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._context: Context | None = None
        self._users, self._process = 0, os.getpid()

    def take(self, what: str) -> Context:
        with self._lock:
            if self._process != os.getpid():
                self._context, self._users, self._process = None, 0, os.getpid()
            if self._context is None:
                self._context = new_context(what, _IO_THREADS)
            self._users += 1
            return self._context

    def give_back(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._context is not None:
                context, self._context = self._context, None
                context.term()


_shared = _Shared()
take, give_back = _shared.take, _shared.give_back


@contextmanager
def held(what: str) -> Generator[None]:
    """Keep the context of all clients while this lasts.

    Raises:
        Unavailable: there is none, and no room for one.
    """
    take(what)
    try:
        yield
    finally:
        give_back()


def new_context(what: str, io_threads: int = 1) -> Context:
    """A context.

    Args:
        what: needs it, as the subject of a sentence.
        io_threads: of libzmq.

    Raises:
        Unavailable: too few descriptors are left; to make one all the same could end the process.
    """
    require_descriptors(what, FOR_A_CONTEXT)
    context: Context = zmq.Context(io_threads=io_threads)
    context.socket(zmq.PAIR).close()  # the first socket begins its threads, which is what can end the process
    return context


def require_descriptors(what: str, count: int) -> None:
    """Refuse to begin what would run out of descriptors on its way.

    Args:
        what: is to begin, as the subject of a sentence.
        count: descriptors that it needs.

    Raises:
        Unavailable: so many are not left.
    """
    limit, used = _limit(), _used()
    if limit is not None and used is not None and limit - used < count:
        raise Unavailable(_sentence(what, f"{used} of {limit} are in use"), field="descriptors", value=used)


def reason(what: str, error: zmq.ZMQError) -> str:
    """The sentence for an error of libzmq at the beginning of something."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return _sentence(what, "all are in use")
    return f"{what}: {error}."


def out_of_descriptors(error: BaseException | None, what: str) -> Unavailable | None:
    """What to tell where an error is one of descriptors that were not to be had, or came of one.

    A library that could not be loaded for want of one says so in its text alone.
    """
    while error is not None:
        by_number = isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)
        if by_number or os.strerror(errno.EMFILE) in str(error):
            return Unavailable(_sentence(what, "all are in use"), field="descriptors")
        error = error.__cause__ or error.__context__
    return None


def raise_limit() -> None:
    """Let this process have as many descriptors as its system allows without asking anybody."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _sentence(what: str, found: str) -> str:
    return f"{what}: too few file descriptors are left ({found}). Close connections, or allow more with ulimit -n."


def _limit() -> int | None:
    """How many descriptors this process may have; nothing where that is not counted, as on Windows."""
    try:
        import resource
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if limit == resource.RLIM_INFINITY else limit


def _used() -> int | None:
    for folder in _FOLDERS:
        try:
            return len(os.listdir(folder))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return _limit()
    return None
