"""The page in a real browser, Debian's Chromium without a window: a file, a bad one, the body, labels, the phone's sensors.

`ANYMO_SCREENSHOTS=FOLDER` keeps pictures of what the tests saw.
"""

import base64
import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

selenium = pytest.importorskip("selenium", reason="needs selenium: pip install selenium")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402
from support.few_activities import FEW_ACTIVITIES  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("gradio") is None, reason="needs gradio: pip install 'anymo-hf[space]'"),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs a browser: apt-get install chromium chromium-driver"),
]
WALK = Path(__file__).parents[1] / "data" / "walk_left_wrist.csv"
DESK, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def page(tiny_release):
    """The running page with a tiny model and few known motions, each of which takes time to simulate."""
    from anymo_hf.hub.space_app import serve
    from anymo_hf.systems import known_motions

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_motions, "ACTIVITIES", FEW_ACTIVITIES)
        running = serve(str(tiny_release), wait=False)
        yield running
    running.close()
    running.temporary_folder.cleanup()


@pytest.fixture(scope="module")
def chromium():
    """The browser, with no way to the network."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{word}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def browser(request, page, chromium):
    """A fresh visit on a screen of this size."""
    wide, high = request.param
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": wide, "height": high, "deviceScaleFactor": 1, "mobile": wide < 500},
    )
    chromium.get(page.local_url)
    until(chromium, ".anymo-body button")
    yield chromium
    folder = os.environ.get("ANYMO_SCREENSHOTS")
    if folder:
        whole = chromium.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})["data"]
        name = request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(whole))


def until(browser, selector, words=""):
    """The first element of a selector, once it is there with these words."""

    def found(driver):
        here = driver.find_elements(By.CSS_SELECTOR, selector)
        return next((one for one in here if words in one.text), None)

    return WebDriverWait(
        browser, 90, ignored_exceptions=(selenium.common.exceptions.StaleElementReferenceException,)
    ).until(found)


def send(browser, path):
    browser.find_element(By.CSS_SELECTOR, "#anymo-file input[type=file]").send_keys(str(path))


def even_copy(folder):
    """The walk without its clock, so that it needs the field for the rate."""
    rows = [line.rsplit(",", 2)[0] for line in WALK.read_text().splitlines()]
    path = folder / "walk.csv"
    path.write_text("\n".join(rows))
    return path


def fill_rate(browser, value):
    browser.find_element(By.XPATH, "//button[contains(., 'What the file does not say')]").click()
    field = until(browser, "input[type=number]")
    field.clear()
    field.send_keys(str(value))
    field.send_keys("\t")


def test_a_file_is_answered_and_fits_the_screen(browser, tmp_path):
    fill_rate(browser, 104)
    browser.find_element(By.CSS_SELECTOR, "#anymo-labels textarea").send_keys("walking, climbing stairs")
    send(browser, even_copy(tmp_path))
    until(browser, "#anymo-report", "walk.csv: a plain table, 8.6 s")
    assert {"walking", "climbing stairs"} == {
        row.text.split("\n")[0] for row in browser.find_elements(By.CSS_SELECTOR, "#anymo-timeline .anymo-scores li")
    }
    until(browser, "#anymo-timeline", "In its own words")
    tokens = len(browser.find_elements(By.CSS_SELECTOR, "#anymo-timeline .anymo-tokens rect"))
    assert tokens in (150, 108)  # two books of 15 steps a second, of the first 5 s or the last 3.6 s
    until(browser, "#anymo-nearest .anymo-scores li")
    wide = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1], "the page is wider than the screen"
    assert browser.find_element(By.CSS_SELECTOR, "#anymo-report details").get_attribute("open") is None
    elsewhere = browser.execute_script(
        "return performance.getEntriesByType('resource').map(one => new URL(one.name).hostname)"
    )
    assert set(elsewhere) == {"127.0.0.1"}


def test_a_bad_file_gives_one_sentence_and_the_next_one_an_answer(browser, tmp_path):
    bad = tmp_path / "notes.csv"
    bad.write_text("hello\nworld\n")
    send(browser, bad)
    said = until(browser, "[role=alert]", "notes.csv").text
    assert "no row of three numbers" in said and "Traceback" not in said and str(tmp_path) not in said
    browser.find_element(By.XPATH, "//button[contains(., 'Simulated: walking')]").click()
    until(browser, "#anymo-report", "walking.csv: a plain table, 5.0 s")
    assert not browser.find_elements(By.CSS_SELECTOR, ".anymo-refusal")


def test_other_labels_and_another_place_are_tried_on_the_same_recording(browser):
    browser.find_element(By.XPATH, "//button[contains(., 'Simulated: jumping')]").click()
    until(browser, "#anymo-report", "5.0 s, right ankle")
    until(browser, "#anymo-nearest .anymo-scores li")
    assert browser.find_element(By.CSS_SELECTOR, "#anymo-place input").get_attribute("value") == "right ankle"
    browser.find_element(By.CSS_SELECTOR, "#anymo-labels textarea").send_keys("jumping, swimming")
    browser.find_element(By.CSS_SELECTOR, "button[data-place=waist]").click()
    WebDriverWait(browser, 20).until(
        lambda driver: driver.find_element(By.CSS_SELECTOR, "#anymo-place input").get_attribute("value") == "waist"
    )
    browser.find_element(By.ID, "anymo-again").click()
    until(browser, "#anymo-report", "5.0 s, waist")
    until(browser, "#anymo-timeline .anymo-scores li", "swimming")


def test_the_body_and_the_list_show_the_same_place(browser):
    button = browser.find_element(By.CSS_SELECTOR, "button[data-place=right_pocket]")
    size = button.size
    assert min(size.values()) >= 24, "too small to touch"
    button.click()
    chosen = WebDriverWait(browser, 20)
    chosen.until(
        lambda driver: (
            driver.find_element(By.CSS_SELECTOR, "#anymo-place input").get_attribute("value") == "right pocket"
        )
    )
    pressed = browser.find_elements(By.CSS_SELECTOR, ".anymo-body button[aria-pressed=true]")
    assert [one.get_attribute("aria-label") for one in pressed] == ["right pocket"]


def start_recording(browser):
    """Touches the button; a page that does not answer within seconds is visited anew, as a person would."""
    for _ in range(8):
        button = browser.find_element(By.CSS_SELECTOR, "#anymo-recorder button")
        button.click()
        try:
            WebDriverWait(browser, 8, poll_frequency=0.1).until(lambda _, button=button: button.text == "Stop")
            return button
        except selenium.common.exceptions.TimeoutException:
            seen = browser.find_element(By.ID, "anymo-recorder").get_attribute("outerHTML")
            browser.refresh()
            until(browser, ".anymo-body button")
    raise AssertionError(f"the recorder does not start: {seen}")


def test_the_phones_own_sensors_are_recorded(browser):
    button = start_recording(browser)
    sent = """
        const done = arguments[0]; let count = 0;
        const timer = setInterval(() => {
          window.dispatchEvent(new DeviceMotionEvent("devicemotion", {
            accelerationIncludingGravity: {x: 0.5, y: 0, z: 9.8}, rotationRate: {alpha: 90, beta: 0, gamma: -180},
            interval: 16,
          }));
          if (++count === 150) { clearInterval(timer); done(count); }
        }, 16);
    """
    browser.set_script_timeout(60)
    browser.execute_async_script(sent)
    button.click()
    until(browser, "#anymo-report", "phone.csv")
    browser.find_element(By.CSS_SELECTOR, "#anymo-report summary").click()
    read = until(browser, "#anymo-report", "deg/s").text
    assert "9.81" in read and "Recorded" in browser.find_element(By.CSS_SELECTOR, "#anymo-recorder p").text
    until(browser, "#anymo-timeline", "The surest window")


def test_a_device_without_sensors_says_so(browser):
    start_recording(browser)
    until(browser, "#anymo-recorder p", "No motion came")
    assert browser.find_element(By.CSS_SELECTOR, "#anymo-recorder button").text == "Record with this phone"


def test_keys_alone_reach_the_body_and_everything_has_a_name(browser):
    nameless = browser.execute_script(
        """return [...document.querySelectorAll('.anymo-body button, .anymo-recorder button, #anymo-again, textarea')]
        .filter(one => one.offsetParent && !(one.innerText || one.getAttribute('aria-label') || one.title
                || one.closest('label'))).map(one => one.outerHTML)"""
    )
    assert nameless == []
    head = browser.find_element(By.CSS_SELECTOR, "button[data-place=head]")
    head.send_keys("\n")
    time.sleep(0.2)
    WebDriverWait(browser, 20).until(
        lambda driver: driver.find_element(By.CSS_SELECTOR, "#anymo-place input").get_attribute("value") == "head"
    )
