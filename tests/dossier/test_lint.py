"""What every rendered page is held to."""

import pytest

from safetycase.dossier.lint import overclaims, unprinted
from safetycase.dossier.page import WarningText

W04 = WarningText("W04", "The evidence holds for these weights.")


@pytest.mark.parametrize(
    ("html", "words"),
    [
        pytest.param("<p>The model is safe.</p>", ["safe"], id="plain"),
        pytest.param("<p>It is com<b>pli</b>ant.</p>", ["compliant"], id="split by markup"),
        pytest.param("<p>It is com<wbr>pli\u200bant.</p>", ["compliant"], id="split by places to break"),
        pytest.param("<p><span>measured</span><span>Proven</span></p>", ["Proven"], id="set apart by style alone"),
        pytest.param("<p>pro</p><p>ves</p>", [], id="two paragraphs are not one word"),
        pytest.param('<svg><title>x</title><text>certified</text></svg><img alt="proven">', ["certified", "proven"], id="drawings"),
        pytest.param("<title>Proof that it guarantees</title><p>x</p>", ["guarantees"], id="the title"),
        pytest.param("<style>.safe {}</style><p class=safe>x</p><!-- proven -->", [], id="style, classes and comments"),
        pytest.param("<p>&#115;afe &amp; sound</p>", ["safe"], id="character references"),
        pytest.param("<p>This document is not a certificate and establishes conformity nowhere.</p>", [], id="denials are free"),
        pytest.param("<p>safetycase, safety, unsafe, improved</p>", [], id="other words"),
        pytest.param('<body data-foot="Certified."><p>x</p></body>', ["Certified"], id="the foot of every page"),
    ],
)
def test_forbidden_words_are_found(html: str, words: list[str]) -> None:
    """Whatever the markup, a word that a reader sees or hears is found, and no other."""
    assert [claim.split("'")[1] for claim in overclaims(html)] == words


@pytest.mark.parametrize(
    ("relation", "sentence", "found"),
    [
        pytest.param("partial", "The step shows that refusal holds.", True, id="a part shows no whole"),
        pytest.param("partial", "The step supports the statement.", False, id="a part supports"),
        pytest.param("context", "The step supports the statement.", True, id="context supports nothing"),
        pytest.param("context", "The step meets Article 15.", True, id="context meets nothing"),
        pytest.param("context", "The step is listed for its setting.", False, id="context is context"),
        pytest.param("partial", "No estimate of it establishes the rest.", False, id="a denial"),
        pytest.param("partial", "It does not only show; it demonstrates robustness.", True, id="no denial"),
        pytest.param("partial", "Nothing was run. It demonstrates robustness.", True, id="the denial of another sentence"),
        pytest.param("full", "The step shows that refusal holds.", False, id="no such relation"),
    ],
)
def test_sentences_claim_no_more_than_their_relation(relation: str, sentence: str, found: bool) -> None:
    """Verbs are held to the relation of the evidence to its slot, of the nearest element that states one."""
    html = f'<div data-relation="{relation}"><ul><li>Row. <b>{sentence}</b></li></ul></div><p>It shows that outside.</p>'

    assert bool(overclaims(html)) is found


def test_the_nearest_relation_counts() -> None:
    """An element inside another may state its own; an inline one too."""
    html = '<div data-relation="context"><p>It <span data-relation="partial">supports it</span> and supports it.</p></div>'

    assert len(overclaims(html)) == 1


@pytest.mark.parametrize(
    "html",
    [
        pytest.param("<p>Claim: The model is safe for children.</p>", id="in a sentence"),
        pytest.param("<td>The<wbr> model is sa<wbr>fe for children</td>", id="with places to break"),
        pytest.param("<text>The model is safe f…</text>", id="cut off"),
        pytest.param("<p><b>The model is safe\n for children</b><i>refuted</i></p>", id="between elements"),
    ],
)
def test_supplied_text_is_free(html: str) -> None:
    """What a person claims is printed as their claim, also where a page shortens it."""
    assert overclaims(html, {"the model is safe for children"}) == ()


@pytest.mark.parametrize(
    "html",
    [
        pytest.param("<p>The model is safe for all.</p>", id="goes on otherwise"),
        pytest.param("<p>safe for children</p>", id="begins otherwise"),
        pytest.param("<p>The model is sa…</p><p>It is safe.</p>", id="elsewhere on the page"),
    ],
)
def test_only_what_was_supplied_is_free(html: str) -> None:
    """A word is excused where it stands in the supplied string, not because it occurs in one."""
    assert overclaims(html, {"the model is safe for children"})


def test_supplied_text_is_compared_as_it_is_shown() -> None:
    """Hidden characters in it are named on the page, and it is found all the same."""
    assert overclaims("<p>a‹U+200B› safe ‹U+6F22›</p>", ["a\u200b safe 漢"]) == ()
    assert overclaims("<p>a‹U+200B› safe 漢 \u2068ש\u2069</p>", ["a\u200b safe 漢 ש"]) == ()


def test_a_finding_quotes_its_sentence() -> None:
    """The start of the sentence leads an author to the place."""
    (claim,) = overclaims("<p>First one. The second is safe, whatever comes. Third.</p>")

    assert claim == "'safe' in “The second is safe, whatever comes.”"


@pytest.mark.parametrize(
    ("html", "missing"),
    [
        pytest.param("<dt>W04</dt><dd>The evidence holds\nfor <b>these</b> weights.</dd>", (), id="printed"),
        pytest.param("<p>W04: The evidence holds for these weights.</p>", (), id="in one line"),
        pytest.param("<dt>W04</dt>", ("W04",), id="without its text"),
        pytest.param("<dd>The evidence holds for these weights.</dd>", ("W04",), id="without its id"),
        pytest.param("<dt>W04</dt><dd hidden>The evidence holds for these weights.</dd>", ("W04",), id="hidden"),
        pytest.param('<p class="unseen">W04 The evidence holds for these weights.</p>', ("W04",), id="out of sight"),
        pytest.param("<template><p>W04 The evidence holds for these weights.</p></template>", ("W04",), id="in a template"),
        pytest.param("<!-- W04 The evidence holds for these weights. -->", ("W04",), id="in a comment"),
        pytest.param("<dt>W04</dt><dd>The evidence holds for these</dd><dd>weights.</dd>", ("W04",), id="torn apart"),
    ],
)
def test_warnings_are_printed(html: str, missing: tuple[str, ...]) -> None:
    """Id and whole text of a standing warning can be read on the page."""
    assert missing == unprinted(html, (W04,))


@pytest.mark.parametrize(
    "text",
    [
        "The model meets all requirements of Article 50.",
        "It conforms with Article 53.",
        "All Article 50 duties are fulfilled.",
        "The document is in conformity with Annex XI.",
        "A cоmpliant model",
    ],
)
def test_a_duty_is_never_said_to_be_discharged(text: str) -> None:
    """Anywhere on a page, in either order, and whatever alphabet the letters are from."""
    assert overclaims(f"<p>{text}</p>")
    assert not overclaims("<p>This document does not satisfy any provision.</p>")


def test_a_word_frees_itself_nowhere_else() -> None:
    """A supplied string that is nothing but such a word is theirs where it stands alone, and nowhere in our sentences."""
    assert overclaims("<p>This model is certified.</p>", ["certified"])
    assert not overclaims("<td>certified</td>", ["certified"])
    assert not overclaims("<p>Made by Safe AI Ltd in Ghent</p>", ["Safe AI Ltd"])


def test_long_supplied_texts_cost_no_time() -> None:
    """Thousands of such words in one supplied text are read once."""
    text = "safe " * 5000

    assert not overclaims(f"<p>{text}</p>", [text.strip()])
