"""How long every type of document takes together, and long PDFs in how much memory, beside the bars: of estimates, and of features.

    python -m tests.benchmarks.rendering

The long dossier is a synthetic one of eleven steps: 80 layers by ten positions and 40 categories each, every estimate in its table.
The one of features has a card for each of 300, with windows of the corpus in colour as far as a document may hold them.
Seconds are those of the clock; memory is the largest resident set of the children that rendered so far.
"""

import re
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser

import click

from safetycase.dossier.colours import bounded
from safetycase.dossier.doctypes import dossier_types
from safetycase.dossier.markup import markup
from safetycase.dossier.page import Dossier
from safetycase.dossier.render import render_html, render_pdf
from safetycase.dossier.said import said
from safetycase.resources import bundled
from tests.dossier import cases, featured
from tests.dossier.synthetic import found
from tests.dossier.test_press import inside

ALL_TYPES_BAR = 30
AT_ONCE = 2
FEATURES = 300
SECONDS_BAR, MEMORY_BAR_GB, SPANS_BAR, PAGES = 120, 1.5, 3000, 300
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_COLOURED = re.compile(r"(?:^|;)\s*(?:color|background(?:-color)?)\s*:")
_CLASS = re.compile(r"\.([a-z0-9-]+)\s*$")


def main() -> None:
    """Render once and print the ratios."""
    seconds = all_types()
    click.echo(f"all types      {seconds:8.1f} s    {seconds / ALL_TYPES_BAR:.2f} of the bar ({ALL_TYPES_BAR} s), two at a time")
    pages = measured("long", long(), frozenset())
    if pages < PAGES:
        raise SystemExit(f"only {pages} pages; expected at least {PAGES}: give the dossier more steps")
    story = featured.story(featured.found(features=FEATURES, context=64))
    measured("features", story.dossier(), said(story.case, story.findings, story.quoted))


def measured(name: str, dossier: Dossier, quoted: frozenset[str]) -> int:
    """Pages of a document, once its time, memory and colours are printed beside their bars; stops where it has too many colours."""
    click.echo(name)
    began = time.perf_counter()
    html = render_html(dossier, said=quoted)
    written = time.perf_counter()
    pdf = render_pdf(dossier, said=quoted)
    done = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    printed = markup(bounded(dossier, paper=True), bundled(), paper=True)
    pages, spans = page_count(pdf), coloured_spans(printed)
    click.echo(f"pages          {pages:8d}      {len(pdf) / 1e6:.1f} MB")
    click.echo(f"html           {written - began:8.1f} s    {len(html) / 1e6:.1f} MB")
    click.echo(f"pdf            {done - written:8.1f} s    {(done - written) / SECONDS_BAR:.2f} of the bar ({SECONDS_BAR} s)")
    click.echo(f"memory         {memory:8.2f} GB   {memory / MEMORY_BAR_GB:.2f} of the bar ({MEMORY_BAR_GB} GB)")
    click.echo(f"coloured spans {spans:8d}      {spans / SPANS_BAR:.2f} of the bar ({SPANS_BAR})")
    return pages


def all_types() -> float:
    """Seconds for the HTML and PDF of every type, from one judged case of one step with all requirement packs and an argument."""
    story = cases.covered()
    quoted = said(story.case, story.findings, {})
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        dossiers = [story.dossier(type=name) for name in dossier_types()]
        waiting = [pool.submit(render_pdf, each, said=quoted) for each in dossiers]
        for each in dossiers:
            render_html(each, said=quoted)
        for made in waiting:
            made.result()
    return time.perf_counter() - began


def long() -> Dossier:
    """A dossier with much of everything."""
    categories = tuple(f"category of harm number {index} with a long name" for index in range(40))
    findings = {f"step-{seed}": found(n_layers=80, positions=10, categories=categories, seed=seed) for seed in range(1, 12)}
    return cases.Story(cases.case(findings), findings).dossier()


def page_count(pdf: bytes) -> int:
    """From the title of the page tree, which is packed like everything else."""
    counts = re.findall(rb"/Type /Pages/Kids .*?/Count (\d+)", inside(pdf), re.DOTALL)
    return int(counts[0])


def coloured_spans(html: str) -> int:
    """Inline elements that a rule of the style sheet or an attribute gives a colour of their own."""
    style, body = html.split("</style>", 1)
    named = {
        each[1]
        for selectors, rules in _RULE.findall(style)
        if _COLOURED.search(rules)
        for selector in selectors.split(",")
        if (each := _CLASS.search(selector.strip()))
    }
    counter = _Spans(named)
    counter.feed(body)
    return counter.count


class _Spans(HTMLParser):
    def __init__(self, coloured: set[str]) -> None:
        super().__init__()
        self.count = 0
        self._coloured = coloured

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        painted = "color" in given or "color" in (given.get("style") or "")
        if tag in ("span", "b", "i", "em", "code", "mark", "small") and (
            painted or not self._coloured.isdisjoint((given.get("class") or "").split())
        ):
            self.count += 1


if __name__ == "__main__":
    main()
