"""A model card is split byte for byte, read as untrusted YAML, and its index edited without touching what others wrote."""

import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from safetycase.errors import SourceError
from safetycase.sources.front_matter import Card, card_metadata, read, split
from safetycase.sources.model_index import with_results

MINE: dict[str, Any] = {"task": {"type": "text-generation"}, "metrics": [{"value": 0.1, "args": {"mine": "1234e5678"}}]}
OTHERS = "- name: theirs\n  results:\n  - task: {type: chat}\n    metrics:\n    - value: 3  # best\n"
BLOCKS = f"{OTHERS}  note: |\n    theirs\n\n"


def is_mine(result: Any) -> bool:
    """The mark that the tests put on results of their own."""
    return isinstance(result, dict) and bool(result["metrics"][0].get("args"))


def attached(card: bytes, results: tuple[dict[str, Any], ...] = (MINE,)) -> bytes:
    """The card with the results of the tests."""
    return with_results(split(card), "model", results, is_mine).data


def index(card: bytes) -> Any:
    """The index as another program reads it."""
    return read(split(card)).data.get("model-index")


@pytest.mark.parametrize(
    ("text", "meta", "body"),
    [
        pytest.param("---\na: 1\n---\n# T\n", "a: 1\n", "# T\n", id="plain"),
        pytest.param("\ufeff---\r\na: 1\r\n---\r\n# T\r\n", "a: 1\r\n", "# T\r\n", id="byte order mark and CRLF"),
        pytest.param("---\ra: 1\r---\r# T", "a: 1\r", "# T", id="CR"),
        pytest.param("---\n---\n# T", "", "# T", id="empty block"),
        pytest.param("---\na: 1\n---", "a: 1\n", "", id="nothing below"),
        pytest.param("---\na: 1\n---  \n\n---\nb: 2\n---\n", "a: 1\n", "\n---\nb: 2\n---\n", id="rules in the body"),
        pytest.param("---\na: |\n  ---\n  x\n----\n---\n", "a: |\n  ---\n  x\n----\n", "", id="lines that only look like the end"),
        pytest.param("\n  ---\na: 1\n---\nx", "a: 1\n", "x", id="white space before"),
        pytest.param("# T\n\n---\na: 1\n---\n", "", "# T\n\n---\na: 1\n---\n", id="none"),
        pytest.param("", "", "", id="empty file"),
    ],
)
def test_card_is_split_as_the_hub_splits_it(text: str, meta: str, body: str) -> None:
    """And its parts make the file again."""
    card = split(text.encode())

    assert (card.meta, card.body) == (meta, body)
    assert card.data == text.encode()


@given(st.text(alphabet="-a: \r\n\ufeff#é", max_size=60))
def test_parts_make_the_file(text: str) -> None:
    """Whatever the file holds, unless it opens a front matter that never ends."""
    try:
        card = split(text.encode())
    except SourceError as refused:
        line = str(refused)
        assert "never closed" in line
    else:
        assert card.data == text.encode()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(b"---\na: 1\nb: [1\n---\n", "card.md:4: the front matter is not YAML", id="not YAML"),
        pytest.param(b"---\na:\n\tb: 1\n---\n", "card.md:3: the front matter is not YAML: found character '\\t'", id="tab"),
        pytest.param(b"---\n- a\n---\n", "card.md:2: the front matter is a list; expected `key: value` lines", id="list"),
        pytest.param(b"---\njust words\n---\n", "card.md:2: the front matter is plain text", id="text"),
        pytest.param(b"---\nmodel-index:\na: 1\nmodel-index:\n---\n", "card.md:4: model-index stands twice; first in line 2", id="twice"),
        pytest.param(b"---\na: &x 1\nb: *x\n---\n", "card.md:2: the front matter is not YAML: anchors and aliases", id="anchor"),
        pytest.param(b"---\na: !!python/name:os.system x\n---\n", "card.md:2: the front matter is not YAML: could not determine", id="tag"),
        pytest.param(b'---\na: !!int ""\n---\n', "card.md: the front matter holds a value that cannot be read", id="converter"),
        pytest.param(b"---\na: 2024-13-01\n---\n", "card.md: the front matter holds a value that cannot be read: month", id="date"),
        pytest.param(b"---\na: 1\nb: \x00\n---\n", "card.md:3: the front matter is not YAML: special characters", id="control"),
        pytest.param(b"---\na: " + b"[" * 5000 + b"\n---\n", "card.md: the front matter is nested too deeply", id="deep"),
        pytest.param(b"---\na: 1\n", "card.md:1: the front matter is opened by --- and never closed", id="open"),
        pytest.param(b"---\na: \xff\n---\n", "card.md: not UTF-8 text (byte 7)", id="encoding"),
        pytest.param(b"x" * 4_000_001, "card.md: larger than 4 MB", id="size"),
    ],
)
def test_broken_front_matter_is_one_line(text: bytes, line: str) -> None:
    """With the place in the file where there is one."""
    with pytest.raises(SourceError) as refused:
        read(split(text, "card.md"))

    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


def test_metadata_of_a_model_folder(tmp_path: Path) -> None:
    """As it is written: Norwegian is not false, lists are joined, deeper things are left out, long ones are cut."""
    meta = "license: mit\nlanguage: [no, en]\nbase_model:\n- a/b\n- c/d\ndatasets: {x: 1}\npipeline_tag: " + "x" * 300
    (tmp_path / "README.md").write_text(f"---\n{meta}\n---\n", encoding="utf-8")

    found = card_metadata(tmp_path)

    assert found == {"license": "mit", "language": "no, en", "base_model": "a/b, c/d", "pipeline_tag": "x" * 199 + "…"}


@given(st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda text: f"---\nlicense: {text}\n---\n".encode("utf-8", "replace"))))
def test_metadata_of_any_card_never_raises(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    """A broken card says nothing."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "README.md").write_bytes(text)

    assert set(card_metadata(folder)) <= {"license", "base_model", "language", "datasets", "pipeline_tag"}


def test_a_folder_without_a_card_says_nothing(tmp_path: Path) -> None:
    """Neither does a folder where the card should be, nor a link that leads to itself."""
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "README.md").symlink_to("README.md")
    (tmp_path / "folder" / "README.md").mkdir(parents=True)

    assert [card_metadata(tmp_path / name) for name in ("nowhere", "loop", "folder")] == [{}, {}, {}]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("# T\n", "---\nmodel-index:\n@---\n# T\n", id="no front matter"),
        pytest.param("\ufeff# T\r\n", "\ufeff---\r\nmodel-index:\r\n@---\r\n# T\r\n", id="no front matter, byte order mark and CRLF"),
        pytest.param("---\n---\nx", "---\nmodel-index:\n@---\nx", id="empty block"),
        pytest.param("---\n# only words\n---\n", "---\n# only words\nmodel-index:\n@---\n", id="comment alone"),
        pytest.param("---\nb: 'x'   # y\n\na: 1\n---\n", "---\nb: 'x'   # y\n\na: 1\nmodel-index:\n@---\n", id="order, quotes, comments"),
        pytest.param("---\na: |+\n  x\n\n---\n", "---\na: |+\n  x\n\nmodel-index:\n@---\n", id="text that keeps its last line ends"),
        pytest.param("---\nmodel-index:  # ours\na: 1\n---\n", "---\nmodel-index:  # ours\n@a: 1\n---\n", id="empty key"),
        pytest.param(f"---\nmodel-index:\n{OTHERS}# end\na: 1\n---\n", f"---\nmodel-index:\n{OTHERS}@# end\na: 1\n---\n", id="others"),
        pytest.param(
            f"---\nmodel-index:\n{BLOCKS}a: 1\n---\n", f"---\nmodel-index:\n{BLOCKS}@a: 1\n---\n", id="others that end in a block of text"
        ),
    ],
)
def test_results_go_where_there_is_room(before: str, after: str) -> None:
    """Everything else keeps its bytes; a second run changes nothing; taking them out gives back what was there."""
    text = attached(before.encode())

    start, end = after.encode().split(b"@")
    assert text.startswith(start)
    assert text.endswith(end)
    lines = text[len(start) : len(text) - len(end)].splitlines(keepends=True)
    assert lines[0].strip().startswith(b'- name: "')
    assert {line.endswith(b"\r\n") for line in lines} == {"\r\n" in before}
    assert attached(text) == text
    assert [entry["results"] for entry in index(text) if any(map(is_mine, entry["results"]))] == [[MINE]]
    assert index(attached(text, ())) == (index(before.encode()) if "theirs" in before else None)


def test_an_entry_of_another_time_is_replaced_in_its_place() -> None:
    """Between the entries of others, whose comments stay."""
    old = b'- name: x\n  results:\n  - metrics:\n    - {value: 9, args: {mine: "2"}}  # old\n'
    theirs = OTHERS.encode()
    text = attached(b"---\nmodel-index:\n" + theirs + b"# a\n" + old + b"# b\n" + theirs + b"a: 1\n---\n")

    assert text.startswith(b"---\nmodel-index:\n" + theirs + b'# a\n- name: "theirs"\n')
    assert text.endswith(b"# b\n" + theirs + b"a: 1\n---\n")
    assert b"old" not in text


def test_results_that_the_hub_library_put_among_others_are_found() -> None:
    """They are taken from there, and stand in an entry of their own again."""
    start, theirs = "---\nmodel-index:\n- name: theirs\n  results:\n", "  - metrics:\n    - value: 3\n"
    mixed = f"{start}  - metrics:\n    - value: 1\n      args: {{mine: x}}\n{theirs}---\n"

    text = attached(mixed.encode()).decode()

    assert text.startswith(f'{start}{theirs}- name: "theirs"\n')
    assert attached(text.encode()).decode() == text


@pytest.mark.parametrize(
    ("meta", "line"),
    [
        pytest.param("model-index: []", "card.md:2: model-index is written in brackets", id="flow list"),
        pytest.param("model-index: [{name: x, results: []}]", "card.md:2: model-index is written in brackets", id="flow entries"),
        pytest.param("{a: 1}", "card.md:2: the front matter is written in braces", id="flow mapping"),
        pytest.param("a: 1\nmodel-index: {name: x}", "card.md:3: model-index: found a mapping; expected a list", id="mapping"),
        pytest.param("model-index: null", "card.md:2: model-index: found 'null'; expected a list", id="null"),
        pytest.param("a: 1\n...", "card.md: the front matter cannot be added to as text", id="end of document"),
        pytest.param(
            "model-index:\n- name: x\n  results: [{metrics: [{value: 1, args: {mine: 1}}]}, {metrics: [{value: 1}]}]",
            "card.md:3: model-index mixes results of safetycase with other content",
            id="mixed in brackets",
        ),
    ],
)
def test_what_cannot_be_edited_as_text_is_refused(meta: str, line: str) -> None:
    """In one line, instead of writing anew what somebody else wrote."""
    with pytest.raises(SourceError) as refused:
        with_results(split(f"---\n{meta}\n---\n".encode(), "card.md"), "model", [MINE], is_mine)

    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


def test_digests_are_read_as_text_by_every_reader() -> None:
    """`1234e5678` is a number in YAML 1.2, which the hub's server reads."""
    assert b'mine: "1234e5678"' in attached(b"")


_WORDS = st.text(string.ascii_letters + string.digits + " '\"#:-é漢\n\t\u202e\x85", max_size=12)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _WORDS, st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_WORDS, inner, max_size=3)),
    max_leaves=8,
)
_THEIRS = st.lists(
    st.fixed_dictionaries({"name": _WORDS, "results": st.lists(st.fixed_dictionaries({"metrics": st.just([{"value": 1}])}), max_size=2)}),
    min_size=1,
    max_size=3,
)


@given(
    meta=st.dictionaries(_WORDS.filter(lambda key: key != "model-index"), _VALUES, max_size=4),
    theirs=st.none() | _THEIRS,
    flow=st.sampled_from([False, None]),
    style=st.sampled_from([None, "'", '"', "|"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    others_first=st.booleans(),
)
def test_foreign_metadata_keeps_its_bytes(
    meta: dict[str, Any], theirs: Any, flow: bool | None, style: str | None, newline: str, others_first: bool
) -> None:
    """For any valid mapping: what is added is one run of lines, what is read besides is the same, and a second run changes nothing."""
    whole = {**meta, **({"model-index": theirs} if theirs else {})}
    ordered = dict(reversed(whole.items())) if others_first else whole
    text = yaml.dump(ordered, Dumper=_Plain, default_flow_style=flow, default_style=style, sort_keys=False, allow_unicode=True)
    assume(text.endswith("\n"))  # YAML also ends lines elsewhere, but a front matter does not
    card = split(("---\n" + text + "---\nbody\n").replace("\n", newline).encode())
    assume(isinstance(_root(card), yaml.MappingNode))

    try:
        after = with_results(card, "model", [MINE], is_mine)
    except SourceError as refused:
        line = str(refused)
        assert "\n" not in line
        assert "brackets" in line or "braces" in line
        return

    added = len(after.meta) - len(card.meta)
    at = next(i for i in range(len(after.meta) + 1) if after.meta[:i] + after.meta[i + added :] == card.meta)
    assert added > 0, at
    assert (after.opening, after.closing, after.body) == (card.opening, card.closing, card.body)
    assert with_results(after, "model", [MINE], is_mine) == after
    assert with_results(after, "model", [], is_mine).meta in (card.meta, card.meta.replace(f"model-index:{newline}", ""))


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _root(card: Card) -> yaml.Node | None:
    try:
        return read(card).root
    except SourceError:
        return None
