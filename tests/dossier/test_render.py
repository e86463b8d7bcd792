"""The HTML of a dossier."""

import base64
import hashlib
import html.parser
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from markupsafe import escape

from safetycase import resources
from safetycase.dossier import doctypes
from safetycase.dossier.render import render_html
from safetycase.errors import RenderError
from tests.dossier import cases
from tests.dossier.cases import HOSTILE, STORIES

GOLDEN = Path(__file__).parents[1] / "golden"
SHARED = Path(__file__).resolve().parents[3] / "shared"


class Outline(html.parser.HTMLParser):
    """Collects ids, links and tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name == "href"]


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the templates that a test may break."""
    folder = tmp_path / "templates"
    shutil.copytree(resources.directory("templates"), folder)
    monkeypatch.setattr(resources, "directory", lambda name: folder)
    for cached in (resources.bundled, doctypes._dossier_type, doctypes._texts):
        cached.cache_clear()
    yield folder
    for cached in (resources.bundled, doctypes._dossier_type, doctypes._texts):
        cached.cache_clear()


@pytest.mark.parametrize("name", STORIES)
def test_page_is_whole(name: str) -> None:
    """One file, in which every link leads somewhere, every id is its own, and nothing is fetched or run."""
    page = render_html(STORIES[name]().dossier())
    outline = Outline(page)

    assert page.startswith("<!doctype html>")
    assert len(page) < 1_500_000
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert "script" not in outline.tags
    assert "style" not in outline.attributes
    assert outline.tags.count("h1") == 1


def test_untrusted_text_is_shown_and_never_obeyed() -> None:
    """Markup is escaped, templates are not run, bidi overrides and control characters are named."""
    page = render_html(cases.hostile().dossier("restricted"))

    assert "<script>" not in page
    assert "{{7*7}}" in page
    assert "\u202e" not in page
    assert "\x07" not in page
    assert "‹U+202E›evil‹U+202C› ‹U+0007›" in page
    assert str(escape(HOSTILE))[:20] in page


def test_restraint_and_verdicts_are_on_the_page() -> None:
    """Shapes and words of verdicts, the restraint, the digest and the command that verifies are there."""
    story = cases.plausible()
    page = render_html(story.dossier())
    text = page.replace("<wbr>", "")

    assert "●</span> supported" in page
    assert "▲</span> refuted" in page
    assert "○</span> inconclusive" in page
    assert "Supports only the scoped statements beside each figure." in page
    assert "sha256sum -c SHA256SUMS" in page
    for warning in story.case.warnings:
        assert warning.id in text
    for limitation in story.findings[cases.STEP].limitations:
        assert limitation in text


def test_style_hash_matches_the_style() -> None:
    """The content security policy allows this one style sheet and nothing else."""
    page = render_html(cases.nothing_run().dossier())
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    allowed = re.search(r"style-src &#39;sha256-([^&]+)&#39;|style-src 'sha256-([^']+)'", page)

    assert style
    assert allowed
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert digest in [group for group in allowed.groups() if group]


def test_golden_page() -> None:
    """The plausible story renders to the stored page, fonts and drawings left out; `UPDATE_GOLDEN=1` writes it anew."""
    page = render_html(cases.plausible().dossier())
    page = re.sub(r"<style>.*?</style>", "<style>…</style>", page, flags=re.DOTALL)
    page = re.sub(r"sha256-[A-Za-z0-9+/=]+", "sha256-…", page)
    page = re.sub(r"<svg .*?</svg>", "<svg>…</svg>", page, flags=re.DOTALL)
    page = "\n".join(line.rstrip() for line in page.splitlines() if line.strip()) + "\n"
    path = GOLDEN / "evidence-report.html"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(page, encoding="utf-8")

    assert path.read_text(encoding="utf-8") == page


def test_a_template_that_drops_a_warning_renders_nothing(templates: Path) -> None:
    """Standing warnings cannot be edited away."""
    annexes = templates / "blocks" / "warnings.html.j2"
    whole = annexes.read_text(encoding="utf-8")
    annexes.write_text(whole.replace("dossier.warnings", "dossier.warnings[1:]"), encoding="utf-8")

    with pytest.raises(RenderError, match="warning W01 is not printed; templates must print every warning"):
        render_html(cases.plausible().dossier())


def test_a_template_that_overclaims_renders_nothing(templates: Path) -> None:
    """Words that the tool never says are refused in templates, and free in what people supplied."""
    dossier = cases.plausible().dossier()
    claimed = replace(dossier, cover=replace(dossier.cover, title="Our model is safe"))
    with pytest.raises(RenderError, match=r"says 'safe' in “.*Our model is safe”; say instead what was done: supports, measured"):
        render_html(claimed)
    assert "Our model is safe" in render_html(claimed, said=frozenset({"Our model is safe"}))

    cover = templates / "cover.html.j2"
    cover.write_text(cover.read_text(encoding="utf-8") + '<p data-relation="context">It supports the claim.</p>', encoding="utf-8")
    with pytest.raises(RenderError, match="says 'supports' in “It supports the claim"):
        render_html(dossier)


def test_an_overlay_replaces_single_templates(tmp_path: Path) -> None:
    """Files of the overlay win one by one, a style sheet may stand at its top, and errors name its files."""
    folder = tmp_path
    (folder / "cover.html.j2").write_text("<h1>House style</h1>", encoding="utf-8")
    dossier = cases.nothing_run().dossier()

    page = render_html(dossier, templates=resources.overlaid(tmp_path))
    assert "<h1>House style</h1>" in page
    assert "All attempts" in page

    (folder / "cover.html.j2").write_text("\n{{ 1 / 0 }}", encoding="utf-8")
    with pytest.raises(RenderError, match=rf"^{tmp_path}/cover\.html\.j2:2: division by zero"):
        render_html(dossier, templates=resources.overlaid(tmp_path))
    (folder / "cover.html.j2").write_text("{% include 'cover.html.j2' %}", encoding="utf-8")
    with pytest.raises(RenderError, match=r"recursion"):
        render_html(dossier, templates=resources.overlaid(tmp_path))


@pytest.mark.parametrize("text", ["{{ 'a' * 9999999999 }}", "{{ 9 ** 9 ** 9 }}", "{% for x in range(99999) %}x{% endfor %}"])
def test_a_template_asks_for_no_endless_page(tmp_path: Path, text: str) -> None:
    """It shows what is there; products, powers and ranges are refused before they cost anything."""
    (tmp_path / "cover.html.j2").write_text(text, encoding="utf-8")

    with pytest.raises(RenderError, match=r"cover\.html\.j2:1: "):
        render_html(cases.nothing_run().dossier(), templates=resources.overlaid(tmp_path))


def test_the_style_of_a_type_may_be_shared(templates: Path) -> None:
    """A type without a style sheet of its own takes the one at the top of the templates."""
    own = templates / "dossiers" / "evidence-report" / "style.css"
    (templates / "style.css").rename(own)
    dossier = cases.nothing_run().dossier()
    before = render_html(dossier)

    own.rename(templates / "style.css")
    assert before == render_html(dossier)
    (templates / "style.css").unlink()
    with pytest.raises(RenderError, match=r"^templates/dossiers/evidence-report/style\.css: not found, nor templates/style\.css"):
        render_html(dossier)


def test_template_errors_name_file_and_line(templates: Path) -> None:
    """A broken or unreadable template is one line that leads to the place."""
    dossier = cases.nothing_run().dossier()
    summary = templates / "blocks" / "summary.html.j2"
    whole = summary.read_text(encoding="utf-8")

    summary.write_text(whole + "{% if %}", encoding="utf-8")
    with pytest.raises(RenderError, match=r"templates/blocks/summary\.html\.j2:\d+: "):
        render_html(dossier)
    summary.write_text("\n\n{{ dossier.nothing.of.the.kind }}", encoding="utf-8")
    with pytest.raises(RenderError, match=r"summary\.html\.j2:3: .*nothing"):
        render_html(dossier)
    summary.write_text("{{ dossier.__class__.__mro__ }}", encoding="utf-8")
    with pytest.raises(RenderError, match=r"summary\.html\.j2:1: .*unsafe"):
        render_html(dossier)
    summary.write_bytes(b"\xff\xfe")
    with pytest.raises(RenderError, match=r"templates/blocks/summary\.html\.j2: cannot be read"):
        render_html(dossier)
    summary.unlink()
    with pytest.raises(RenderError, match=r"templates/blocks/summary\.html\.j2: not found"):
        render_html(dossier)


def test_broken_descriptions_name_file_and_line(templates: Path) -> None:
    """So is a broken dossier.yaml, and a style sheet that would leave its element."""
    dossier = cases.nothing_run().dossier()
    folder = templates / "dossiers" / "evidence-report"
    (templates / "style.css").write_text("</style><script>", encoding="utf-8")
    with pytest.raises(RenderError, match=r"templates/style\.css: holds"):
        render_html(dossier)
    doctypes._dossier_type.cache_clear()
    (folder / "dossier.yaml").write_text("title: [\n", encoding="utf-8")
    with pytest.raises(RenderError, match=r"evidence-report/dossier\.yaml:\d+: not YAML"):
        render_html(dossier)
    (folder / "dossier.yaml").write_text("titel: x\n", encoding="utf-8")
    with pytest.raises(RenderError, match=r"evidence-report/dossier\.yaml:1: titel: unknown key; did you mean .title"):
        render_html(dossier)



def test_page_passes_the_browser_check(tmp_path: Path) -> None:
    """axe finds nothing at four sizes, and the page neither overflows nor asks the network for anything."""
    tool = SHARED / "tools" / "html-check" / "html-check"
    missing = [name for name in ("node", "npm", "chromium") if shutil.which(name) is None]
    if not tool.exists() or missing:
        pytest.skip(f"no browser check: {', '.join(missing) or 'it is not beside this checkout'}")
    path = tmp_path / "plausible.html"
    path.write_text(render_html(cases.plausible().dossier()), encoding="utf-8")

    checked = subprocess.run([str(tool), str(path)], capture_output=True, text=True, check=False)

    if "checked at four sizes" not in checked.stdout:
        pytest.skip(f"the browser check could not set itself up: {checked.stderr.strip()[-200:]}")
    assert checked.returncode == 0, checked.stdout + checked.stderr
