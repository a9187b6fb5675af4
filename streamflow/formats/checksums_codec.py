"""Bytes that pass, and their checksum at the end: the codec behind `checksum`.

What lives here: `Checksum`, and `Digest`, where its value is left. What must not: waiting.

The value comes into being in `finish`, which is called only after a clean end of the data. So there is no value of a
part. What is not as expected is an error there, before a sink below sees the end, and so before it commits.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from streamflow.errors import ChecksumMismatch
from streamflow.formats.checksums_algorithms import Algorithm, check_algorithm, hash_of, value_of
from streamflow.formats.pieces import BytesLike, bytes_of

__all__ = ["Checksum", "Digest"]


@dataclass(slots=True)
class Digest:
    """Where `checksum(into=...)` leaves the value: `None` until the data has come to its end, and if it never does.

    Example:
        digest = sf.Digest()
        await sf.pipeline(files.read("big.iso"), sf.checksum("sha256", into=digest), objects.write(url))
        print(digest.value, digest.size)

    Each run that uses it begins by emptying it, so give runs that go on at once one each.

    Args:
        value: the checksum in hexadecimal digits.
        size: of how many bytes it is.
    """

    value: str | None = None
    size: int | None = None

    @property
    def base64(self) -> str | None:
        """The value in base64, as headers such as `Content-MD5` and `x-amz-checksum-sha256` have it."""
        return None if self.value is None else base64.b64encode(bytes.fromhex(self.value)).decode()


class Checksum:
    """Bytes to the same bytes, with a checksum at the end. One object serves one run; see `checksum`.

    Example: `for chunk in chunks: checksum.feed(chunk)`, then `checksum.finish()` and `checksum.value`.
    """

    def __init__(
        self, algorithm: Algorithm = "sha256", *, expected: str | bytes | None = None, into: Digest | None = None
    ) -> None:
        """Make it for one run."""
        check_algorithm(algorithm)
        self.algorithm = algorithm
        self._hash = hash_of(algorithm)
        self._expected = None if expected is None else value_of(expected, algorithm)
        self._into = Digest() if into is None else into
        self._into.value = self._into.size = None
        self._size = 0

    @property
    def value(self) -> str | None:
        """The checksum in hexadecimal digits, once the data has come to its end."""
        return self._into.value

    def feed(self, data: BytesLike, /) -> Iterable[bytes]:
        """Return the bytes as they are. What its owner may still write into is copied before it is looked at."""
        chunk = bytes_of(data, "checksum")
        self._hash.update(chunk)
        self._size += len(chunk)
        return (chunk,)

    def finish(self) -> Iterable[bytes]:
        """Return nothing; `ChecksumMismatch` when the checksum is not the expected one."""
        digest = self._hash.digest()
        if self._expected is not None and digest != self._expected:
            raise ChecksumMismatch(
                f"the {self.algorithm} of the {self._size} bytes that passed is {digest.hex()} and not "
                f"{self._expected.hex()}, as expected: they are damaged, incomplete, or not what was meant"
            )
        self._into.value, self._into.size = digest.hex(), self._size
        return ()
