"""The report in a real browser."""

import base64
import struct
import zlib

import pytest

from promptmigrate import report
from tests.report import browser
from tests.report.builder import write_run
from tests.report.hostile import PAYLOADS, write_hostile_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OVERFLOWING = """
(() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (e) => e && e !== document.body && (['auto', 'scroll', 'hidden'].includes(
    getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  return [...document.body.querySelectorAll('*')].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width > 0 && (box.right > width + 1 || box.left < -1) && !scrolls(e.parentElement)
      && !e.closest('.hidden');
  }).map((e) => e.tagName + '.' + e.getAttribute('class') + ' ' + e.textContent.slice(0, 40));
})()
"""
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
UNREADABLE = """
(() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = (c) => {
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = c.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (c.startsWith('rgb') && (parse(c).length < 4 || parse(c)[3] === 1)) return parse(c).slice(0, 3);
    }
    return [255, 255, 255];
  };
  const texts = 'p, dt, dd, td, th, small, a, li, h1, h2, h3, h4, figcaption, summary, pre';
  return [...document.querySelectorAll(texts)]
    .filter((e) => e.getClientRects().length && e.textContent.trim())
    .map((e) => {
      const [a, b] = [light(parse(getComputedStyle(e).color).slice(0, 3)), light(behind(e))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.tagName + '.' + e.className];
    }).filter(([contrast]) => contrast < 4.5);
})()
"""


def distinct_lines(png: bytes) -> int:
    """How many different lines of pixels a PNG has: one or two if it is blank."""
    position, data = 8, b""
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        if png[position + 4 : position + 8] == b"IDAT":
            data += png[position + 8 : position + 8 + length]
        position += length + 12
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert depth == 8
    stride = 1 + width * {2: 3, 6: 4}[colour]
    raw = zlib.decompress(data)
    return len({raw[k * stride : (k + 1) * stride] for k in range(height)})


def harmless(page: browser.Page) -> None:
    assert page.dialogs == []
    assert page.complaints == []
    assert len(page.requests) == 1 and page.requests[0].endswith("/report.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_the_report_is_readable(tmp_path, width, scheme):
    path = report.write(write_run(tmp_path / "run"))
    async with browser.page(tmp_path / "profile") as page:
        await page.open(path, width=width, scheme=scheme)
        assert await page.evaluate("document.title") == "PROMOTE: support_triage"
        assert await page.evaluate("document.querySelector('.verdict h2').innerText") == "Safe to ship"
        assert await page.evaluate("document.querySelectorAll('svg.figure').length") == 4
        assert await page.evaluate(WIDER) <= 0
        assert await page.evaluate(OVERFLOWING) == []
        assert await page.evaluate(UNREADABLE) == []
        assert distinct_lines(await page.screenshot()) > 100
        # With everything unfolded too.
        await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert await page.evaluate(WIDER) <= 0
        assert await page.evaluate(OVERFLOWING) == []
        assert await page.evaluate(UNREADABLE) == []
        harmless(page)


async def test_the_verdict_is_on_the_first_screen_of_a_phone(tmp_path):
    path = report.write(write_run(tmp_path / "run"))
    async with browser.page(tmp_path / "profile") as page:
        await page.open(path, width=390, height=844)
        bottom = await page.evaluate(
            "document.querySelector('.verdict .lead').getBoundingClientRect().bottom"
        )
        assert bottom < 844


@pytest.mark.parametrize("width", [360, 390])
async def test_figures_keep_their_labels_inside_and_apart_from_their_edges(tmp_path, width):
    path = report.write(write_run(tmp_path / "run", broken=0.4, fixed=0.1))
    async with browser.page(tmp_path / "profile") as page:
        await page.open(path, width=width)
        outside = await page.evaluate(
            """[...document.querySelectorAll('svg text')].filter((t) => {
                 const a = t.getBoundingClientRect(), b = t.closest('figure').getBoundingClientRect();
                 return a.left < b.left || a.right > b.right || a.top < b.top || a.bottom > b.bottom;
               }).map((t) => t.textContent)"""
        )
        assert outside == []


async def test_hostile_texts_do_nothing(tmp_path):
    text = "".join(PAYLOADS) + "W" * 3_000 + " " + "\u202e" * 50
    path = report.write(write_hostile_run(tmp_path / "run", text))
    async with browser.page(tmp_path / "profile") as page:
        await page.open(path, width=390)
        await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        await page.evaluate("document.querySelectorAll('*').forEach((e) => { e.focus && e.focus(); })")
        assert await page.evaluate("document.scripts.length") == 0
        assert await page.evaluate("getComputedStyle(document.body).display") == "block"
        assert await page.evaluate(WIDER) <= 0
        harmless(page)


async def test_the_policy_would_stop_a_script(tmp_path):
    """The second line of defence: even a script that got into the page does not run."""
    path = report.write(write_run(tmp_path / "run"))
    broken = tmp_path / "broken.html"
    broken.write_text(
        path.read_text().replace(
            "<main>", "<main><script>document.title = 'pwned'</script><img src=http://127.0.0.1:9/x>"
        )
    )
    async with browser.page(tmp_path / "profile") as page:
        await page.open(broken, width=800)
        assert await page.evaluate("document.title") == "PROMOTE: support_triage"
        assert any("Content Security Policy" in complaint for complaint in page.complaints)


async def test_it_prints(tmp_path):
    path = report.write(write_run(tmp_path / "run"))
    async with browser.page(tmp_path / "profile") as page:
        await page.open(path, width=1000)
        await page.call("Emulation.setEmulatedMedia", media="print")
        assert await page.evaluate("getComputedStyle(document.querySelector('.contents')).display") == "none"
        printed = await page.call("Page.printToPDF", printBackground=True)
        assert base64.b64decode(printed["data"]).startswith(b"%PDF")
