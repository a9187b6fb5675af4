"""The dialect of a CSV text, guessed from its start by the standard library's `csv.Sniffer`.

What lives here: the sample, the guess, and a row reader that waits for it. What must not: rows.

How it works. The sample is the start of the text as such, so however the text arrives, the guess is the same. It is
small: the time that `csv.Sniffer` takes grows with the square of the length, and with the cube of the number of quotes
(16 KiB made for it keep it busy for twenty seconds).

Two things are said to the sniffer that it gets wrong by itself: any character could be a delimiter for it, the letter
`e` as well as the carriage return of a line end; and where no quote is doubled in the sample, it takes quotes for
never doubled.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

from streamflow.errors import FormatError, UsageError
from streamflow.formats.csv_dialect import resolve_dialect
from streamflow.formats.csv_reader import Batch, RowReader

__all__ = ["DELIMITERS", "SAMPLE", "SNIFF", "Sniffer", "SniffingReader", "sample_of"]

SNIFF = "sniff"
"""The `dialect=` that asks for a guess."""

SAMPLE = 4 * 1024
"""From how many characters it is made."""

QUOTES = 256
"""How many quotes the sample has at most."""

DELIMITERS = ",;\t|"
"""What is taken for a delimiter."""


def sample_of(text: str) -> str:
    r"""Return the lines at the start of a text that the guess is made from, with `\n` for every line end."""
    start = text[:SAMPLE]
    end = _place_behind(start, QUOTES)
    if len(text) > end or end == SAMPLE:
        lines = max(start.rfind("\n", 0, end), start.rfind("\r", 0, end)) + 1
        end = lines or end
    return start[:end].replace("\r\n", "\n").replace("\r", "\n")


def _place_behind(text: str, quotes: int) -> int:
    """Return the place behind so many quotes, or the end."""
    places = (at for at, character in enumerate(text, 1) if character in "\"'" and (quotes := quotes - 1) == 0)
    return next(places, len(text))


class Sniffer:
    """Guesses what the options leave open.

    Args:
        options: as for `resolve_dialect`: what is given is no matter of guessing. `UsageError` for what cannot be.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        """Check the options."""
        resolve_dialect("excel", options)
        self._given = {name: value for name, value in options.items() if value is not None}

    def guess(self, text: str) -> Any:
        """Return the dialect of a text that starts so; `FormatError` if the delimiter cannot be guessed."""
        sample = sample_of(text)
        try:
            guessed = self._sniffed(sample) or "excel"
            return resolve_dialect(guessed, {"doublequote": True} | self._given)
        except (csv.Error, UsageError) as error:
            raise FormatError(
                f"line 1: no dialect can be guessed from the first {len(sample)} characters ({error}). Write what it "
                f"is in place of dialect='sniff': delimiter=';', dialect='excel-tab', ...; nothing for a single column"
            ) from None

    def _sniffed(self, sample: str) -> type[csv.Dialect] | None:
        """Return what the standard library says, or `None` if it has no opinion where none is needed."""
        delimiter = self._given.get("delimiter")
        try:
            return csv.Sniffer().sniff(sample, delimiter or DELIMITERS)
        except csv.Error:
            if delimiter or not sample.strip("\n"):
                return None
            raise


class SniffingReader:
    """A `RowReader` that holds the text back until it is enough to guess the dialect from.

    Args:
        sniffer: it guesses.
        read: makes the reader for a dialect.
    """

    def __init__(self, sniffer: Sniffer, read: Callable[[Any], RowReader]) -> None:
        self._sniffer = sniffer
        self._read = read
        self._reader: RowReader | None = None
        self._held = ""

    def feed(self, text: str) -> Batch | None:
        """Take text in; return the rows that are complete now. That there is no dialect is an error in the batch."""
        self._held += text
        error = self._decide() if len(self._held) >= SAMPLE else None
        if error is not None:
            return Batch([], error, int)
        if self._reader is None:
            return None
        text, self._held = self._held, ""
        return self._reader.feed(text)

    def line(self) -> int:
        """Return the number of the line that the text taken in so far ends on."""
        return (1 if self._reader is None else self._reader.line()) + self._held.count("\n")

    def finish(self) -> Batch | None:
        """Return the last rows."""
        error = self._decide()
        if error is not None:
            return Batch([], error, int)
        first = self.feed("")
        if first is not None and first.error is not None:
            return first
        last = None if self._reader is None else self._reader.finish()
        return _joined(first, last) if first is not None and last is not None else first or last

    def expect_fault(self) -> None:
        """Take it that what comes behind is bad: the next `feed` returns all rows that are complete before it."""
        if self._held:
            self._decide()
        if self._reader is not None:
            self._reader.expect_fault()

    def _decide(self) -> FormatError | None:
        if self._reader is None:
            try:
                self._reader = self._read(self._sniffer.guess(self._held))
            except FormatError as error:
                return error
        return None


def _joined(first: Batch, last: Batch) -> Batch:
    count = len(first.rows)
    return Batch(
        first.rows + last.rows,
        last.error,
        lambda index: first.line_of(index) if index < count else last.line_of(index - count),
    )
