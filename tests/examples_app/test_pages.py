"""The pages of the example app in a real browser, at every width and in the dark.

They need Chromium (or Chrome) on this machine, and Playwright to drive it; else they are skipped and say so. Pictures
of each page are left in `.cache/screenshots/`, for people to look at.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect
expect.set_options(timeout=15_000)

SHOTS = Path(__file__).parents[2] / ".cache" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATH = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
SCREENS = {"desktop": (1100, "light"), "narrow": (400, "light"), "dark": (1100, "dark"), "narrow-dark": (400, "dark")}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PATH is None, reason="no Chromium here: apt-get install chromium, or CHROMIUM=/path/to/it"),
]


@pytest.fixture(scope="module")
def browser():
    # A sandbox needs rights that root in a container does not have; these pages are our own.
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=PATH, args=["--no-sandbox"], chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address) -> Iterator[playwright.Page]:
    """A page that must say nothing on the console and ask no other host."""
    context = browser.new_context(viewport={"width": 1100, "height": 900}, base_url=address, accept_downloads=True)
    said: list[str] = []
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith((address, "data:")) else None)
    yield page
    context.close()
    assert [text for text in said if "422" not in text] == []  # the browser tells of each refusal itself


def shoot(page: playwright.Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def check_every_screen(page: playwright.Page, name: str) -> None:
    """Leave pictures of the page as it stands; none may be wider than its screen."""
    for screen, (width, scheme) in SCREENS.items():
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        shoot(page, f"{name}-{screen}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), screen


def test_a_page_is_used_by_the_keyboard_alone(page):
    page.goto("")

    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"

    assert reached == ["Download", "Upload", "Live", "form", "region", "rows", "Download", "Start"]
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_have_text("Reading.")


def test_a_file_is_downloaded_by_the_form(page):
    page.goto("")
    check_every_screen(page, "download")
    page.get_by_label("Rows at most").fill("1000")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()

    assert download.value.suggested_filename == "orders.csv.gz"
    assert gzip.decompress(Path(download.value.path()).read_bytes()).count(b"\n") == 1001


def test_a_pause_stops_the_cursor_and_leaving_closes_it(page):
    page.goto("")
    number = "Number(document.getElementById('{}').textContent.replaceAll(',', ''))"
    # By the page itself: on a busy machine all would have come before a click from outside.
    page.evaluate(
        """() => new MutationObserver((_, watching) => {
            if (Number(document.getElementById("here").textContent.replaceAll(",", "")) > 2000) {
                watching.disconnect();
                [...document.querySelectorAll("button")].find((one) => one.textContent.trim() == "Pause").click();
            }
        }).observe(document.getElementById("here"), { childList: true, characterData: true, subtree: true })"""
    )
    page.get_by_role("button", name="Start").click()
    page.wait_for_function(f"{number.format('here')} > 2000")

    still = "(globalThis.seen ??= []).push({}), seen.length > 60 && new Set(seen.slice(-60)).size == 1"
    page.wait_for_function(still.format(number.format("there")))
    there = page.evaluate(number.format("there"))
    check_every_screen(page, "download-paused")
    assert page.evaluate(number.format("here")) <= there < 200_000
    expect(page.locator("#cursor")).to_have_text("open")

    page.get_by_role("button", name="Leave").click()
    expect(page.locator("#cursor")).to_have_text("closed")
    expect(page.locator("#said")).to_contain_text("Left.")


def test_bad_rows_are_shown_as_text_and_the_good_ones_stored(page):
    page.goto("upload.html")
    page.get_by_role("button", name="example").click()

    expect(page.locator("#said")).to_have_text("Stored 49,994 rows; 6 were bad.")
    letters = page.locator("#letters tr")
    expect(letters).to_have_count(6)
    expect(letters.nth(0)).to_contain_text("column 'quantity'")
    expect(page.locator("#letters")).to_contain_text("<b>north</b>")
    assert page.locator("#letters b").count() == 0
    expect(page.locator("#stored li").first).to_contain_text(".csv.gz")
    check_every_screen(page, "upload")
    with page.expect_download() as download:
        page.locator("#stored a").first.click()
    assert gzip.decompress(Path(download.value.path()).read_bytes()).count(b"\n") == 49_995


def test_a_wrong_file_is_refused_in_words(page, tmp_path):
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("name,age\nAda,36\n")
    page.goto("upload.html")
    page.get_by_label("A file of yours").set_input_files(wrong)
    page.get_by_role("button", name="Upload", exact=True).click()

    expect(page.locator("#said")).to_contain_text("Nothing was stored. line 1: the header has no column 'id'")
    check_every_screen(page, "upload-refused")


def test_a_sensor_that_is_unplugged_is_seen_to_come_back(page):
    page.goto("live.html")
    sensor = page.locator("#pipelines tr").first
    expect(sensor).to_contain_text("running")
    expect(page.locator("#curve")).to_have_attribute("points", re.compile(r"(\S+ ){6}"))
    check_every_screen(page, "live")

    page.get_by_role("button", name="Unplug").click()
    expect(sensor).to_contain_text("restarting in")
    expect(sensor).to_contain_text("the sensor does not answer")
    check_every_screen(page, "live-restarting")
    expect(sensor).to_contain_text("running")


def test_pages_that_look_on_are_counted(page, browser, address):
    page.goto("live.html")
    expect(page.locator("#pages")).to_have_text("1")
    second = browser.new_page()
    second.goto(f"{address}live.html")

    expect(page.locator("#pages")).to_have_text("2")
    second.close()
    expect(page.locator("#pages")).to_have_text("1")
