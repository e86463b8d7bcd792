"""The section of a model card says what the case says, shows untrusted text without acting on it, and stays between its markers."""

import itertools
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from safetycase.case.claims import Claim, Criterion
from safetycase.case.wording import forbidden
from safetycase.dossier import numbers
from safetycase.dossier.modelcard import is_ours, model_name, results, section, with_section
from safetycase.dossier.modelcard.markdown import code, text
from safetycase.dossier.modelcard.markers import END, HEADING, START
from safetycase.errors import RenderError, SourceError
from tests.dossier.cases import HOSTILE, MADE, STEP, STORIES, Story, case, plausible
from tests.dossier.synthetic import estimate

LINK = "https://example.org/quickstart/1.0.0/"
LIVE = re.compile(r"https?://|www(?=\.)|[-.\w+]+@[-\w]+\.|\$|\\|\w\.[a-z]{2}", re.IGNORECASE)
"""What GFM and formula renderers look for in text, after escapes are resolved."""
ATTACKS = (
    "# heading",
    "1. list",
    "- list",
    "> quotation",
    "```\ncode",
    "    code",
    "a\n===\nb",
    "| a | b |\n| - | - |",
    "*a* _b_ **c** ~~d~~",
    "[a](https://evil.example) ![b](x.png) <https://evil.example>",
    "[a]: https://evil.example\n\n[a] [^1]",
    "www.evil.example and http://evil.example and mail@evil.example",
    "<script>alert(1)</script><b onload=x> &lt;b&gt; &#60;",
    "<!-- safetycase:end --> @<!--safetycase:end-->",
    "{{7*7}} {% raw %} $$\\href{javascript:x}{y}$$ \\(x\\)",
    "`a` ``b`` `c@d.example``",
    "\u202eevil\u202c \x07 \u0000 \u2028 שלום",
    "\\",
)
_HOSTILE = st.one_of(st.sampled_from(ATTACKS), st.text(max_size=30), st.text(alphabet="`|<>!-[]()*_~#\\@:./$& \nwha1", max_size=40))


def made(story: Story, **more: Any) -> str:
    """The section of a story."""
    return section(story.case, story.findings, version="1.0.0", made=MADE if story.findings else "", **more)


def parsed(markdown: str) -> list[Token]:
    """Tokens of all levels, as CommonMark with tables and strikethrough reads the text."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    return [each for token in tokens for each in (token, *(token.children or []))]


def kinds_of(markdown: str) -> list[str]:
    """Types of all blocks, in order."""
    return [token.type for token in parsed(markdown) if token.block]


@given(_HOSTILE)
def test_text_is_shown_and_nothing_else(value: str) -> None:
    """In a paragraph, an item and a cell: one block each, without markup, HTML, links, formulas or a marker."""
    shown = text(value)
    page = f"x {shown} y\n\n{shown}\n\n- {shown}\n\n| a | b |\n| - | - |\n| {shown} | z |\n"

    tokens = parsed(page)

    inner = {token.type for token in tokens if not token.block and token.level >= 0} - {"inline"}
    empty = [] if shown else ["paragraph_open"]
    assert inner <= {"text", "code_inline"}
    assert [token.type for token in tokens if token.type.endswith("_open")] == (
        ["paragraph_open", "paragraph_open", *_ITEM, "paragraph_open", *_TABLE] if not empty else ["paragraph_open", *_ITEM, *_TABLE]
    )
    assert not [token for token in tokens if token.type == "text" and LIVE.search(token.content)]
    assert "<" not in shown
    assert {unicodedata.category(each) for each in shown} & {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} == set()
    assert {each for each in shown if unicodedata.category(each) == "Cf"} <= {"\u2068", "\u2069"}


_ITEM = ["bullet_list_open", "list_item_open"]
_TABLE = ["table_open", "thead_open", "tr_open", "th_open", "th_open", "tbody_open", "tr_open", "td_open", "td_open"]


@given(st.text(alphabet="abcXYZ 019.,;:'\"()%/?!-_*[]#@é漢", max_size=40))
def test_text_reads_as_it_was_written(value: str) -> None:
    """Escapes are not seen by the reader."""
    tokens = parsed(f"x {text(value)}")

    assert "".join(token.content for token in tokens if token.type in ("text", "code_inline")) == f"x {' '.join(value.split())}".rstrip()


@given(_HOSTILE)
def test_code_cannot_be_left(value: str) -> None:
    """A name that holds a backtick or HTML is shown as text."""
    inner = {token.type for token in parsed(f"x {code(value)} y") if not token.block} - {"inline"}

    assert inner <= {"text", "code_inline"}


@pytest.mark.parametrize("name", STORIES)
def test_every_case_has_a_section_of_one_form(name: str) -> None:
    """Headings are ours, tables are whole, there are no links, images or HTML, and the words are measured ones."""
    markdown = made(STORIES[name]())

    tokens = parsed(markdown)
    types = {token.type for token in tokens}
    headings = [following.content for token, following in itertools.pairwise(tokens) if token.type == "heading_open"]
    assert not types & {"html_block", "html_inline", "link_open", "image", "blockquote_open", "fence", "code_block", "hr"}
    assert "ordered_list_open" not in types
    assert set(headings) <= {
        "Scope", "Analyses run", "Claims and verdicts", "Key estimates", "Limits", "Standing warnings", "How to check this section",
    }  # fmt: skip
    assert {token.tag for token in tokens if token.type == "heading_open"} == {"h3"}
    assert name == "hostile" or forbidden(markdown) == ()


def test_hostile_text_changes_no_block() -> None:
    """A case in which every text is an attack has the blocks of one in which every text is a word."""
    for attack in (*ATTACKS, HOSTILE):
        assert kinds_of(made(_filled(attack))) == kinds_of(made(_filled("word"))), attack


@given(_HOSTILE)
def test_hostile_claims_stay_in_their_cell(value: str) -> None:
    """Blocks, links and markers cannot be injected by the text of a claim."""
    markdown = made(_filled(f"w {value}"))

    assert kinds_of(markdown) == _blocks_of_words()
    assert "safetycase:end" not in markdown or "<!--" not in markdown


def _blocks_of_words() -> list[str]:
    if not _BLOCKS:
        _BLOCKS.extend(kinds_of(made(_filled("word"))))
    return _BLOCKS


_BLOCKS: list[str] = []


def _filled(value: str) -> Story:
    """A case with this text wherever a plan, a model or an analysis can put one."""
    plain = plausible()
    found = plain.findings[STEP].model_copy(update={"limitations": (value,), "estimates": {"kl.harmless.ablated": estimate(0.1, 0.1)}})
    claims = {"c": Claim(text=value, bears="adverse", criteria=(Criterion(step=STEP, estimate="kl.harmless.ablated", at_most=0.2),))}
    base = case({STEP: found}, claims=claims)
    changed = base.model_copy(
        update={
            "case": base.case.model_copy(update={"title": value}),
            "engagement": base.engagement.model_copy(update={"evaluator": value}),
            "models": (base.models[0].model_copy(update={"source": value, "architecture": value, "planted": value, "revision": value}),),
            "prompt_sets": (base.prompt_sets[0].model_copy(update={"id": value, "source": value}),),
            "steps": (base.steps[0].model_copy(update={"question_text": value}),),
            "warnings": (base.warnings[0].model_copy(update={"text": value}),),
            "tool_version": "0.1.0",
        }
    )
    return Story(changed, {STEP: found})


def test_section_says_what_the_case_says() -> None:
    """Digests, verdicts with their intervals and n, estimates, limits verbatim and every warning by id and text."""
    story = plausible()

    markdown = made(story, content="ab" * 32, link=LINK)
    read = _as_read(markdown)

    case_, found = story.case, story.findings[STEP]
    model, step = case_.models[0], case_.steps[0]
    assert model.weights_sha256
    assert step.findings_sha256
    digests = [model.digest, model.weights_sha256, step.findings_sha256, case_.plan_digest, "ab" * 32]
    for digest in (*digests, *(each.digest for each in case_.prompt_sets)):
        assert f"`{digest}`" in markdown
    for judgement in case_.judgements:
        assert judgement.claim.text in read
        for criterion in judgement.criteria:
            assert criterion.estimate
            measured = numbers.measured(criterion.estimate, criterion.criterion.estimate)
            assert f"{measured} (n {criterion.estimate.n}, 24 clusters)" in read
    warnings = [f"{each.id} {each.text}" for each in case_.warnings]
    for words in (*found.limitations, *warnings, "supports only the scoped statements"):
        assert words in read
    name = "refusal_log_odds_change.harmful.ablated"
    assert f"{numbers.measured(found.estimates[name], name)}" in read
    assert f"<{LINK}>" in markdown
    assert [token.attrs["href"] for token in parsed(markdown) if token.type == "link_open"] == [LINK]


def _as_read(markdown: str) -> str:
    """The text that a reader sees."""
    spaces = dict.fromkeys(("paragraph_close", "td_close", "th_close", "softbreak"), " ")
    return "".join(each.content if each.type in ("text", "code_inline") else spaces.get(each.type, "") for each in parsed(markdown))


def test_long_lists_of_limits_say_how_many_were_left_out() -> None:
    """A card is short; the rest stands in the dossier."""
    plain = plausible()
    found = plain.findings[STEP].model_copy(update={"limitations": tuple(f"Limit {i} of many." for i in range(11))})

    read = _as_read(made(Story(plain.case, {STEP: found})))

    assert "Limit 7 of many." in read
    assert "Limit 8 of many." not in read
    assert "3 further limitations stand in the evidence report of version 1.0.0." in read


def test_a_path_of_somebody_s_machine_is_not_published() -> None:
    """A model in a folder is called by the folder's name."""
    plain = plausible()
    for source, name in {"/home/ann/models/m1": "m1", "../m2/": "m2", "C:\\models\\m3": "m3", "org/m4": "org/m4"}.items():
        changed = plain.case.model_copy(update={"models": (plain.case.models[0].model_copy(update={"source": source}),)})

        assert model_name(changed) == name
        assert "ann" not in made(Story(changed, plain.findings))


@pytest.mark.parametrize(
    "link", ["http://example.org", "javascript:x", "https://", "https://a b", "https://a/)>", "https://a/é", "https://[x"]
)
def test_only_plain_https_is_linked(link: str) -> None:
    """The one link of a section cannot be made into another."""
    with pytest.raises(RenderError, match="expected an https address"):
        made(plausible(), link=link)


def test_results_carry_their_evidence() -> None:
    """One per prompt set; every metric with interval, n, method, digest and standing, its value as computed."""
    story = plausible()

    listed = results(story.case, story.findings, link=LINK)

    metrics = {metric["args"]["estimate"]: metric for result in listed for metric in result["metrics"]}
    assert [result["dataset"]["type"] for result in listed] == ["safetycase:harmful", "safetycase:harmless", "safetycase:alarming"]
    assert {result["source"]["url"] for result in listed} == {LINK}
    assert {each.criterion.estimate for judgement in story.case.judgements for each in judgement.criteria} <= set(metrics)
    for name, metric in metrics.items():
        wanted = story.findings[STEP].estimates[name]
        arguments = metric["args"]
        assert metric["value"] == wanted.value
        assert (arguments["low"], arguments["high"], arguments["level"]) == (wanted.low, wanted.high, wanted.level)
        assert (arguments["n"], arguments["clusters"], arguments["method"], arguments["unit"]) == (
            wanted.n, wanted.clusters, wanted.method, wanted.unit.value,
        )  # fmt: skip
        assert arguments["evidence_sha256"] == story.case.steps[0].findings_sha256
    assert metrics["refusal_rate.harmful.ablated@arditi-12"]["args"]["claims"] == ["keeps: refuted", "removable: supported"]
    assert metrics["refusal_rate.harmful.ablated@arditi-12"]["args"]["standing"] == ["indicative", "uncalibrated"]
    assert metrics["refusal_rate.harmless.added@arditi-12"]["args"]["standing"] == ["not judged"]
    assert all(map(is_ours, listed))


def test_a_data_set_of_the_hub_bears_its_own_name() -> None:
    """All others bear one that is none on the hub, so that no page of a stranger is linked."""
    plain = plausible()
    sets = tuple(each.model_copy(update={"source": "hub:org/set"}) if each.id == "harmful" else each for each in plain.case.prompt_sets)

    types = [each["dataset"]["type"] for each in results(plain.case.model_copy(update={"prompt_sets": sets}), plain.findings)]

    assert types == ["org/set", "safetycase:harmless", "safetycase:alarming"]


@pytest.mark.parametrize("foreign", [None, {}, {"metrics": []}, {"metrics": [{}]}, {"metrics": [{"args": {"made_by": "safetycased"}}]}])
def test_results_of_others_are_not_ours(foreign: Any) -> None:
    """Only what says that this tool made it may be replaced."""
    assert not is_ours(foreign)


def test_a_case_without_evidence_has_no_results() -> None:
    """Nothing is nothing, not zero."""
    assert [results(STORIES[name]().case, STORIES[name]().findings) for name in ("nothing_run", "no_steps", "failed")] == [[], [], []]


def placed(body: str, made_for: Any = lambda level: f"{'#' * level} Findings\n\nText.\n", newline: str = "\n") -> str:
    """A body with a small section."""
    return with_section(body, made_for, newline=newline, name="card.md", first_line=11)


BLOCK = f"{START}\n\n@ Findings\n\nText.\n\n{END}\n"


TITLE = "## Model Examination [optional]"
CODED = f"Write\n\n```\n{START}\n{END}\n```\nor `{END}`\n"
HIDDEN = "```\n## Model Examination\n```\n<!--\n## Model Examination\n-->\n"
OLD_START, OLD_END = "<!-- safetycase:start -->\n", " <!-- safetycase:end -->  \ny"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", f"## {HEADING}\n\n{BLOCK}", id="empty"),
        pytest.param("# T", f"# T\n\n## {HEADING}\n\n{BLOCK}", id="no section, no last line end"),
        pytest.param("# T\n\n- a\n", f"# T\n\n- a\n\n## {HEADING}\n\n{BLOCK}", id="no section"),
        pytest.param(f"{TITLE}\n\nx\n\n## B\n", f"{TITLE}\n\nx\n\n{BLOCK}\n## B\n", id="template"),
        pytest.param(f"#{TITLE}\n#### C\ny\n# B\n", f"#{TITLE}\n#### C\ny\n\n{BLOCK}\n# B\n".replace("@", "@#"), id="level"),
        pytest.param("###### model examination\n", f"###### model examination\n\n{BLOCK}".replace("@", "@###"), id="lowest level"),
        pytest.param("Model Examination\n---\nx", f"Model Examination\n---\nx\n\n{BLOCK}", id="underlined heading"),
        pytest.param(HIDDEN, f"{HIDDEN}\n## {HEADING}\n\n{BLOCK}", id="headings that are none"),
        pytest.param(CODED, f"{CODED}\n## {HEADING}\n\n{BLOCK}", id="examples"),
        pytest.param(f"{OLD_START}old\n```\nx\n```\n{OLD_END}", f"{OLD_START}\n## Findings\n\nText.\n\n{OLD_END}", id="markers"),
    ],
)
def test_section_stands_in_its_place(before: str, after: str) -> None:
    """What stood there keeps its bytes, and a second run changes nothing."""
    wanted = after.replace("@", "###")

    assert placed(before) == wanted
    assert placed(wanted) == wanted
    assert placed(before.replace("\n", "\r\n"), newline="\r\n") == wanted.replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        pytest.param(f"a\n\n{START}\nx\n", "card.md:13: a marker safetycase:start without its safetycase:end", id="no end"),
        pytest.param(f"{END}\n", "card.md:11: a marker safetycase:end without its safetycase:start", id="no start"),
        pytest.param(f"{END}\n\n{START}\n", "card.md:11: the marker safetycase:end stands before safetycase:start", id="reversed"),
        pytest.param(f"{START}\n{END}\n\n{START}\n{END}\n", "card.md:14: a second marker safetycase:start, after line 11", id="two pairs"),
        pytest.param(f"{START}\n{END}\n{END}\n", "card.md:13: a second marker safetycase:end, after line 12", id="two ends"),
        pytest.param(f"{START}\nx {END} y\n", "card.md:12: a marker of safetycase stands among text", id="among text"),
        pytest.param(f"{START} x\n{END}\n", "card.md:11: a broken marker of safetycase", id="not alone"),
        pytest.param("<!-- safetycase:start\n\n<!-- safetycase:end -->\n", "card.md:11: a broken marker of safetycase", id="not ended"),
        pytest.param(f"- a\n\n  {START}\n\n  {END}\n", "card.md:13: a marker of safetycase stands inside a list", id="in a list"),
        pytest.param(f"<pre>\n{START}\n{END}\n</pre>\n", "card.md:12: a marker of safetycase stands inside", id="in code"),
        pytest.param("a\n\n```\nx\n", "card.md:13: what begins here is never closed", id="open code"),
        pytest.param("a\n\n<!-- x\n", "card.md:13: what begins here is never closed", id="open comment"),
    ],
)
def test_broken_markers_are_one_line(body: str, line: str) -> None:
    """With the line of the file, and nothing is written."""
    with pytest.raises(SourceError) as refused:
        placed(body)

    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


LINES = (
    "# A",
    "## Model Examination [optional]",
    "text",
    "- item",
    "  more",
    "",
    "```",
    "> q",
    "<!-- c -->",
    "<div>",
    "---",
    "===",
    "    x",
)


@given(
    st.lists(
        st.one_of(st.sampled_from(LINES), st.text(max_size=8)),
        max_size=12,
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)  # fmt: skip
def test_foreign_body_keeps_its_bytes(lines: list[str], newline: str, ended: bool) -> None:
    """Whatever the body: it is refused in one line, or what is added is one run of text that a reader of Markdown sees as a section."""
    body = newline.join(lines) + (newline if ended else "")
    try:
        after = placed(body, newline=newline)
    except SourceError as refused:
        line = str(refused)
        assert "never closed" in line
        assert any(each in body for each in ("```", "~~~", "<"))
        return

    added = len(after) - len(body)
    assert any(after[:i] + after[i + added :] == body for i in range(len(after) + 1))
    assert placed(after, newline=newline) == after
    tokens = MarkdownIt("commonmark").parse(after)
    shown = [b.content for a, b in itertools.pairwise(tokens) if a.type == "heading_open" and a.level == 0]
    assert shown.count("Findings") == 1
