"""The catalogue of operators as a page: `python -m tests.catalogue` writes it to docs/operators.md.

What lives here: the families in the order in which one reads them, what the page says beside the docstrings, and its
Markdown. What must not: anything that a docstring says. tests/test_catalogue.py compares; `make api` writes it.

Examples stand in blocks marked `py`, not `python`: tests/operators/test_examples_of_operators.py runs them.
"""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamflow as sf
from streamflow.machinery.policies import Backoff, ErrorPolicy
from streamflow.operators.sinks import MISSING
from streamflow.stages import Combination, Sink, Stage
from tests.docstrings import OPERATORS, contract, example, sentence

PAGE = Path(__file__).parent.parent / "docs" / "operators.md"
WIDTH = 110


@dataclass(frozen=True)
class Family:
    """Operators that a reader looks for in one place, in the order in which they are read."""

    title: str
    names: str
    about: str


FAMILIES = [
    Family(
        "Item by item",
        "map flat_map switch_map filter filter_map starmap flatten tap enumerate cast map_with",
        "What is done with each item alone: by a plain function, fused with its neighbours, or by many calls at once. "
        "`concurrency`, `timeout`, `retry` and `errors` are arguments of `map`, not operators around it.",
    ),
    Family(
        "Choosing items",
        "take take_while take_last skip skip_while skip_last distinct dedupe",
        "Which items pass, by their place or by what came before. By what an item is: `filter`.",
    ),
    Family(
        "Keeping a state",
        "scan map_state pairwise sliding",
        "What is made of an item depends on the items before it.",
    ),
    Family(
        "Batches",
        "batched batch_waiting unbatch rechunk",
        "Several items as one, for whoever takes them better in bulk; and bytes in pieces of one size.",
    ),
    Family(
        "Groups",
        "group_adjacent split_when split_after group_by",
        "Items that belong together by what they are. Groups are held in memory or run side by side, so they have "
        "limits.",
    ),
    Family(
        "Beginning and end",
        "prepend append intersperse default_if_empty repeat cycle",
        "What comes before the items, after them, between them, or instead of none; and all of it again.",
    ),
    Family(
        "Room between two sides",
        "buffer conflate fuse",
        "What may wait between a source and a consumer of different speed, and what happens when it is too much; and "
        "which stages have nothing between them.",
    ),
    Family(
        "Several sources",
        "chain merge interleave merge_sorted race zip zip_longest zip_latest with_latest_from",
        "One stream of several: one after another, as they come, in turn, or side by side in tuples. Each source is "
        "read in a run of its own and closed when the stream ends, whatever ended it.",
    ),
    Family(
        "Several consumers",
        "tee partition broadcast route tap_to balance balance_to",
        "One stream for several: the same items for each, or for each what belongs to it. For consumers that come and "
        "go there is `sf.Hub`.",
    ),
    Family(
        "Signs from outside",
        "take_until skip_until",
        "Another source, or an event, says when to begin or to end.",
    ),
    Family(
        "Time",
        "throttle spaced delay debounce sample heartbeat timeout timed",
        "How fast items may pass, and what happens when none comes. The clock is that of the event loop, so tests run "
        "them on virtual time. The moments in these examples are from there; a real clock adds a little.",
    ),
    Family(
        "Failures",
        "retry resumable fallback catch skip_errors",
        "An error ends a stream, unless one of these says what to do instead, for which errors, and where to go on.",
    ),
    Family(
        "Cycles",
        "expand feedback",
        "What comes out goes in again, with a bound on what goes round.",
    ),
    Family(
        "Sources",
        "range unfold paginate poll interval cron push from_queue from_reader threaded empty never failing",
        "Where items come from, beside lists, generator functions and whatever else can be iterated, which need none "
        "of these. Files and objects are places: `sf.files`, `sf.objects`.",
    ),
    Family(
        "Sinks",
        "collect to_dict first last single count sum min max any all reduce for_each drain into",
        "They end a pipeline, and what they return is its value. Files and objects are places: `sf.files`, "
        "`sf.objects`.",
    ),
]
"""Every operator is in one of them; tests/test_catalogue.py counts."""

INTRODUCTION = """\
# Operators

<!-- Written by `make api` from the docstrings; change those. -->

Every operator of streamflow: what it is for, an example that runs as it stands, and what it promises. To try one, start
`python -m asyncio`, write `import streamflow as sf`, and paste. All there is to know about an operator, with its
arguments, is in its docstring: `help(sf.batched)`.

## Two spellings

An operator is a function on `sf`, for `sf.pipeline`, and a method of a stream. Both take the same arguments and do the
same; write what reads better.

```python
import streamflow as sf


async def main():
    first = await sf.pipeline([3, 1, 2], sf.filter(lambda number: number > 1), sf.collect())
    second = await sf.stream([3, 1, 2]).filter(lambda number: number > 1).collect()
    assert first == second == [3, 2]
```

Under each name stand its kind and its arguments with their defaults; `...` stands for one that is simply left out.

- A *source* comes first: `sf.pipeline(source, ...)` or `sf.stream(source)`. It is no method.
- A *stage* comes after a source, one or many.
- A *stage or source* joins streams: as a stage it joins the stream before it as well.
- A *sink* comes last, and its value is what `await` gives: `await sf.pipeline(source, sf.count())`,
  `await sf.stream(source).count()`.
- *Several sources of one* are made by functions that take the source first: `left, right = sf.tee(source)`.

## Five lines

Each operator answers the same five questions; the tests hold it to the answers.

- *emits when*: what makes an item leave. It says what waits, and for how long.
- *backpressures when*: when it lets the source wait. "The stage below does" means that it holds nothing back itself.
- *completes when*: when its output ends, and what is emitted before.
- *on error*: what becomes of an error from above or of a function that was passed, and of what is held at that moment.
- *on early stop*: what is undone when somebody below has enough (`take`, `first`, `break`). What has begun is closed
  before control returns.

A sixth, *Cancellation*, says what is lost of the items at hand when the task is cancelled.

## All of them
"""


def described() -> str:
    """Return the page."""
    return f"{INTRODUCTION}\n{_index()}" + "".join(_section(family) for family in FAMILIES)


def _index() -> str:
    rows = [f"| [{family.title}](#{_anchor(family.title)}) | {_links(family)} |\n" for family in FAMILIES]
    return "".join(["| | |\n|---|---|\n", *rows])


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _links(family: Family) -> str:
    return ", ".join(f"[{name}](#{name})" for name in family.names.split())


def _section(family: Family) -> str:
    entries = "".join(_entry(name) for name in family.names.split())
    return f"\n## {family.title}\n\n{_wrapped(family.about)}\n{entries}"


def _entry(name: str) -> str:
    return f"""
### {name}

{_kind(name)}: `{_signature(name)}`

{_wrapped(sentence(name))}

```py
{_code(name)}
```

{_promises(name)}
"""


def _promises(name: str) -> str:
    lines = (f"- *{words}*: {text}" for words, text in contract(name).items())
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False) for line in lines)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _kind(name: str) -> str:
    """Say what an operator makes, by what it says itself that it returns."""
    operator = OPERATORS[name]
    made = operator.__globals__.get(operator.__annotations__["return"].partition("[")[0], tuple)
    if issubclass(made, Sink):
        return "Sink" if hasattr(sf.Stream, name) else "Sink, as a function only"
    kinds = {Combination: "Stage or source", Stage: "Stage", ErrorPolicy: "Argument", tuple: "Several sources of one"}
    return next((word for kind, word in kinds.items() if issubclass(made, kind)), "Source")


def _signature(name: str) -> str:
    """Return names and defaults; the types are in the docstring and in the editor."""
    signature = inspect.signature(OPERATORS[name])
    bare = [_bare(parameter) for parameter in signature.parameters.values()]
    return f"{name}{signature.replace(parameters=bare, return_annotation=signature.empty)}"


def _bare(parameter: inspect.Parameter) -> inspect.Parameter:
    parameter = parameter.replace(annotation=parameter.empty)
    return parameter if parameter.default is parameter.empty else parameter.replace(default=_Text(parameter.default))


class _Text:
    """A default as one would write it."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return _written(self._value)


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_written, value))})"
    if isinstance(value, type):
        return value.__name__
    if value is MISSING:
        return "..."
    if isinstance(value, Backoff):
        return "Backoff()"
    return f"{value:_}" if type(value) is int and value >= 10_000 else repr(value).replace("'", '"')


def _code(name: str) -> str:
    shown = example(name)
    assert shown is not None
    gives = f"# gives {shown.gives}"
    last = shown.code.rpartition("\n")[2]
    between = "  " if len(last) + len(gives) + 2 <= WIDTH else "\n"
    return f"{shown.code}{between}{gives}"


if __name__ == "__main__":
    PAGE.write_text(described(), encoding="utf-8")
    print(f"{PAGE.name}: {len(OPERATORS)} operators")  # noqa: T201  # the answer to the command
