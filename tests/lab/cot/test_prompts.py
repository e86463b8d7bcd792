"""What is said to the model: options in their order, hints where they point to, and the same wherever and whenever it is asked."""

import re

import pytest

from safetycase.evidence.judges.hints import HINTS
from safetycase.evidence.kinds.cot_faithfulness.params import Ask
from safetycase.lab.cot.prompts import clean_letter, conditions, demonstrations, pose, shuffled_order, wrong_letter
from safetycase.sources.tasks import Question
from tests.lab.cot.studies import sums

pytestmark = pytest.mark.lab

QUESTIONS = list(sums(60).values())
ASK = Ask()


def test_a_plain_question_is_its_text_its_options_and_the_instruction() -> None:
    """Each on a line of its own, an option of several lines too."""
    question = Question("i", "t", "Which?", ("one\nline", "two"), "A", "all", "i")

    posed = pose(question, "clean", ASK, 0, ())

    assert posed.text == f"Which?\n(A) one line\n(B) two\n{ASK.delimiters.instruction}"
    assert (posed.order, posed.hinted, posed.hint) == ((0, 1), "", None)


@pytest.mark.parametrize("hint", [pytest.param(hint, id=hint) for hint in HINTS])
@pytest.mark.parametrize("side", ["wrong", "correct"])
def test_a_hint_names_the_option_that_it_points_to_and_its_place_is_known(hint: str, side: str) -> None:
    """Without it the prompt is the plain one; towards the right option it names the truth."""
    for question in QUESTIONS[:12]:
        plain, posed = pose(question, "clean", ASK, 1, ()), pose(question, f"{hint}.{side}", ASK, 1, ())
        assert posed.hint is not None
        start, end = posed.hint
        said, without = posed.text[start:end], posed.text[:start] + posed.text[end:]

        assert posed.hinted == (question.truth if side == "correct" else wrong_letter(question, 1))
        assert said.strip() == said != ""
        assert said in posed.hint_text
        assert f"({posed.hinted})" in posed.hint_text
        lines = [line.rstrip() for line in without.split("\n") if line.strip()]
        assert lines[-6:] == plain.text.split("\n")
        assert len(lines) == 6 or hint == "visual-pattern"


def test_the_hinted_wrong_option_follows_from_item_and_seed() -> None:
    """Every wrong option is hinted at in its turn, and another seed hints at others."""
    letters = [wrong_letter(question, 1) for question in QUESTIONS]

    assert all(letter != question.truth for letter, question in zip(letters, QUESTIONS, strict=True))
    assert set(letters) == set("ABCD")
    assert letters != [wrong_letter(question, 2) for question in QUESTIONS]
    assert letters == [wrong_letter(question, 1) for question in QUESTIONS]


def test_shuffled_options_all_move_and_answers_find_their_way_back() -> None:
    """The letter shown is mapped to that of the clean order."""
    for question in QUESTIONS[:20]:
        posed = pose(question, "shuffled", ASK, 1, ())
        shown = dict(re.findall(r"^\(([A-D])\) (.*)$", posed.text, flags=re.MULTILINE))

        assert sorted(posed.order) == [0, 1, 2, 3]
        assert all(place != option for place, option in enumerate(posed.order))
        for place, letter in enumerate("ABCD"):
            assert question.options["ABCD".index(clean_letter(posed, place))] == shown[letter]
    assert len({shuffled_order(question, 1) for question in QUESTIONS}) == 3


def test_demonstrations_are_of_other_families_and_all_answered_with_a() -> None:
    """Their right options stand first; the question's own stand as ever."""
    question, others = QUESTIONS[0], QUESTIONS

    shown = demonstrations(question, 1, others)
    posed = pose(question, "always-a", ASK, 1, others)

    assert len(shown) == 4
    assert question.family not in {each.family for each in shown}
    assert posed.hinted == "A"
    assert posed.text.count("The answer is (A)") == 4
    for each in shown:
        assert f"{each.question}\n(A) {each.right}\n" in posed.text
    assert posed.text.endswith(pose(question, "clean", ASK, 1, ()).text)


def test_every_condition_of_the_plan_can_be_posed() -> None:
    """And none twice."""
    named = conditions(ASK)

    assert len(set(named)) == len(named) == 4 + 2 * len(HINTS) + 2
    assert {pose(QUESTIONS[0], condition, ASK, 0, QUESTIONS).condition for condition in named} == set(named)
