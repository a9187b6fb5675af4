"""The options as types are those that a response has."""

from __future__ import annotations

import inspect
from typing import get_type_hints

from streamflow.web.options import BodyOptions
from streamflow.web.responses import StreamResponse


def test_they_are_those_of_a_response_with_the_same_types():
    parameters = set(inspect.signature(StreamResponse).parameters) - {"stream", "filename", "headers"}
    hints = get_type_hints(StreamResponse.__init__)

    assert get_type_hints(BodyOptions) == {name: hints[name] for name in parameters}
