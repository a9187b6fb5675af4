"""The stages of length-prefixed frames."""

from __future__ import annotations

from typing import Any

import pytest

from streamflow.errors import UsageError
from streamflow.formats import frames
from streamflow.operators.batching import rechunk
from streamflow.operators.sinks import collect
from streamflow.pipelines import pipeline


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_messages_pass_a_stream_of_bytes(size: int) -> None:
    messages = [b"", b"one", b"\0" * 500, b"last"]

    assert messages == await pipeline(
        messages, frames.format("varint"), rechunk(size), frames.parse("varint"), collect()
    )


@pytest.mark.parametrize("make", [frames.parse, frames.format])
def test_options_that_cannot_be_are_refused_when_the_stage_is_made(make: Any) -> None:
    """F14."""
    with pytest.raises(UsageError, match="prefix="):
        make("u33")
    with pytest.raises(UsageError, match="max_frame"):
        make("u8", max_frame=-1)


def test_the_stages_say_who_they_are_and_what_they_hold() -> None:
    assert (frames.parse().name, frames.format().name) == ("frames.parse", "frames.format")
    assert frames.parse(max_frame=5000).holds == 5000
