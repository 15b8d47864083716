"""A disk that runs full while something is being written."""

import builtins
import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """`full_disk(room)`: a block in which files opened for writing take `room` bytes in all."""

    @contextlib.contextmanager
    def full(room: int) -> Iterator[None]:
        left = [room]

        class Full:
            def __init__(self, handle):
                self.handle = handle

            def write(self, data):
                left[0] -= len(memoryview(data).cast("B")) if not isinstance(data, str) else len(data)
                if left[0] < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return self.handle.write(data)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.handle.close()

            def __getattr__(self, name):
                return getattr(self.handle, name)

        real = builtins.open

        def limited(file, mode="r", *arguments, **settings):
            handle = real(file, mode, *arguments, **settings)
            return Full(handle) if set(mode) & set("wax+") else handle

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(builtins, "open", limited)
            yield

    return full
