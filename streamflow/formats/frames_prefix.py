"""The prefixes that say how long a frame is: whole numbers of a fixed width, and varints.

What lives here: reading and writing one prefix. What must not: frames.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, TypeAlias, cast

from streamflow.errors import UsageError

__all__ = ["Prefix", "PrefixName", "prefix_of"]

PrefixName: TypeAlias = Literal["u8", "u16be", "u16le", "u32be", "u32le", "u64be", "u64le", "varint"]

_VARINT_BYTES = 10
_CONTINUED = 0x80


class Prefix(Protocol):
    """How a length is written before its frame."""

    @property
    def most(self) -> int:
        """The greatest length that it can say."""

    def write(self, size: int) -> bytes:
        """Return the prefix for a frame of `size` bytes."""

    def read(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Return the length that stands at `at`, and where it ends; `None` if the data ends before.

        Raises `ValueError` for what cannot be a length.
        """


class FixedPrefix(NamedTuple):
    """A length as an unsigned whole number of a fixed width in bytes."""

    width: int
    order: Literal["big", "little"]

    @property
    def most(self) -> int:
        """The greatest number of this width."""
        return int((1 << 8 * self.width) - 1)

    def write(self, size: int) -> bytes:
        """Return the number's bytes."""
        return size.to_bytes(self.width, self.order)

    def read(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Return the number and where it ends."""
        end = at + self.width
        return (int.from_bytes(data[at:end], self.order), end) if end <= len(data) else None


class VarintPrefix(NamedTuple):
    """A length as protobuf writes it before a delimited message: seven bits a byte, the lowest ones first."""

    most: int = (1 << 64) - 1

    def write(self, size: int) -> bytes:
        """Return the varint's bytes, as few as possible."""
        written = bytearray()
        while size >= _CONTINUED:
            written.append(size & 0x7F | _CONTINUED)
            size >>= 7
        written.append(size)
        return bytes(written)

    def read(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Return the number and where it ends; like protobuf, take one that is longer than it had to be."""
        if at < len(data) and data[at] < _CONTINUED:  # most frames are short
            return data[at], at + 1
        size = 0
        for place, byte in enumerate(data[at : at + _VARINT_BYTES]):
            size |= (byte & 0x7F) << 7 * place
            if byte < _CONTINUED:
                if size > self.most:
                    break
                return size, at + place + 1
        if size > self.most or len(data) - at >= _VARINT_BYTES:
            raise ValueError("a varint of more than 64 bits")
        return None


_PREFIXES: dict[str, Prefix] = {
    "u8": FixedPrefix(1, "big"),
    "u16be": FixedPrefix(2, "big"),
    "u16le": FixedPrefix(2, "little"),
    "u32be": FixedPrefix(4, "big"),
    "u32le": FixedPrefix(4, "little"),
    "u64be": FixedPrefix(8, "big"),
    "u64le": FixedPrefix(8, "little"),
    "varint": VarintPrefix(),
}


def prefix_of(name: PrefixName) -> Prefix:
    """Return the prefix of this name, or raise `UsageError`."""
    if not isinstance(cast("object", name), str) or name not in _PREFIXES:
        raise UsageError(f"prefix={name!r} is none that is known; write one of {', '.join(map(repr, _PREFIXES))}")
    return _PREFIXES[name]
