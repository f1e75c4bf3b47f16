"""The explorer page, by clicks and keys in a headless Chromium.

`KGREC_TEST_SCREENSHOTS=folder` keeps a picture of each state; with `KGREC_TEST_PAGE=address` as
well, pictures are taken of the server that runs there, such as one over the demo's films.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from planted import item_id, user_id
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    StaleElementReferenceException,
)
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

pytestmark = pytest.mark.browser

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",
    "--window-size=1500,1000",
)
USER = user_id(1)


class Page:
    """The page as somebody sees it: what is on it, found by selector, waited for."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver = driver
        self.address = address

    def open(self, fragment: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}/{fragment}")

    def wait(self, ready: Callable[[], Any]) -> Any:
        gone = (StaleElementReferenceException, ElementClickInterceptedException)
        return WebDriverWait(self.driver, 30, 0.05, gone).until(lambda _: ready())

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def find(self, selector: str) -> WebElement:
        found: WebElement = self.wait(
            lambda: next((e for e in self.all(selector) if e.is_displayed()), None)
        )
        return found

    def click(self, selector: str) -> None:
        self.wait(lambda: self._clicked(selector))

    def _clicked(self, selector: str) -> bool:
        element = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        return True

    def text(self, selector: str) -> str:
        return str(self.find(selector).text)

    def shows(self, selector: str, text: str) -> None:
        self.wait(lambda: text in self.text(selector))

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def picture(self, name: str) -> None:
        folder = os.environ.get("KGREC_TEST_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    def recommended(self) -> list[str]:
        """Return the ids of the recommended items, once they are there."""
        self.find("#recommendations li.card")
        cards = self.all("#recommendations li.card")
        return [str(card.get_attribute("data-item")) for card in cards]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    if BROWSER is None or DRIVER is None:
        pytest.skip("no Chromium with its chromedriver is installed here")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    with webdriver.Chrome(options=options, service=service) as started:
        yield started


@pytest.fixture
def page(driver: webdriver.Chrome, address: str) -> Page:
    driver.set_window_size(1500, 1000)
    return Page(driver, address)


def test_from_the_start_to_a_recommendation_that_adds_up(page: Page) -> None:
    page.open()
    page.picture("start")
    page.click(f"[data-user='{user_id(1)}']")
    page.shows("#person h2", f"User {USER}")
    assert len(page.recommended()) == 12
    page.wait(lambda: len(page.all("#person .history li")) == 12)
    assert page.find("#recommendations .legend li")
    assert page.find("#recommendations .card .reasons li").text
    page.picture("recommendations")
    page.click("#recommendations li.card:nth-child(2) .open")
    page.wait(lambda: f"item={page.recommended()[1]}" in page.driver.current_url)
    page.shows(".contributions .check", "adds up to the score")
    told = page.find("#sum")
    total, score = (float(str(told.get_attribute(f"data-{n}"))) for n in ("sum", "score"))
    assert total == pytest.approx(score, rel=1e-5)
    shown = page.text("#recommendations li.card:nth-child(2) .score")
    assert score == pytest.approx(float(shown), abs=1e-3)
    assert len(page.all(".contributions tbody tr")) >= 3
    assert page.find(".contributions .bar i").size["width"] > 0


def test_paths_run_from_left_to_right_and_tell_their_evidence(page: Page) -> None:
    page.open(f"#user={USER}")
    page.wait(lambda: page.run("return document.querySelector('.graph')?.kgrec !== undefined"))
    columns = page.run(
        """const graph = document.querySelector('.graph').kgrec, xs = {};
        graph.nodes().forEach((n) => { (xs[n.data('kind')] ??= []).push(n.position('x')); });
        return xs;"""
    )
    assert max(columns["history"]) < min(columns["entity"])
    assert max(columns["entity"]) < min(columns["item"])
    assert len(columns["item"]) == 1
    labels = set(
        page.run(
            "return document.querySelector('.graph').kgrec.edges().map((e) => e.data('label'))"
        )
    )
    assert labels <= {"has genre", "directed by"}
    assert "directed by" in labels
    canvas = page.find(".graph")
    page.run("arguments[0].scrollIntoView({block: 'center'})", canvas)
    x, y, width, height = page.run(
        """const graph = document.querySelector('.graph').kgrec;
        const m = graph.edges('[label = "directed by"]')[0].renderedMidpoint();
        const c = document.querySelector('.graph');
        return [m.x, m.y, c.clientWidth, c.clientHeight];"""
    )
    move = ActionChains(page.driver).move_to_element_with_offset(
        canvas, round(x - width / 2), round(y - height / 2)
    )
    move.click().perform()
    page.shows(".evidence", "directed by Director")
    assert "from text" in page.text(".evidence").lower()
    page.picture("paths")
    page.click("details summary")
    assert page.find("details .paths li").text


def test_a_like_changes_the_list_and_can_be_undone(page: Page, api: httpx.Client) -> None:
    page.open(f"#user={user_id(5)}")
    liked = page.recommended()[0]
    page.click("#recommendations li.card:first-child [data-act='like']")
    page.shows("#toasts", "Liked")
    page.wait(lambda: liked not in page.recommended())
    page.wait(lambda: page.all("#person .history li:first-child .mark.like"))
    newest = page.find("#person .history li:first-child button")
    assert newest.get_attribute("data-item") == liked
    assert page.all("#recommendations .moved")
    page.picture("liked")
    page.click("#toasts button")
    page.wait(lambda: liked in page.recommended())
    entries = api.get(f"/v1/users/{user_id(5)}/history").json()["items"]
    assert liked not in {entry["item_id"] for entry in entries}


def test_a_like_that_is_slow_leaves_the_next_user_alone(page: Page, api: httpx.Client) -> None:
    page.open(f"#user={user_id(9)}")
    liked = page.recommended()[0]
    page.run(
        """const send = window.fetch;
        window.fetch = async (url, options) => {
          if (options?.method === 'POST') await new Promise((go) => { window.letGo = go; });
          const answer = await send(url, options);
          if (options?.method === 'POST') window.wasSent = true;
          return answer;
        };"""
    )
    page.click("#recommendations li.card:first-child [data-act='like']")
    page.wait(lambda: page.run("return window.letGo !== undefined"))
    page.run("location.hash = arguments[0]", f"user={user_id(6)}")
    page.shows("#person h2", user_id(6))
    expected = page.recommended()
    page.run("window.letGo()")
    page.shows("#toasts", "Liked")
    page.wait(lambda: page.run("return window.wasSent"))
    time.sleep(1)  # long enough for a list that must not come
    assert user_id(6) in page.text("#person h2")
    assert page.recommended() == expected
    assert api.delete(f"/v1/users/{user_id(9)}/feedback/{liked}").json() == {"withdrawn": 1}


def test_a_newcomer_sees_a_marked_fallback_until_the_first_like(
    page: Page, api: httpx.Client
) -> None:
    page.open()
    field = page.find("#person input")
    field.send_keys("newcomer", Keys.ENTER)
    page.shows("#recommendations .fallback", "Not personal")
    page.shows("#person", "does not know this user yet")
    page.picture("fallback")
    page.click("#recommendations li.card:first-child [data-act='like']")
    page.wait(lambda: not page.all("#recommendations .fallback"))
    page.wait(lambda: page.all("#recommendations .legend li"))
    assert api.delete("/v1/users/newcomer").status_code == 204


def test_items_are_found_with_the_keyboard_alone(page: Page) -> None:
    page.open(f"#user={USER}")
    page.find("#find-item input").send_keys("Film 042")
    page.shows("#find-item [role='option']", "Film 042")
    page.find("#find-item input").send_keys(Keys.ARROW_DOWN)
    assert page.find("#find-item [aria-selected='true']")
    page.find("#find-item input").send_keys(Keys.ENTER)
    page.shows("#why h2", "Film 042")
    page.wait(lambda: f"item={item_id(42)}" in page.driver.current_url)
    page.shows("#why .facts", "directed by")
    page.click("#why .similar .chip")
    page.wait(lambda: f"item={item_id(42)}" not in page.driver.current_url)
    page.driver.back()
    page.shows("#why h2", "Film 042")


def test_a_fact_shows_its_source_and_is_corrected(page: Page, api: httpx.Client) -> None:
    made = {"item_id": "c9", "title": "Corrected on the page", "director": "Nil Nowi|Ed Ward"}
    api.post("/v1/items", json=made).raise_for_status()
    page.open("#item=c9")
    page.shows("#why .facts", "Nil Nowi")
    page.click("#why .facts .chip")
    page.shows("#why .correction", "From column:api.director, confidence 100 %")
    name = page.text("#why .correction strong")
    page.click("#why .correction [data-act='change']")
    field = page.find("#why .change input")
    field.clear()
    field.send_keys("Nil Novi", Keys.ENTER)
    page.wait(lambda: "Nil Novi" in page.text("#why .facts"))
    assert name not in page.text("#why .facts")
    page.picture("corrected")
    other = ({"Nil Nowi", "Ed Ward"} - {name}).pop()
    [chip] = [one for one in page.all("#why .facts .chip") if one.text == other]
    chip.click()
    page.click("#why .correction [data-act='reject']")
    page.wait(lambda: other not in page.text("#why .facts"))
    facts = api.get("/v1/items/c9").json()["facts"]
    assert [(one["name"], one["source"]) for one in facts] == [("Nil Novi", "correction")]
    assert api.delete("/v1/items/c9").status_code == 204
    for gone in ("nil%20nowi", "ed%20ward", "nil%20novi"):
        api.delete(f"/v1/entities/Person%3A{gone}")


def test_a_correction_that_a_key_does_not_allow_changes_nothing(
    driver: webdriver.Chrome, locked: Callable[[str | None], httpx.Client]
) -> None:
    page = Page(driver, str(locked(None).base_url).rstrip("/"))
    page.open(f"#item={item_id(3)}")
    page.find("#key-input").send_keys("reader-key", Keys.ENTER)
    before = page.text("#why .facts")
    page.click("#why .facts .chip")
    page.click("#why .correction [data-act='reject']")
    page.shows("#why .correction .failed", "does not allow this")
    assert page.text("#why .facts") == before
    page.run("sessionStorage.clear()")


def test_knobs_filter_and_vary(page: Page) -> None:
    page.open(f"#user={USER}")
    before = page.recommended()
    page.find("#filter").send_keys("genre=Western", Keys.ENTER)
    page.wait(lambda: page.recommended() != before)
    page.find("#filter").clear()
    page.find("#filter").send_keys("nonsense", Keys.ENTER)
    page.shows("#recommendations .problem", "nonsense")
    page.shows("#recommendations .problem", "KEY=VALUE")


def test_deep_links_and_what_is_not_there(page: Page) -> None:
    page.open(f"#user={USER}&item={item_id(9)}")
    page.shows("#why h2", "Film 009")
    page.open(f"#user={USER}&item=nothing")
    page.shows("#why .problem", "nothing")
    assert page.recommended()


def test_a_key_is_asked_for_and_taken(
    driver: webdriver.Chrome, locked: Callable[[str | None], httpx.Client]
) -> None:
    page = Page(driver, str(locked(None).base_url).rstrip("/"))
    page.open(f"#user={USER}")
    page.find("#key-input").send_keys("wrong", Keys.ENTER)
    page.shows("#key-why", "not known")
    page.picture("key")
    page.find("#key-input").send_keys("reader-key", Keys.ENTER)
    page.wait(lambda: len(page.recommended()) == 12)
    page.click("#recommendations li.card:first-child [data-act='like']")
    page.shows("#toasts", "does not allow this")


def test_the_theme_can_be_chosen_and_stays(page: Page) -> None:
    page.open(f"#user={USER}")
    light = page.run("return getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    dark = page.run("return getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.open(f"#user={USER}")
    assert page.run("return getComputedStyle(document.body).backgroundColor") == dark
    page.find("#sum")
    page.picture("dark")
    page.run("localStorage.clear()")


def test_a_narrow_page_needs_no_sideways_scrolling(page: Page) -> None:
    page.driver.set_window_size(500, 900)
    page.open(f"#user={USER}&item={item_id(9)}")
    page.find("#sum")
    page.picture("narrow")
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")


def test_everything_has_a_name_and_comes_from_here(page: Page) -> None:
    page.driver.get_log("browser")
    page.open(f"#user={USER}")
    page.find("#sum")
    page.wait(lambda: page.run("return document.querySelector('.graph')?.kgrec !== undefined"))
    nameless = page.run(
        """return [...document.querySelectorAll('button, input, a, [role=img]')].filter((e) =>
            !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML);"""
    )
    assert nameless == []
    fetched = page.run("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert fetched
    assert [url for url in fetched if not url.startswith(page.address)] == []
    assert [entry["message"] for entry in page.driver.get_log("browser")] == []


@pytest.mark.skipif("KGREC_TEST_PAGE" not in os.environ, reason="KGREC_TEST_PAGE names no server")
def test_pictures_of_a_running_server(driver: webdriver.Chrome) -> None:
    page = Page(driver, os.environ["KGREC_TEST_PAGE"].rstrip("/"))
    driver.set_window_size(1500, 1400)
    for theme in ("light", "dark"):
        page.open()
        page.run("localStorage.setItem('kgrec-theme', arguments[0])", theme)
        page.open(os.environ.get("KGREC_TEST_FRAGMENT", ""))
        if not os.environ.get("KGREC_TEST_FRAGMENT"):
            page.click(".people button")
        page.wait(lambda: page.run("return document.querySelector('.graph')?.kgrec !== undefined"))
        page.picture(f"explorer-{theme}")
    page.run("localStorage.clear()")


def test_the_description_of_the_api_can_be_tried(driver: webdriver.Chrome, address: str) -> None:
    driver.get(f"{address}/docs#list_queries")
    wait = WebDriverWait(driver, 20)
    wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, "details[id]"))
    described = httpx.get(f"{address}/openapi.json", timeout=30).json()["paths"]
    shown = driver.find_elements(By.CSS_SELECTOR, "#operations details[id]")
    assert len(shown) == sum(len(methods) for methods in described.values())
    driver.find_element(By.CSS_SELECTOR, "#list_queries button").click()
    output = driver.find_element(By.CSS_SELECTOR, "#list_queries > pre")
    wait.until(lambda _: output.text.startswith("200"))
    assert "items_of_entity" in output.text
    driver.find_element(By.CSS_SELECTOR, 'nav a[href="#run_statement"]').click()
    body = driver.find_element(By.CSS_SELECTOR, "#run_statement textarea")
    wait.until(lambda _: body.is_displayed())
    body.clear()
    body.send_keys('{"statement": "CREATE (n)"}')
    driver.find_element(By.CSS_SELECTOR, "#run_statement button").click()
    output = driver.find_element(By.CSS_SELECTOR, "#run_statement > pre")
    wait.until(lambda _: output.text.startswith("403"))
