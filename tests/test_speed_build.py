"""Building the hot path: where that cannot be done, one line says so and streamflow is there without it.

Copies of the tree are built without a network; the tree itself is left alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

setuptools = pytest.importorskip("setuptools", reason="setuptools is not installed here, only where pip builds")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="not in a checkout")]
reads_pyproject = pytest.mark.skipif(
    int(setuptools.__version__.partition(".")[0]) < 77, reason="this setuptools cannot read our pyproject.toml"
)


@pytest.fixture
def tree(tmp_path):
    """A copy of what is needed to build the extension in place; any setuptools can."""
    shutil.copytree(ROOT / "streamflow", tmp_path / "streamflow", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(ROOT / "setup.py", tmp_path)
    return tmp_path


@pytest.fixture
def whole_tree(tree):
    """The same with all that belongs to a distribution."""
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tree)
    return tree


def python(tree: Path, *args: str, **environment: str) -> str:
    """Run Python in the tree; return all that it says."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"STREAMFLOW_PURE", "CC", "LDSHARED"}}
    done = subprocess.run(
        [sys.executable, *args],
        cwd=tree,
        env=inherited | {"PYTHONPATH": str(tree)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def hot_path(tree: Path) -> str:
    """What is said of the hot path in this tree."""
    return python(tree, "-c", "from streamflow.cli.machine import about; print(dict(about())['hot path'])").strip()


NO_COMPILER = {"CC": "/nonexistent/cc", "LDSHARED": "/nonexistent/cc"}


def check_skipped(told: str, tree: Path) -> None:
    lines = [line for line in told.splitlines() if "without its C hot path" in line]
    assert len(lines) == 1
    assert "Traceback" not in told
    assert not list(tree.rglob("*.so"))
    assert hot_path(tree).startswith("pure Python: it ")


def test_without_a_compiler_one_line_says_so(tree):
    check_skipped(python(tree, "setup.py", "build_ext", "--inplace", **NO_COMPILER), tree)


@reads_pyproject
def test_without_a_compiler_a_wheel_is_built_all_the_same(whole_tree):
    check_skipped(python(whole_tree, "setup.py", "bdist_wheel", **NO_COMPILER), whole_tree)
    (wheel,) = whole_tree.glob("dist/*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "streamflow/channel/storage.py" in names
    assert not [name for name in names if name.endswith((".so", ".pyd"))]


def test_a_compiler_that_fails_is_as_none(tree):
    (tree / "streamflow" / "channel" / "_speed.c").write_text("#error this cannot be compiled\n")
    told = python(tree, "setup.py", "build_ext", "--inplace")
    check_skipped(told, tree)


def test_with_a_compiler_it_is_built_in_place_and_used(tree):
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        pytest.skip("no C compiler here")
    told = python(tree, "setup.py", "build_ext", "--inplace")
    if "without its C hot path" in told:
        pytest.skip("the headers of Python are not here")
    assert hot_path(tree) == "C extension"


def test_another_python_does_not_even_try(tree):
    told = python(
        tree,
        "-c",
        "import platform, runpy, sys; platform.python_implementation = lambda: 'PyPy';"
        "sys.argv = ['setup.py', 'build_ext', '--inplace']; runpy.run_path('setup.py', run_name='__main__')",
    )
    assert "_speed" not in told
    assert "_rows" not in told
    assert not list(tree.rglob("*.so"))


@reads_pyproject
def test_what_is_distributed_holds_the_source_and_the_types(whole_tree):
    python(whole_tree, "setup.py", "egg_info")
    listed = next(whole_tree.glob("*.egg-info/SOURCES.txt")).read_text().splitlines()
    in_c = ("streamflow/channel/_speed", "streamflow/formats/_rows")
    assert {f"{name}{suffix}" for name in in_c for suffix in (".c", ".pyi")} | {"streamflow/py.typed"} <= set(listed)
