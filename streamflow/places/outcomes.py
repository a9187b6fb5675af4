"""What became of a commit whose answer was lost: the store is asked, and recognises the writer by a mark.

What lives here: the mark, and the three outcomes. What must not: sending anything but the question.

Every write keeps a random mark in its object's metadata. If the object that is there afterwards carries it, the commit
happened, whatever the answer was; if it carries another one, this write's object is not what readers see. Only a store
that cannot be asked, or that keeps no metadata, leaves it open.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from enum import Enum

from streamflow.places.stores import Store, Stored, Terms

__all__ = ["MARK", "Outcome", "marked", "outcome"]

# A name that every store takes: Azure wants an identifier, proxies drop underscores.
MARK = "streamflowid"


class Outcome(Enum):
    """What the store says about a commit that was not answered, if it is not the object itself."""

    ABSENT = "absent"
    UNKNOWN = "unknown"


def marked(terms: Terms) -> Terms:
    """Return the terms with a mark of their own."""
    return replace(terms, metadata={**terms.metadata, MARK: secrets.token_hex(16)})


async def outcome(store: Store, key: str, size: int, terms: Terms) -> Stored | Outcome:
    """Ask the store for what it has under the key.

    Example: `found = await outcome(store, key, size, terms)`.

    Returns the object if it is the one written under these (marked) terms; `ABSENT` if there is none or another;
    `UNKNOWN` if the store cannot be asked, or does not tell marks and has an object of the same size.
    """
    try:
        found = await store.info(key)
    except FileNotFoundError:
        return Outcome.ABSENT
    except OSError:
        return Outcome.UNKNOWN
    mark = (found.metadata or {}).get(MARK)
    if found.size != size:
        return Outcome.ABSENT
    if mark is None:
        return Outcome.UNKNOWN
    return found if mark == terms.metadata[MARK] else Outcome.ABSENT
