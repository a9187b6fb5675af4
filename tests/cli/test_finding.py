"""From `module:attribute` to pipelines, and what is said where there are none."""

from __future__ import annotations

import sys

import pytest

import streamflow as sf
from streamflow.cli.finding import found, jobs_of

SHOP = """
import streamflow as sf
orders = sf.stream([1]).to(sf.count(), name="orders")
class Night:
    job = sf.stream([2]).to(sf.count(), name="night")
"""


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "shop_of_tests.py").write_text(SHOP)
    (tmp_path / "broken_of_tests.py").write_text("import not_there_at_all")
    (tmp_path / "empty_of_tests.py").write_text("")
    (tmp_path / "json.py").write_text(SHOP)
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "nightly_of_tests.py").write_text(SHOP)
    yield
    for name in [name for name in sys.modules if "_of_tests" in name or name == "jobs"]:
        del sys.modules[name]


def test_a_module_of_the_current_directory_is_found_also_in_a_folder():
    assert found("shop_of_tests:orders").name == "orders"
    assert found("jobs.nightly_of_tests:Night.job").name == "night"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("shop_of_tests", r"names no pipeline. Write module:attribute, as in shop_of_tests:pipeline"),
        ("shop_of_tests:", "names no pipeline"),
        (":orders", r"as in shop:orders"),
        ("shop_of_tests.py", r"as in shop_of_tests:pipeline"),
        ("jobs.nightly_of_tests", r"as in jobs:nightly_of_tests"),
        ("shop_of_tests:orders.", r"as in shop_of_tests:orders"),
        (
            "jobs:orders",
            r"It is a package; name a module in it \(nightly_of_tests\), as in jobs.nightly_of_tests:orders",
        ),
        ("empty_of_tests:job", r"has no 'job'\. There is no pipeline in it"),
        ("shop_of_tests:orders.rum", r"Pipeline in 'shop_of_tests' has no 'rum'\. Did you mean run"),
        ("json:orders", r"It is not your json\.py: Python has a module of that name already"),
        ("shop_of_test:orders", r"There is no module 'shop_of_test' in .* Did you mean shop_of_tests"),
        ("jobs.nightly:orders", r"There is no module 'jobs\.nightly'"),
        ("jobs/nightly_of_tests.py:orders", r"is a path; name the module: jobs\.nightly_of_tests:orders"),
        ("shop_of_tests:order", r"The module 'shop_of_tests' has no 'order'. Did you mean orders\?"),
        ("shop_of_tests:xyz", r"has no 'xyz'. Its pipelines: orders\."),
        ("shop_of_tests:Night.jib", r"type in 'shop_of_tests' has no 'jib'. Did you mean job\?"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(target, words):
    with pytest.raises(sf.UsageError, match=words):
        found(target)


def test_a_module_that_misses_another_one_says_so_itself():
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        found("broken_of_tests:orders")


async def test_one_several_and_functions_that_make_them_are_pipelines():
    one = sf.stream([1]).to(sf.count())

    async def several():
        return [one, lambda: one]

    assert await jobs_of(one) == [one]
    assert await jobs_of([one, one]) == [one, one]
    assert await jobs_of(lambda: one) == [one]
    assert await jobs_of(several) == [one, one]


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        ([], "the list of pipelines is empty"),
        (3, "not int"),
        (lambda: 3, "'<lambda>' returned int, not a Pipeline"),
        (lambda day, *, hour, minute=0: 3, "'<lambda>' is called without arguments .* and it needs day and hour"),
        ([sf.stream([1])], r"not Stream\. It has no sink yet"),
    ],
)
async def test_anything_else_is_refused(thing, words):
    with pytest.raises(sf.UsageError, match=words):
        await jobs_of(thing)


def test_a_relative_module_is_refused():
    with pytest.raises(sf.UsageError, match=r"relative; name the module as it is from here: shop:orders"):
        found(".shop:orders")
