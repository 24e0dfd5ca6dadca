"""The run with the slider in a real browser, from the file, without a network."""

import re
import shutil
import subprocess

import pytest

from .page import Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--dump-dom",
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None,
    reason=f"needs a browser, one of {', '.join(NAMES)}: apt-get install chromium",
)

# What a reader does, and what is seen after each deed.
DEEDS = """
<script>
  const root = document.getElementById("run-view"), seen = [];
  const slider = root.querySelector("input"), button = root.querySelector("button");
  const look = () => seen.push(root.dataset.frame);
  look();
  slider.value = 3; slider.dispatchEvent(new Event("input")); look();
  const press = (key) => button.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  press("ArrowRight"); press("ArrowRight"); look();
  press("ArrowLeft"); look();
  slider.value = slider.max; slider.dispatchEvent(new Event("input")); look();
  press("ArrowRight"); look();
  button.click(); look();
  seen.push(button.textContent);
  button.click(); seen.push(button.textContent);
  document.body.dataset.seen = seen.join(" ");
</script>
"""


@pytest.fixture
def browse(tmp_path):
    """Open text as a page at a fragment, and return it then, without scripts."""

    def browse(text, fragment=""):
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        done = subprocess.run(
            [CHROMIUM, *FLAGS, profile, f"{file.as_uri()}{fragment}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return re.sub(r"<script.*?</script>", "", done.stdout, flags=re.S)

    return browse


def state(dom):
    """Frame, time, loss and words of the slider; none may come with an error."""
    ((_, root),) = [e for e in Page(dom).elements if e[1].get("id") == "run-view"]
    assert "data-error" not in root, root
    words = re.search(r'<output id="run-now">(.*?)</output>', dom)[1]
    return int(root["data-frame"]), float(root["data-time"]), words


def groups(dom):
    """What is drawn anew at every time, panel by panel."""
    return re.findall(r'<g class="now">(.*?)</g>', dom, flags=re.S)


def test_the_address_opens_the_page_at_a_time(browse, slider_page, told):
    times = [told["times"][i] for i in told["frames"]]
    first, middle = browse(slider_page, "#t=0"), browse(slider_page, f"#t={times[7]}")
    assert state(first)[:2] == (0, 0.0)
    assert state(middle)[:2] == (7, times[7])
    loss = told["losses"][told["frames"][7]]
    assert f"loss {loss:.4g}," in state(middle)[2] + ","
    assert state(first)[2] != state(middle)[2]
    drawn, later = groups(first), groups(middle)
    assert len(drawn) == len(later) == 4  # function, loss, activations, kinks
    assert drawn[0] != later[0]
    assert drawn[1] != later[1]
    assert drawn[3] != later[3]
    pictures = r"base64,[^\"]*"  # any three letters may stand in them
    assert "NaN" not in re.sub(pictures, "", first + middle)
    # A point for every datum, and one for every kink that is somewhere.
    dots = [f.count("<circle") for f in re.findall(r"<svg.*?</svg>", middle, re.S)]
    kinks = sum(k is not None for k in told["kinks"][7])
    assert dots[0] == 9 + kinks


def test_slider_keys_and_button_move_the_picture(browse, slider_page, told):
    dom = browse(slider_page.replace("</body>", DEEDS + "</body>"))
    last = len(told["frames"]) - 1
    seen = re.search(r'data-seen="(.*?)"', dom)[1].split()
    expected = [last, 3, 5, 4, last, last, 0]
    assert seen == [*map(str, expected), "Pause", "Play"]
    state(dom)


def test_an_error_of_the_script_is_shown(browse, slider_page):
    broken = slider_page.replace('"frames":', '"bitmaps":')
    dom = browse(broken)
    assert "data-error" in dom
    assert "The run cannot be shown" in dom


def test_a_run_with_two_inputs(browse, plane_page):
    dom = browse(plane_page, "#t=1")
    assert len(groups(dom)) == 3  # outputs, loss, activations
    assert "outputs against targets" in dom
    state(dom)
