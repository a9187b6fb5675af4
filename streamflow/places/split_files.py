"""The files of a split: each written beside its name, with a bounded number of descriptors.

What lives here: `SplitFile`, `SplitFiles` and `Batch`. What must not: names (split_names.py), items, cancellation.

How it works. All of it runs in one thread, in the order of its queue. A file that is written to while as many as
allowed are open takes the place of the one that was written to longest ago; that one is closed, and opened again for
appending when its turn comes. Its part file is made and opened without following links, so nothing that somebody else
puts in the way is written to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections import OrderedDict

from streamflow.errors import FormatError, UsageError
from streamflow.places.blocks import Gather
from streamflow.places.partfile import part_name, remove, sync_directory, write_all
from streamflow.places.written import Written

if sys.platform != "win32":
    import resource

__all__ = ["Batch", "SplitFile", "SplitFiles"]

_OF_A_FILE = 256  # bytes of memory, about
_FLAGS = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class SplitFile:
    """One of the files; what it is called, and how far it has come.

    Args:
        path: the result's name.
        what: for errors: which key it belongs to, if any.
    """

    __slots__ = ("committed", "descriptor", "items", "mode", "part", "path", "planned", "sealed", "size", "what")

    def __init__(self, path: str, what: str = "") -> None:
        """Make no file yet."""
        self.path = path
        self.what = what
        self.part = ""
        self.descriptor: int | None = None
        self.mode: int | None = None
        self.size = self.planned = self.items = 0
        self.sealed = self.committed = False

    def check(self, *, overwrite: bool) -> None:
        """Refuse to replace what is no regular file; remember the permissions of one that is."""
        try:
            mode = os.lstat(self.path).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISLNK(mode):
            raise FormatError(f"split: {self.path}{self.what} is a symbolic link; it is not followed, nor replaced.")
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.path)
        if not stat.S_ISREG(mode):
            raise UsageError(f"{self.path} is not a regular file; a rename would put a file in its place.")
        if not overwrite:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path)
        self.mode = stat.S_IMODE(mode)

    def open(self, *, overwrite: bool) -> None:
        """Make the part file, or open it again where it was left."""
        if self.part:
            self.descriptor = os.open(self.part, _FLAGS | os.O_APPEND)
            return
        self.check(overwrite=overwrite)
        part = part_name(os.path.abspath(self.path))
        self.descriptor = os.open(part, _FLAGS | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
        self.part = part

    def close(self) -> None:
        """Close it, if it is open."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def publish(self, *, overwrite: bool) -> None:
        """Give it its name."""
        self.check(overwrite=overwrite)
        if self.mode is not None:
            os.chmod(self.part, self.mode)
        if overwrite:
            os.replace(self.part, self.path)
            self.committed = True
        else:
            os.link(self.part, self.path)  # unlike a rename it never replaces what is there
            self.committed = True
            os.unlink(self.part)


class Batch:
    """Bytes for several files, to be written by one call; its length is what it takes of memory, about.

    Args:
        owner: the sink's name, for the error about items that are not bytes.
    """

    def __init__(self, owner: str) -> None:
        """Make an empty one."""
        self._owner = owner
        self._size = 0
        self.blocks: dict[SplitFile, Gather] = {}
        self.complete: list[SplitFile] = []

    def __len__(self) -> int:
        """Return how many bytes are held, with something for each file: there may be many without any."""
        return self._size + _OF_A_FILE * len(self.blocks)

    def add(self, file: SplitFile, item: object) -> None:
        """Hold one more item for a file. Raises `UsageError` for one that is not bytes-like."""
        gather = self.blocks.get(file)
        if gather is None:
            gather = self.blocks[file] = Gather(self._owner)
        held = len(gather)
        gather.add(item)
        self._size += len(gather) - held
        file.planned += len(gather) - held
        file.items += 1


class SplitFiles:
    """All files of one run. Everything here runs in its thread.

    Args:
        most_open: how many may be open at once.
        sync: whether bytes and names are to be on disk before `publish` returns.
        overwrite: whether files that are there already are replaced.
    """

    def __init__(self, most_open: int, *, sync: bool, overwrite: bool) -> None:
        """Make none yet."""
        self._most_open = min(most_open, _share())
        self._sync = sync
        self._overwrite = overwrite
        self._open: OrderedDict[SplitFile, None] = OrderedDict()
        self.all: list[SplitFile] = []
        self.durable = False

    def check_directory(self, path: str) -> None:
        """Raise what is wrong with the directory they are to stand in, before anything is written."""
        with os.scandir(path or os.curdir):
            pass

    def write(self, batch: Batch) -> None:
        """Write what is in a batch, then seal the files that are complete with it."""
        for file, gather in batch.blocks.items():
            for taken in write_all(self._opened(file), gather.take()):
                file.size += taken
        for file in batch.complete:
            self.seal(file)

    def _opened(self, file: SplitFile) -> int:
        if file.descriptor is None:
            while len(self._open) >= self._most_open:
                oldest, _ = self._open.popitem(last=False)
                oldest.close()
            file.open(overwrite=self._overwrite)
        self._open[file] = None
        self._open.move_to_end(file)
        assert file.descriptor is not None
        return file.descriptor

    def seal(self, file: SplitFile) -> None:
        """Sync the bytes of a file that is complete, if that is wanted, and close it.

        The system keeps an error that nobody has seen for whoever opens the file next, so one that was closed and is
        opened again hears of it here.
        """
        if file.sealed:
            return
        descriptor = self._opened(file)
        if self._sync:
            os.fsync(descriptor)
        self._open.pop(file, None)
        file.close()
        file.sealed = True

    def publish(self, file: SplitFile) -> None:
        """Give a sealed file its name."""
        file.publish(overwrite=self._overwrite)

    def sync_names(self, directory: str) -> None:
        """Put the names themselves on disk, if that is wanted."""
        self.durable = self._sync and sync_directory(directory or os.curdir)

    def discard(self) -> None:
        """Close all and remove every part file. Files that have their name stay."""
        failure: OSError | None = None
        for file in self.all:
            with contextlib.suppress(OSError):  # what could not be flushed is thrown away anyway
                file.close()
            try:
                if file.part and not file.committed:
                    remove(file.part)
            except OSError as error:
                failure = error
        self._open.clear()
        if failure is not None:
            raise failure

    def written(self) -> list[Written]:
        """Return the account of all files."""
        return [Written(file.path, file.size, durable=self.durable) for file in self.all]


def _share() -> int:
    """Return how many descriptors a split may have, of those the process may have: an eighth, at least one."""
    if sys.platform == "win32":
        return 512
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**20 if soft == resource.RLIM_INFINITY else max(1, soft // 8)
