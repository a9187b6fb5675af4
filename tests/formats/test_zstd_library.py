"""Where zstd comes from, and what is said where it is not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streamflow.errors import MissingExtra
from streamflow.formats import zstd_library
from streamflow.formats.zstd import compress, decompress


def test_it_is_the_standard_librarys_where_that_has_one() -> None:
    found = zstd_library.zstd("this test")

    assert found.__name__ == ("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    assert found.decompress(found.compress(b"rows")) == b"rows"


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zstd_library, "NAME", "no_such_library")

    for make in (compress, decompress):
        with pytest.raises(
            MissingExtra, match=rf'zstd.{make.__name__} needs no_such_library: pip install -e ".\[zstd\]"'
        ):
            make()


def test_importing_the_stages_does_not_import_the_library() -> None:
    code = "import sys; from streamflow.formats import compression, zstd; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"backports.zstd", "compression.zstd", "isal"} & set(ended.stdout.split())
