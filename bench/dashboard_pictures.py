"""The pictures of docs/dashboard.md: the real pages, in Debian's Chromium, of made-up statuses.

    python -m bench.dashboard_pictures [--folder docs/images]

Writes dashboard_device.png, _fleet, _rollouts, _phone and _dark, of few colours so that they are
small. Needs the extra dashboard, chromium and playwright; takes four minutes, since
the charts are of what has passed meanwhile.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.dashboard_scene import BAND, ROLLED, Scene, browser, log_in, status

TOLD_S = 150
CUT_S = (95.0, 115.0)
"""The link of the first device is down between these, counted from the first status."""
COLOURS = 48
TOTAL_BYTES_MAX = 300_000
DEVICES = ("cam-1", "cam-2", "line-3", "line-4")


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Scene(Path(folder), DEVICES) as scene:
        scene.wait_connected()
        with browser() as chromium:
            draw(scene, chromium, args.folder)
    sizes = {path.name: path.stat().st_size for path in args.folder.glob("dashboard_*.png")}
    print(sizes, sum(sizes.values()))
    if sum(sizes.values()) > TOTAL_BYTES_MAX:
        raise SystemExit(f"expected at most {TOTAL_BYTES_MAX} bytes together")


def draw(scene: Scene, chromium: Any, folder: Path) -> None:
    """Tell for a while, then look."""
    context = chromium.new_context(viewport={"width": 1100, "height": 640}, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(120_000)
    log_in(page, scene.url)
    begin_rollout(page, scene)
    with scene.telling(*CUT_S):
        time.sleep(TOLD_S)
        page.set_viewport_size({"width": 1100, "height": 490})
        save(page, folder / "dashboard_fleet.png")
        page.set_viewport_size({"width": 1100, "height": 820})
        page.goto(f"{scene.url}/rollouts")
        page.wait_for_selector("tr:has-text('in use')")
        page.wait_for_timeout(1500)
        save(page, folder / "dashboard_rollouts.png")
        cookies = context.cookies()
        looks: dict[str, dict[str, Any]] = {
            "device": {"viewport": {"width": 1100, "height": 1180}},
            "dark": {"viewport": {"width": 1100, "height": 720}, "color_scheme": "dark"},
            "phone": {"viewport": {"width": 360, "height": 740}},
        }
        for name, options in looks.items():
            other = chromium.new_context(locale="en-GB", **options)
            other.add_cookies(cookies)
            page = other.new_page()
            page.set_default_timeout(120_000)
            page.goto(f"{scene.url}/device/{DEVICES[0]}")
            page.wait_for_selector("[role=img][aria-label*='link down']")
            page.wait_for_selector("button:has-text('Apply')")
            page.wait_for_function(BAND)
            page.wait_for_timeout(2500)
            save(page, folder / f"dashboard_{name}.png")
            other.close()


def begin_rollout(page: Any, scene: Scene) -> None:
    """Let the first device have another bundle; the others wait for their stages."""
    for place, device in enumerate(scene.devices.values()):
        device.tell(status(time.time(), place))
    page.goto(f"{scene.url}/rollouts")
    page.get_by_role("combobox", name="Bundle").click()
    page.get_by_role("option", name=ROLLED).click()
    page.get_by_role("button", name="Begin").click()
    page.get_by_text("under way").first.wait_for()
    page.goto(scene.url)


def save(page: Any, path: Path) -> None:
    """A picture of what is in view, with few colours."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
