"""What the tests of the formats share."""

from __future__ import annotations

import pytest

from streamflow.formats import deflate_library


@pytest.fixture(params=["zlib", "isal"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with zlib and, where the extra `fast` is installed, with what it installs."""
    name: str = request.param
    if name == "zlib":
        monkeypatch.setattr(deflate_library, "fast", lambda: None)
        monkeypatch.setattr(deflate_library, "thorough", lambda: None)
    elif deflate_library.fast() is None:
        pytest.skip("isal (the extra `fast`) is not installed")
    return name
