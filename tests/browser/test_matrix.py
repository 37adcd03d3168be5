"""The table of groups in a real browser: pressed with the mouse and by keys, read on dark."""

import numpy as np

from tests.browser.conftest import group


def test_a_cell_of_the_table_chooses_a_and_b_by_mouse_and_by_keys(server, many_root, watched):
    seen = watched(color_scheme="dark")
    page = seen.page
    resnet20, vgg16 = group(many_root, "resnet20"), group(many_root, "vgg16")
    seen.open(f"{server}/compare?a={resnet20}")
    cells = page.locator(".matrix button")
    cells.first.wait_for(timeout=30_000)
    assert cells.count() == 9 and page.locator(".matrix th[scope=row]").count() == 3
    assert cells.nth(1).get_attribute("aria-label").startswith("resnet20 and vgg16 agree at 0.")
    contrasts = [
        contrast(*cells.nth(i).evaluate("e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]")) for i in (0, 1, 4)
    ]
    assert min(contrasts) >= 4.5
    cells.nth(1).click()
    page.wait_for_url(f"**b={vgg16}*")
    seen.still()
    assert cells.nth(1).get_attribute("aria-pressed") == "true"
    assert page.locator("[data-testid=stSidebar]").get_by_text("vgg16, mean of 2 seeds").is_visible()
    cells.nth(1).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**a={vgg16}*")
    seen.still()
    assert f"b={resnet20}" in page.url and cells.nth(3).get_attribute("aria-pressed") == "true"


def contrast(*colours: str) -> float:
    """WCAG contrast of two computed colours."""
    channels = [np.array([float(c) for c in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255 for colour in colours]
    linear = [np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) for c in channels]
    low, high = sorted(float(c @ [0.2126, 0.7152, 0.0722]) for c in linear)
    return (high + 0.05) / (low + 0.05)
