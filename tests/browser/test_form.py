"""The form for prospects."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Page, Request, expect
from tests.browser.bad_line import Answers, BadLine
from tests.browser.browsing import Browsing, View
from tests.browser.framing_page import FramingPage
from tests.browser.inspection import accessible, fits, weight
from tests.documents import pdf
from tests.service import Service

Screenshot = Callable[[Page, str], None]

BOTH = pytest.mark.parametrize("view", [View(), View(javascript=False)], ids=str)
NO_SCRIPTS = pytest.mark.parametrize("view", [View(javascript=False)], ids=str)
LOOKS = pytest.mark.parametrize("view", [View(), View(dark=True), View(width=320), View(zoom=2)], ids=str)
LARGEST = 10_485_760
RECEIVED = re.compile(r"/received/LD-[0-9A-Z]{8}/")


@pytest.fixture
def cv(tmp_path: Path) -> Path:
    """A resume."""
    path = tmp_path / "cv.pdf"
    path.write_bytes(pdf(200_000))
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """The largest resume that is taken."""
    path = tmp_path / "large.pdf"
    path.write_bytes(pdf(LARGEST))
    return path


def fill(page: Page, resume: Path | None, **texts: str) -> None:
    """Open the form and fill it in."""
    page.goto("/")
    for name, text in {"First name": "Ada", "Last name": "Lovelace", "Email": "ada@example.org", **texts}.items():
        page.get_by_label(name).fill(text)
    if resume:
        page.get_by_label("Resume").set_input_files(resume)


def send(page: Page) -> None:
    """Press the button."""
    page.get_by_role("button", name="Send").click()


def throttle(page: Page, bytes_per_second: int) -> CDPSession:
    """Make the line slow for what is sent."""
    session = page.context.new_cdp_session(page)
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", conditions)
    return session


def posts_of(page: Page) -> list[Request]:
    """What is sent from now on."""
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    return sent


def drop(page: Page, target: str, *files: Path) -> None:
    """Drop files from the desktop."""
    box = page.locator(target).bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


def is_received(page: Page) -> str:
    """Wait for the receipt, and return its reference."""
    page.wait_for_url(RECEIVED)
    expect(page.get_by_role("heading", level=1)).to_have_text("We have received your enquiry")
    return page.url.split("/")[-2]


@BOTH
def test_the_whole_way(page: Page, service: Service, cv: Path) -> None:
    """From the empty form to the reference, which is there again on a reload."""
    before, _ = service.stored()
    fill(page, cv)
    send(page)
    reference = is_received(page)

    expect(page.get_by_text(reference, exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_text(reference, exact=True)).to_be_visible()
    expect(page.get_by_text("ada@example.org")).to_have_count(0)
    assert service.stored()[0] == before + 1


@BOTH
def test_in_a_frame(browsing: Browsing, new_service: Callable[..., Service], view: View, cv: Path) -> None:
    """On a page of an origin that is listed, the form works to the end; on any other, there is nothing in its frame."""
    with FramingPage() as listed, FramingPage() as other:
        service = new_service(FRAME_ORIGINS=listed.url)
        listed.framed = other.framed = f"{service.url}/"
        page = browsing.page(view, listed.url)
        browsing.expects(f"request to another host: {service.url}/*")
        page.goto("/")
        frame = page.frame_locator("iframe")
        for name, text in {"First name": "Ada", "Last name": "Lovelace", "Email": "ada@example.org"}.items():
            frame.get_by_label(name).fill(text)
        frame.get_by_label("Resume").set_input_files(cv)
        frame.get_by_role("button", name="Send").click()
        expect(frame.get_by_role("heading", level=1)).to_have_text("We have received your enquiry")

        browsing.expects("*frame-ancestors*")
        elsewhere = browsing.page(view, other.url)
        elsewhere.goto("/")
        expect(elsewhere.frame_locator("iframe").get_by_label("Email")).to_have_count(0)


@BOTH
def test_what_the_service_refuses_can_be_mended(
    page: Page, browsing: Browsing, service: Service, view: View, cv: Path
) -> None:
    """The list above the form has the focus and leads to the fields, what was typed is there, and it can be sent."""
    browsing.expects("422 POST /")
    before, _ = service.stored()
    fill(page, cv, Email="ada@firm.test", **{"First name": "A" * 101})
    send(page)
    summary = page.get_by_role("group", name="There is a problem")

    expect(summary).to_be_focused()
    assert page.title().startswith("Error: ")
    expect(summary.get_by_role("link")).to_have_count(2)
    expect(page.get_by_label("Last name")).to_have_value("Lovelace")
    expect(page.get_by_label("Email")).to_have_accessible_description(re.compile(r"name@example\.com\.$"))
    accessible(page)

    summary.get_by_role("link").last.click()
    expect(page.get_by_label("Email")).to_be_focused()
    page.get_by_label("Email").fill("ada@example.org")
    page.get_by_label("First name").fill("Ada")
    if not view.javascript:
        expect(page.get_by_label("Resume")).to_have_accessible_description(re.compile("Choose your file again"))
        page.get_by_label("Resume").set_input_files(cv)
    send(page)
    is_received(page)
    assert service.stored()[0] == before + 1


def test_what_is_missing_is_said_before_sending(page: Page) -> None:
    """All of it at once, and it goes when it is there."""
    page.goto("/")
    sent = posts_of(page)
    send(page)

    expect(page.get_by_role("group", name="There is a problem")).to_be_focused()
    expect(page.locator("#summary li")).to_have_text(
        ["Enter your first name.", "Enter your last name.", "Enter your email address.", "Choose your resume."]
    )
    for label in ("First name", "Last name", "Email", "Resume"):
        expect(page.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    assert page.title().startswith("Error: ")
    assert not sent


@pytest.mark.parametrize("address", ["ada", "ada@localhost", "ada@example.org, eva@example.org"])
def test_an_address_is_looked_at_before_it_is_sent(page: Page, cv: Path, address: str) -> None:
    """Whoever mistyped it need not wait for a large file to go up."""
    fill(page, cv, Email=address)
    sent = posts_of(page)
    send(page)

    expect(page.locator("#summary li")).to_have_text(["Enter one address such as name@example.com."])
    expect(page.get_by_label("Email")).to_have_accessible_description("Enter one address such as name@example.com.")
    assert not sent

    page.get_by_label("Email").fill("ada@b\u00fccher.example")
    send(page)
    is_received(page)


@pytest.mark.parametrize("view", [View(width=360, height=640)], ids=str)
def test_a_link_to_a_field_leads_to_its_label(page: Page) -> None:
    """Label and message stand above the field, and are seen when one is led there from below or from above."""
    page.goto("/")
    send(page)
    for name, message in (("Resume", "Choose your resume."), ("First name", "Enter your first name.")):
        page.locator("#summary").get_by_role("link", name=message).click()
        expect(page.get_by_label(name)).to_be_focused()
        expect(page.get_by_text(name, exact=True)).to_be_in_viewport(ratio=1)
        expect(page.locator(".field").get_by_text(message)).to_be_in_viewport(ratio=1)
        page.locator("#send").scroll_into_view_if_needed()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cv.exe", b"MZ", "The name of the file has to end in .pdf, .doc or .docx."),
        ("cv", b"%PDF-", "The name of the file has to end in .pdf, .doc or .docx."),
        ("empty.PDF", b"", "The file is empty."),
        ("large.pdf", bytes(LARGEST + 1), "larger than 10\u00a0MB"),
    ],
)
def test_a_file_is_looked_at_before_it_is_sent(page: Page, cv: Path, name: str, content: bytes, said: str) -> None:
    """Its kind and its size: as soon as it is chosen, and again before sending."""
    other = cv.with_name(name)
    other.write_bytes(content)
    fill(page, other)
    sent = posts_of(page)

    expect(page.get_by_role("alert")).to_contain_text(said)
    send(page)
    expect(page.locator("#summary li")).to_contain_text([said])
    page.get_by_label("Resume").set_input_files(cv)
    expect(page.locator("#resume-wrong")).to_have_count(0)
    assert not sent


def test_a_file_can_be_taken_back(page: Page, cv: Path) -> None:
    """Its name and size are shown, and the button that removes it says which."""
    fill(page, cv)

    expect(page.locator("#chosen span")).to_have_text("cv.pdf, 195.3 kB")
    page.get_by_role("button", name="Remove cv.pdf").click()
    expect(page.get_by_label("Resume")).to_be_focused()
    expect(page.get_by_label("Resume")).to_have_value("")
    expect(page.locator("#chosen")).to_be_hidden()


def test_the_name_of_a_file_that_is_read_from_right_to_left(page: Page, cv: Path) -> None:
    """It stays apart from its size, which stands behind it."""
    fill(page, cv.rename(cv.with_name("\u05e7\u05d5\u05e8\u05d5\u05ea 2026.pdf")))
    name = page.locator("#chosen bdi")
    is_behind = name.evaluate("""name => {
        const size = document.createRange();
        size.selectNode(name.nextSibling);
        return size.getBoundingClientRect().left >= name.getBoundingClientRect().right;
    }""")

    expect(name).to_have_text("\u05e7\u05d5\u05e8\u05d5\u05ea 2026.pdf")
    assert is_behind


@pytest.mark.parametrize("target", ["#resume", "#enquiry", "h1"])
def test_a_file_can_be_dropped_anywhere(page: Page, cv: Path, target: str) -> None:
    """Also beside its field, where the browser would leave the page for it."""
    fill(page, None)
    drop(page, target, cv)

    expect(page.get_by_role("button", name="Remove cv.pdf")).to_be_visible()
    send(page)
    is_received(page)


@NO_SCRIPTS
def test_a_file_can_be_dropped_without_scripts(page: Page, cv: Path) -> None:
    """The field takes it by itself."""
    fill(page, None)
    drop(page, "#resume", cv)
    send(page)

    is_received(page)


def test_only_one_file_can_be_dropped(page: Page, cv: Path, large: Path) -> None:
    """The one that was chosen stays."""
    fill(page, cv)
    drop(page, "h1", cv, large)

    expect(page.get_by_role("alert")).to_have_text("Drop one file only.")
    expect(page.get_by_role("button", name="Remove cv.pdf")).to_be_visible()


@BOTH
def test_a_double_click_sends_once(page: Page, service: Service, cv: Path) -> None:
    """However quick it is."""
    before, _ = service.stored()
    fill(page, cv)
    page.get_by_role("button", name="Send").dblclick()
    is_received(page)

    assert service.stored()[0] == before + 1


@BOTH
def test_back_and_sent_again_is_the_same_enquiry(page: Page, service: Service, cv: Path) -> None:
    """Back shows the form as it was sent; the enquiry after it is another one."""
    before, _ = service.stored()
    fill(page, cv)
    send(page)
    reference = is_received(page)
    page.go_back()
    expect(page.get_by_label("First name")).to_have_value("Ada")
    page.get_by_label("Resume").set_input_files(cv)
    send(page)

    assert is_received(page) == reference
    assert service.stored()[0] == before + 1

    page.get_by_role("link", name="Send another enquiry").click()
    expect(page.get_by_label("First name")).to_have_value("")
    fill(page, cv)
    send(page)
    assert is_received(page) != reference
    assert service.stored()[0] == before + 2


def test_the_progress_of_the_largest_file_is_seen(
    page: Page, service: Service, large: Path, screenshot: Screenshot
) -> None:
    """The bar moves, the bytes are counted, the button is busy, and the start and the middle are spoken of."""
    before, _ = service.stored()
    fill(page, large)
    throttle(page, 4_000_000)
    sent = posts_of(page)
    send(page)
    told = page.get_by_role("status")
    bar = page.get_by_role("progressbar", name="Sending")

    expect(told).to_have_text("Sending.")
    expect(page.locator("#bytes")).to_have_text(re.compile(r"^[1-4]\.\d of 10\.0 MB$"))
    expect(page.get_by_role("button", name="Sending")).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Sending").click(force=True)
    expect(told).to_have_text("Half of it is sent.")
    expect(bar).to_have_js_property("max", 1)
    screenshot(page, "form-sending")
    accessible(page)
    is_received(page)
    assert len(sent) == 1
    assert service.stored()[0] == before + 1


def test_sending_can_be_cancelled(page: Page, service: Service, large: Path) -> None:
    """Everything is still there, and can be sent after all."""
    before = service.stored()
    fill(page, large)
    session = throttle(page, 1_000_000)
    send(page)
    expect(page.locator("#bytes")).to_have_text(re.compile("of 10.0 MB"))
    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_role("status")).to_have_text("Cancelled. What you typed and chose is still here.")
    expect(page.get_by_role("button", name="Send")).to_be_focused()
    expect(page.get_by_label("First name")).to_have_value("Ada")
    expect(page.get_by_role("button", name="Remove large.pdf")).to_be_visible()
    accessible(page)

    session.detach()
    send(page)
    is_received(page)
    assert service.stored()[0] == before[0] + 1


def test_cancelled_too_late(browsing: Browsing, service: Service, cv: Path) -> None:
    """Once all of it is sent, nobody can say whether it has arrived; sent again, it is stored once."""
    before, _ = service.stored()
    with BadLine(service.port) as line:
        page = browsing.page(url=line.url)
        fill(page, cv)
        line.answers = Answers.ARE_HELD
        send(page)
        expect(page.get_by_role("status")).to_have_text("All of it is sent. Waiting for the answer.")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("status")).to_contain_text("Cancelled, but it may have arrived.")
        line.answers = Answers.ARRIVE
        send(page)
        is_received(page)

    assert service.stored()[0] == before + 1


def test_an_answer_that_is_lost_loses_nothing(browsing: Browsing, service: Service, cv: Path) -> None:
    """The page says so and keeps all; sent again, it is stored once. What was changed is asked about."""
    before, _ = service.stored()
    browsing.expects("console error: Failed to load resource: net::ERR_*")
    browsing.expects("422 POST /")
    with BadLine(service.port) as line:
        page = browsing.page(url=line.url)
        fill(page, cv)
        line.answers = Answers.ARE_LOST
        send(page)

        expect(page.locator("#problem")).to_have_text(re.compile("There was no answer.*nothing is stored twice"))
        assert service.stored()[0] == before + 1
        accessible(page)

        line.answers = Answers.ARRIVE
        page.get_by_label("Email").fill("ada@example.com")
        send(page)
        expect(page.locator("#problem")).to_contain_text("You have already sent an enquiry from this page")
        page.get_by_label("Email").fill("ada@example.org")
        assert service.stored()[0] == before + 1

        send(page)
        is_received(page)
        assert service.stored()[0] == before + 2


def test_a_retry_after_a_lost_answer_is_the_same_enquiry(browsing: Browsing, service: Service, cv: Path) -> None:
    """One lead, and the reference that was lost."""
    before, _ = service.stored()
    browsing.expects("console error: Failed to load resource: net::ERR_*")
    with BadLine(service.port) as line:
        page = browsing.page(url=line.url)
        fill(page, cv)
        line.answers = Answers.ARE_LOST
        send(page)
        expect(page.locator("#problem")).to_contain_text("There was no answer.")
        line.answers = Answers.ARRIVE
        send(page)
        is_received(page)

    assert service.stored()[0] == before + 1


def test_without_a_network_all_is_kept(page: Page, browsing: Browsing, service: Service, cv: Path) -> None:
    """The page says that it is offline, and sends when it is not."""
    before, _ = service.stored()
    browsing.expects("console error: Failed to load resource: net::ERR_INTERNET_DISCONNECTED*")
    fill(page, cv)
    page.context.set_offline(True)

    expect(page.get_by_role("status")).to_contain_text("You are offline.")
    send(page)
    expect(page.locator("#problem")).to_contain_text("There was no answer.")
    page.context.set_offline(False)
    expect(page.get_by_role("status")).to_have_text("")
    send(page)
    is_received(page)
    assert service.stored()[0] == before + 1


def test_a_file_that_is_gone_is_to_be_chosen_again(page: Page, browsing: Browsing, cv: Path) -> None:
    """A browser does not keep what it was given, and the page says what to do."""
    browsing.expects("console error: Failed to load resource: net::ERR_FILE_NOT_FOUND*")
    fill(page, cv)
    content = cv.read_bytes()
    cv.unlink()
    send(page)

    expect(page.locator("#resume-wrong")).to_have_text("The file cannot be read any more. Choose it again.")
    cv.write_bytes(content)
    page.get_by_label("Resume").set_input_files(cv)
    send(page)
    is_received(page)


def test_an_answer_from_in_between_is_no_end(page: Page, browsing: Browsing, cv: Path) -> None:
    """Where a proxy answers, the page says what it can, and keeps all."""
    browsing.expects("502 POST /")
    fill(page, cv)
    page.route(
        "**/?sent",
        lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>", content_type="text/html"),
        times=1,
    )
    send(page)

    expect(page.locator("#problem")).to_contain_text("The answer could not be read (502).")
    send(page)
    is_received(page)


@NO_SCRIPTS
def test_a_file_of_30_mb_is_refused_on_a_page(page: Page, browsing: Browsing, tmp_path: Path) -> None:
    """The browser shows it, because all that it sends is read."""
    browsing.expects("413 POST /")
    (tmp_path / "huge.pdf").write_bytes(pdf(30_000_000))
    fill(page, tmp_path / "huge.pdf")
    send(page)

    expect(page.get_by_role("group", name="There is a problem")).to_be_focused()
    expect(page.get_by_label("Resume")).to_have_accessible_description(re.compile("larger than 10"))
    expect(page.get_by_label("First name")).to_have_value("Ada")
    accessible(page)


@pytest.mark.asvs("V1.2.1")
def test_names_are_inert(page: Page, browsing: Browsing, tmp_path: Path) -> None:
    """Those of people and of files, in the page and in what the service answers."""
    browsing.expects("415 POST /")
    file = tmp_path / "<img src=x onerror=alert(1)>.pdf"
    file.write_bytes(b"MZ" + bytes(100))
    fill(page, file, **{"First name": "<script>alert(1)</script>"})
    expect(page.locator("#chosen span")).to_contain_text("<img src=x onerror=alert(1)>.pdf")
    send(page)

    expect(page.locator("#resume-wrong")).to_contain_text("<img src=x onerror=alert(1)>.pdf")
    expect(page.locator("img")).to_have_count(0)
    expect(page.get_by_label("First name")).to_have_value("<script>alert(1)</script>")


@BOTH
def test_with_the_keyboard_alone(page: Page, cv: Path) -> None:
    """In the order of the page, and the focus is where one goes on."""
    page.on("filechooser", lambda _: None)  # From now on, no real dialog opens.
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for text in ("Ada", "Lovelace", "ada@example.org"):
        page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Resume")).to_be_focused()
    with page.expect_file_chooser() as choosing:
        page.keyboard.press("Space")
    choosing.value.set_files(cv)
    for _ in range(2):
        page.keyboard.press("Tab")
        if page.get_by_role("button", name="Send").evaluate("send => send === document.activeElement"):
            break
    page.keyboard.press("Enter")

    is_received(page)


@LOOKS
def test_every_state_is_accessible(
    page: Page, browsing: Browsing, view: View, cv: Path, screenshot: Screenshot
) -> None:
    """Light and dark, on a narrow window and enlarged, and nothing is wider than the window."""
    browsing.expects("422 POST /")

    def looked_at(state: str) -> None:
        accessible(page)
        fits(page)
        screenshot(page, f"form-{state}-{view}")

    page.goto("/")
    looked_at("empty")
    send(page)
    expect(page.locator("#summary")).to_be_visible()
    looked_at("missing")
    fill(page, cv, Email="ada@firm.test")
    looked_at("chosen")
    send(page)
    expect(page.locator("#email-wrong")).to_be_visible()
    looked_at("refused")
    page.get_by_label("Email").fill("ada@example.org")
    throttle(page, 50_000)
    send(page)
    expect(page.locator("#bytes")).to_have_text(re.compile("of 196.3 kB"))
    looked_at("sending")
    is_received(page)
    looked_at("received")


@BOTH
def test_the_pages_are_light(page: Page, browsing: Browsing, view: View, cv: Path) -> None:
    """The form with all it loads, and the receipt."""
    form = weight(browsing.page(view), "/")
    fill(page, cv)
    send(page)
    is_received(page)

    assert form < 30_000
    assert weight(browsing.page(view), page.url) < 30_000
