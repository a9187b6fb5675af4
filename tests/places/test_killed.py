"""A process killed at any moment of writing files: under a result's name stands a whole result, or none."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest

KILLS = 200 if os.environ.get("STREAMFLOW_HYPOTHESIS") == "thorough" else 12
SIZE = 2_000_000
"""Bytes of each result: several writes."""

WRITER = f"""
import asyncio, itertools, os, sys
import streamflow as sf
from streamflow.places import files

async def main(out):
    for number in itertools.count():
        letter = bytes([97 + number % 26])
        items = [letter * 100_000] * ({SIZE} // 100_000)
        sync = bool(number % 2)
        await sf.pipeline(items, files.write(f"{{out}}/always", sync=sync))
        await sf.pipeline(items, files.write(f"{{out}}/whole-{{number}}", sync=sync, overwrite=False))
        await sf.pipeline(items, files.split(f"{{out}}/part-{{{{}}}}", size={SIZE} // 4, sync=sync))
        keys = itertools.cycle("abcd")
        by_key = files.split(f"{{out}}/key-{{{{}}}}", key=lambda _: next(keys), open_files=2, sync=sync)
        await sf.pipeline(items, by_key)
        print("round", flush=True)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_process_killed_while_it_writes_leaves_whole_files_only(tmp_path):
    """H91."""
    moments = random.Random(91)
    caught = 0
    for kill in range(KILLS):
        out = tmp_path / str(kill)
        out.mkdir()
        with subprocess.Popen([sys.executable, "-c", WRITER, str(out)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline() == b"round\n"
            time.sleep(moments.uniform(0, 0.05))  # the moment is what is random; nothing waits for anything here
            writer.kill()
        names = os.listdir(out)
        parts = [name for name in names if name.startswith(".")]
        caught += bool(parts)
        assert all(name.endswith(".part") for name in parts)
        for name in set(names) - set(parts):
            data = (out / name).read_bytes()
            assert len(data) == (SIZE if name.startswith(("always", "whole")) else SIZE // 4), name
            assert data == data[:1] * len(data), f"{name} is of two runs"
            (out / name).unlink()
        for name in parts:
            (out / name).unlink()
    print(f"{KILLS} kills, {caught} of them with a part file under way")  # noqa: T201  # how many were tried
    assert caught, "no kill came while a file was being written, so nothing was proved"
