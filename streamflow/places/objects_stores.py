"""Which store a URL stands for.

What lives here: `store_of`, and the refusal of options that would have no effect. What must not:
reading and writing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from streamflow.errors import UsageError
from streamflow.places import memory
from streamflow.places.cloud import CloudStore
from streamflow.places.cloud_connect import connect
from streamflow.places.obstore_library import is_obstore
from streamflow.places.ranges import RANGE
from streamflow.places.stores import Store
from streamflow.places.urls import Location

__all__ = ["is_file", "refuse", "store_of"]


def is_file(location: Location, store: object, config: dict[str, Any]) -> bool:
    """Return whether it is a file on disk, which has no options."""
    if location.scheme != "file" or store is not None:
        return False
    refuse(config, location)
    return True


def store_of(location: Location, store: object, config: dict[str, Any], part_size: int = RANGE) -> Store:
    """Return the store to use: the given one, or the one that the URL's scheme names."""
    if store is not None:
        refuse(config, location)
        if is_obstore(store):
            return CloudStore(store)
        if not callable(getattr(store, "begin", None)):
            raise UsageError(
                f"store= takes one of obstore's stores or an object with the methods of stores.Store, "
                f"not {type(store).__name__}"
            )
        return cast("Store", store)
    if location.scheme == "memory":
        refuse(config, location)
        return memory.bucket(location.bucket)
    return connect(location, config, part_size)


def refuse(names: Iterable[str], location: Location) -> None:
    """Raise `UsageError` for options that would have no effect."""
    if names := sorted(names):
        raise UsageError(f"{location}: {', '.join(names)} would have no effect here; leave it out")
