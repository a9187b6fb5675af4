"""The options of a response as types, for the functions that hand them on to `StreamResponse`.

What lives here: `SendingOptions` and `BodyOptions`. What must not: defaults and what they mean, which `StreamResponse`
says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from streamflow.types import MaybeAwaitable
from streamflow.web.client import Reason
from streamflow.web.compressing import Compress
from streamflow.web.endings import Sent

__all__ = ["BodyOptions", "SendingOptions"]


class SendingOptions(TypedDict, total=False):
    """How a stream is sent, and who is told of the end."""

    min_chunk: int
    within: float
    send_timeout: float | None
    min_rate: float | None
    grace: float
    maxsize: int
    max_bytes: int
    on_complete: Callable[[Sent], MaybeAwaitable[object]] | None
    on_disconnect: Callable[[Reason], MaybeAwaitable[object]] | None
    on_error: Callable[[BaseException], MaybeAwaitable[object]] | None
    ignore_body: bool
    name: str | None


class BodyOptions(SendingOptions, total=False):
    """The same, and what is sent besides."""

    status_code: int
    media_type: str | None
    compress: Compress
