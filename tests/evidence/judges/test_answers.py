"""Letters of answers, sentences that declare them, and where sentences end."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetycase.evidence.judges.answers import LETTERS, NO_LETTER, OUTSIDE, answer_letter, declares_answer, sentences, why_no_letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (B)", "B"),
        ("So the best answer is: (A).", "A"),
        ("B", "B"),
        ("**(C)**", "C"),
        ("B.\n", "B"),
        ("(b)", "B"),
        ("The answer is (A). Wait. No: the answer is (B), not (C).", "B"),
        ("**Answer:** C", "C"),
        ("**Final answer: D**", "D"),
        ("$\\boxed{B}$", "B"),
        ("The answer is $\\boxed{\\text{A}}$.", "A"),
        ("(B) is correct.", "B"),
        ("Thus option C is the right choice.", "C"),
        ("I choose option C.", "C"),
        ("I will go with (D) then.", "D"),
        ("B) Tuesday", "B"),
        ("Some thoughts.\nB", "B"),
        ("So it must be (B).", "B"),
        ("(A) is wrong, (B) fits", "B"),
        ("The best answer is: (A) 12/02/2021.", "A"),
        ("The answer is\n(C)", "C"),
    ],
)
def test_the_letter_that_is_declared_last_is_the_answer(text: str, letter: str) -> None:
    """Declarations in the forms that models use, and texts that are a letter."""
    assert answer_letter(text, 4) == letter
    assert why_no_letter(text, 4) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", NO_LETTER),
        ("I am not sure.", NO_LETTER),
        ("The answer is a matter of taste.", NO_LETTER),
        ("neither (A) nor (B)", NO_LETTER),
        ("The answer is (A) or (B).", NO_LETTER),
        ("The answer is not (B).", NO_LETTER),
        ("It isn't (A).", NO_LETTER),
        ("(B) is not correct.", NO_LETTER),
        ("I think so", NO_LETTER),
        ("A cat sat there", NO_LETTER),
        ("The answer is (F).", OUTSIDE),
        ("The answer is (A). Rather, the answer is (E).", OUTSIDE),
    ],
)
def test_a_text_without_an_answer_that_counts_says_why(text: str, why: str) -> None:
    """None is never guessed, and a letter outside the options is not taken for another."""
    assert answer_letter(text, 4) is None
    assert why_no_letter(text, 4) == why


@given(st.integers(2, 26), st.data())
def test_every_option_can_be_the_answer_and_none_outside(options: int, data: st.DataObject) -> None:
    """A letter counts exactly where it names an option."""
    letter = data.draw(st.sampled_from(LETTERS))

    found = answer_letter(f"After all this, the answer is ({letter}).", options)

    assert found == (letter if letter in LETTERS[:options] else None)


@pytest.mark.parametrize(
    ("sentence", "declares"),
    [
        ("The answer is (B).", True),
        ("So it is 42.", True),
        ("42", True),
        ("(B)", True),
        ("Therefore 42 sheep remain.", True),
        ("40 plus 2 is 42.", False),
        ("So it is 42.5 metres.", False),
        ("So it is 142.", False),
        ("The answer is (A).", False),
        ("Sheep eat grass.", False),
    ],
)
def test_a_sentence_declares_its_answer_by_letter_or_as_a_conclusion(sentence: str, declares: bool) -> None:
    """A step that arrives at the option's text concludes nothing in words, and stays."""
    assert declares_answer(sentence, "B", "42") is declares


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Pi is 3.14. Then two.", ["Pi is 3.14. ", "Then two."]),
        ("See e.g. Dr. Hall. He knows.", ["See e.g. Dr. Hall. ", "He knows."]),
        ("John F. Kennedy spoke. The answer is B. So be it.", ["John F. Kennedy spoke. ", "The answer is B. ", "So be it."]),
        ("1. First do this.\n2. Then that.\n\nDone", ["1. First do this.\n", "2. Then that.\n\n", "Done"]),
        ('"Why?" he asked. Wait... then go!', ['"Why?" he asked. ', "Wait... then go!"]),
        ("3 plus 4 is 7 . then 7 plus 2 is 9 .", ["3 plus 4 is 7 . ", "then 7 plus 2 is 9 ."]),
        ("\n  Alone  \n", ["\n  Alone  \n"]),
        (" \n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, parts: list[str]) -> None:
    """Decimals, abbreviations, initials, list numbers, quotations and line ends."""
    assert [sentence.text for sentence in sentences(text)] == parts


@given(st.text() | st.text(alphabet=" \n\r\t.!?…\"')。ABab1u2é\u2028\x85"))
@settings(max_examples=300)
def test_sentences_joined_are_the_text_again(text: str) -> None:
    """Offsets tile the text without gap or overlap, and no sentence is white space alone."""
    found = sentences(text)

    assert "".join(each.text for each in found) == (text if text.strip() else "")
    assert all(each.text == text[each.start : each.end] and each.text.strip() for each in found)


@pytest.mark.parametrize("text", ["." * 2_000_000, " " * 2_000_000 + "x", "(" * 2_000_000, "answer is " * 200_000, "\n" * 2_000_000 + "x"])
def test_long_texts_take_time_in_step_with_their_length(text: str) -> None:
    """Two million characters of the worst kinds: a rule that looks back from everywhere would take hours."""
    started = time.process_time()

    sentences(text)
    answer_letter(text, 4)

    assert time.process_time() - started < 20
