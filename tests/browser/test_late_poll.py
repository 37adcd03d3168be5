"""A display that draws itself anew asks every two seconds: at times too late for its page, at times before a click it brings along."""

from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.browser.conftest import group


class Before:
    """Stands between a page and its server, and lets a display's request go before each of a person's, with the same widgets."""

    def __init__(self, page):
        self.fragment, self.before, self.times = "", False, 0
        page.route_web_socket("**/_stcore/stream", self._stand_between)

    def _stand_between(self, page_side):
        server = page_side.connect_to_server()
        page_side.on_message(lambda message: self._pass(server, message))
        server.on_message(page_side.send)

    def _pass(self, server, message):
        asked = BackMsg.FromString(message)
        if asked.rerun_script.is_auto_rerun:
            self.fragment = asked.rerun_script.fragment_id
        elif self.before and asked.HasField("rerun_script"):
            asked.rerun_script.is_auto_rerun, asked.rerun_script.fragment_id = True, self.fragment
            server.send(asked.SerializeToString())
            self.times += 1
        server.send(message)


class HeldBack:
    """Stands between a page and its server, and keeps the next request that no person made."""

    def __init__(self, page):
        self.holding, self.held, self.server = False, None, None
        page.route_web_socket("**/_stcore/stream", self._stand_between)

    def _stand_between(self, page_side):
        self.server = page_side.connect_to_server()
        page_side.on_message(self._pass)
        self.server.on_message(page_side.send)

    def _pass(self, message):
        if self.holding and self.held is None and BackMsg.FromString(message).rerun_script.is_auto_rerun:
            self.held = message
        else:
            self.server.send(message)


def test_a_request_from_before_a_change_of_page_leaves_the_new_page_standing(server, many_root, watched):
    seen = watched()
    page, between = seen.page, HeldBack(seen.page)
    seen.open(f"{server}/gallery?a={group(many_root, 'resnet20')}&which=Easiest")
    between.holding = True
    while between.held is None:
        page.wait_for_timeout(50)
    page.locator(".tile").nth(4).dblclick()
    page.wait_for_url("**/sample?id=*")
    page.get_by_role("button", name="Back to the list").wait_for(timeout=30_000)
    seen.still()
    between.server.send(between.held)
    page.wait_for_timeout(1500)
    seen.still()
    assert page.get_by_text("5 of ").first.is_visible()
    assert page.get_by_role("button", name="Back to the list").is_visible()
    page.get_by_role("button", name="Next").click()
    page.get_by_text("6 of ").first.wait_for(timeout=30_000)


def test_a_display_that_asks_before_a_click_does_not_swallow_it(server, many_root, watched):
    seen = watched()
    page, between = seen.page, Before(seen.page)
    seen.open(f"{server}/review?queue=By+pair+of+classes&taken=In+any+epoch")
    while not between.fragment:
        page.wait_for_timeout(50)
    between.before = True
    page.locator(".st-key-pairs-table canvas").first.click(position={"x": 17, "y": 52}, force=True)
    page.locator(".several .tile").first.wait_for(timeout=20_000)
    seen.still()
    for marked in range(1, 4):  # a click marks or unmarks: it must count once
        page.locator(".several .tile").nth(marked).click()
        page.get_by_text(f"{marked} sample{'s' * (marked > 1)} marked", exact=True).wait_for(timeout=20_000)
    assert between.times >= 4
