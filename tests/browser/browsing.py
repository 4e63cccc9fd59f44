"""People at their browsers, and what these had to complain about."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, CDPSession, ConsoleMessage, Page, Request, Response, WebError

REPEATED = "Failed to load resource: the server responded with a status of "
"""How the console begins to say what a response has said already."""


@dataclass(frozen=True)
class View:
    """How somebody looks at the pages. Width and height are those of the window, in pixels, whatever the zoom."""

    javascript: bool = True
    dark: bool = False
    width: int = 1280
    height: int = 800
    zoom: float = 1

    def __str__(self) -> str:
        scripts = "scripts" if self.javascript else "no-scripts"
        return f"{scripts}-{'dark' if self.dark else 'light'}-{self.width}x{self.height}-{self.zoom:.0%}"

    def options(self) -> dict[str, Any]:
        """The same in words of Playwright. To zoom is to have fewer and larger CSS pixels."""
        return {
            "java_script_enabled": self.javascript,
            "color_scheme": "dark" if self.dark else "light",
            "viewport": {"width": round(self.width / self.zoom), "height": round(self.height / self.zoom)},
            "device_scale_factor": self.zoom,
        }


DESKTOP = View()


@dataclass
class Browsing:
    """The browsing of a test: pages of a service, each with cookies and a cache of its own.

    A complaint is one line: `console error: ...`, `exception: ...`, `policy: ...` (a breach of the
    Content-Security-Policy), `request to another host: ...`, or `404 GET /path`.
    """

    chromium: Browser
    url: str
    complaints: list[str] = field(default_factory=list)
    _expected: list[str] = field(default_factory=list)
    _pages: list[tuple[Page, CDPSession]] = field(default_factory=list)

    def page(self, view: View = DESKTOP, url: str = "") -> Page:
        """An empty page in a browser of its own; `url` is another service than that of all tests."""
        url = url or self.url
        context = self.chromium.new_context(base_url=url, locale="en-US", timezone_id="UTC", **view.options())
        page = context.new_page()
        session = context.new_cdp_session(page)
        self._pages.append((page, session))
        context.on("console", self._console)
        context.on("weberror", self._exception)
        context.on("request", lambda request: self._request(request, url))
        context.on("response", self._response)
        session.on("Audits.issueAdded", self._issue)
        session.send("Audits.enable")
        return page

    def expects(self, complaint: str) -> None:
        """Say that there will be a complaint. `*` stands for any text: `409 POST /inbox/leads/*/notes`."""
        self._expected.append(complaint)

    def check(self) -> None:
        """Raise AssertionError if there was a complaint that was not expected, or none where one was."""
        for page, session in self._pages:
            if not page.is_closed():
                session.send("Runtime.evaluate", {"expression": "0"})  # What was reported before this answer is here.
        missed = [each for each in self._expected if not any(fnmatchcase(line, each) for line in self.complaints)]
        others = [line for line in self.complaints if not any(fnmatchcase(line, each) for each in self._expected)]

        assert not others, "\n".join(["the browser complains:", *others])
        assert not missed, "\n".join(["the browser does not complain as expected:", *missed])

    def close(self) -> None:
        """Close all pages."""
        for page, _ in self._pages:
            page.context.close()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(REPEATED):
            self.complaints.append(f"console {message.type}: {message.text} ({message.location['url']})")

    def _exception(self, error: WebError) -> None:
        self.complaints.append(f"exception: {error.error}")

    def _request(self, request: Request, url: str) -> None:
        if not request.url.startswith((f"{url}/", f"blob:{url}/", "data:", "mailto:")):
            self.complaints.append(f"request to another host: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.request.method} {urlsplit(response.url).path}")

    def _issue(self, added: dict[str, Any]) -> None:
        if added["issue"]["code"] == "ContentSecurityPolicyIssue":
            breach = added["issue"]["details"]["contentSecurityPolicyIssueDetails"]
            kind, place = breach["contentSecurityPolicyViolationType"], breach.get("sourceCodeLocation")
            self.complaints.append(
                f"policy: {breach['violatedDirective']} {kind} {breach.get('blockedURL', '')} {place}"
            )
