"""A gzip file to bytes: the codec behind `gzip.decompress`.

What lives here: what the decompressor has to know of gzip. What must not: how it works, which is in
`compression_decompressor` and `deflate_member`.
"""

from __future__ import annotations

from functools import partial

from streamflow.formats.compression_decompressor import MembersDecompressor
from streamflow.formats.compression_members import Format
from streamflow.formats.deflate_member import DeflateMember
from streamflow.formats.deflate_wrapping import GZIP
from streamflow.formats.gzip_header import MAGIC

__all__ = ["Decompressor"]


class Decompressor(MembersDecompressor):
    """A gzip file, of any number of members, to bytes. One object serves one run; `decompress` explains the arguments.

    Example: `data = b"".join([*decompressor.feed(chunk), *decompressor.finish()])`.
    """

    format = Format("gzip", "member", (MAGIC,), partial(DeflateMember, GZIP), padding=1, optional=True)
