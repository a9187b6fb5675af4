from typing import Any

def read(delimiter: str, quotechar: str, text: str, /) -> tuple[list[list[Any]], int, int]: ...
def read_dict(empty: dict[Any, Any], names: tuple[Any, ...], row: list[Any], /) -> dict[Any, Any]: ...
def write_lists(dialect: bytes, width: int, rows: list[Any], at: int, room: int, /) -> tuple[bytes, int, int]: ...
def write_dicts(
    dialect: bytes,
    names: tuple[Any, ...],
    missing: tuple[()] | tuple[Any],
    exact: bool,
    rows: list[Any],
    at: int,
    room: int,
    /,
) -> tuple[bytes, int, int]: ...
