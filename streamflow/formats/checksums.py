"""Checksums of what passes: `checksum`, a stage that hands on what it gets and knows its checksum at the end.

What lives here: the stage. What must not: the work, which is in `checksums_codec` and `checksums_algorithms`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from streamflow.engine.codecs import codec_stage
from streamflow.engine.nested import publish
from streamflow.errors import UsageError
from streamflow.formats.checksums_algorithms import CRCS, Algorithm
from streamflow.formats.checksums_codec import Checksum, Digest
from streamflow.formats.pieces import BytesLike
from streamflow.stages import Stage

__all__ = ["Checksum", "Digest", "checksum"]


class _Published(Checksum):
    """One whose value is shown in the report."""

    def finish(self) -> Iterable[bytes]:
        rest = super().finish()
        publish(f"checksum.{self.algorithm}", self.value or "")
        return rest


# At 1 MiB a thread is faster by some tenths; at 256 KiB the way there costs more than it gives.
_THREAD_ABOVE = 512 * 1024


def checksum(
    algorithm: Algorithm = "sha256", *, expected: str | bytes | None = None, into: Digest | None = None
) -> Stage[BytesLike, bytes]:
    """Pass bytes on as they are, and compute their checksum on the way; compare it with an expected one at the end.

    Example:
        digest = sf.Digest()
        await sf.pipeline(
            files.read("orders.csv.gz"),
            sf.checksum("md5", expected="9e107d9d372bb6826bd81d3542a419d6"),  # of what is read
            gzip.decompress(),
            sf.checksum("sha256", into=digest),                               # of what is written
            objects.write("s3://bucket/orders.csv"),
        )
        print(digest.value)

    A checksum that is not the expected one is an error before the sink below sees the end of the data: nothing is
    committed. The report shows the value, and `report.stats.values["checksum.sha256"]` is it. How the bytes are cut
    makes no difference. No data has a checksum too.

    Chunks of 512 KiB and more are worked off in a thread, in order; a CRC takes a tenth of a millisecond a megabyte and
    is not.

    Args:
        algorithm: `sha256`, `sha512`, `blake2b` (64 bytes), `sha1`, `md5`, `crc32` (that of gzip and zip), or `crc32c`
            (Castagnoli's, that of GCS and S3; needs the extra `checksums`). sha1, md5 and the CRCs find damage, but not
            what somebody has changed on purpose.
        expected: the value it must have: in hexadecimal digits, in base64, or as bytes (a CRC big-endian).
        into: where to leave the value, to be read after the run. It is that of the whole data that came to this stage,
            never that of a part: when the data does not come to its end here, because of an error or because a stage
            below has enough, there is none. A sink that fails later does not take it back.

    Raises `ChecksumMismatch` with both values when they differ; `UsageError`, at once, for an algorithm that is not
    known or an expected value that cannot be one; `MissingExtra` for crc32c where the extra is missing.

    Cancellation: waits for the chunk in the thread (about a millisecond); there is no value then.
    """
    if into is not None and not isinstance(into, Digest):
        raise UsageError(f"into={into!r} is no Digest: make one with digest = Digest()")
    Checksum(algorithm, expected=expected)
    make = partial(_Published, algorithm, expected=expected, into=into)
    return codec_stage(make, name=f"checksum.{algorithm}", thread_above=None if algorithm in CRCS else _THREAD_ABOVE)
