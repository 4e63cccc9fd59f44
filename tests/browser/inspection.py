"""What every page is looked at for: whether it is accessible, whether it fits, and what it weighs."""

import json
from importlib.resources import files
from typing import Any

from playwright.sync_api import CDPSession, Page, Response

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
AT_ONCE = "globalThis.setTimeout = work => void Promise.resolve().then(work);"
"""axe-core waits by timers, and there are none where JavaScript is off."""

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {"runOnly": {"type": "tag", "values": RULES}, "preload": False}


def accessible(page: Page) -> None:
    """Raise AssertionError if axe-core finds that a page breaks a rule of WCAG 2.2 (A, AA) or a best practice.

    It runs in a world of its own, as the script of a browser extension does: the page keeps its
    Content-Security-Policy, sees nothing of axe-core, and may have JavaScript off.
    """
    session = page.context.new_cdp_session(page)
    frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
    world = session.send("Page.createIsolatedWorld", {"frameId": frame})["executionContextId"]
    _evaluated(session, world, AT_ONCE + AXE)
    found = json.loads(_evaluated(session, world, f"axe.run({json.dumps(OPTIONS)}).then(JSON.stringify)"))
    session.detach()

    assert found["passes"], "axe-core applied no rule"
    assert not found["violations"], "\n".join([f"{page.url} is not accessible:", *map(_line, found["violations"])])


def _evaluated(session: CDPSession, world: int, script: str) -> str:
    answer = session.send("Runtime.evaluate", {"expression": script, "contextId": world, "awaitPromise": True})
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    return str(answer["result"].get("value"))


def _line(violation: dict[str, Any]) -> str:
    nodes = (f"\n  {' '.join(map(str, node['target']))}: {node['failureSummary']}" for node in violation["nodes"])
    return f"{violation['id']}: {violation['help']}{''.join(nodes)}"


def fits(page: Page) -> None:
    """Raise AssertionError if a page is wider than its window, so that one has to scroll to the side to read it."""
    width, window = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")

    assert width <= window, f"{page.url} is {width} px wide in a window of {window} px"


def weight(page: Page, path: str) -> int:
    """Go to a page, and return the bytes of all its responses, until none came for half a second.

    Counted are headers as sent and bodies as they are once decompressed, also of what came from the cache.
    """
    responses: list[Response] = []

    def arrived(response: Response) -> None:
        responses.append(response)

    page.on("response", arrived)
    page.goto(path, wait_until="networkidle")
    page.remove_listener("response", arrived)
    return sum(map(_size, responses))


def _size(response: Response) -> int:
    body = b"" if 300 <= response.status < 400 else response.body()  # A browser keeps none of a redirection.
    return response.request.sizes()["responseHeadersSize"] + len(body)
