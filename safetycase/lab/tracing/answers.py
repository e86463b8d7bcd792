"""What the model answers with circuits ablated, and what every text judge says of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

from safetycase.evidence.judges import judge, judge_names
from safetycase.evidence.kinds.circuit_trace.selection import Node
from safetycase.evidence.tables import Row
from safetycase.lab.generation import Intervention, greedy_answers
from safetycase.lab.observing import Progress
from safetycase.lab.refusal_answers import text_of
from safetycase.lab.tracing.ablations import circuit_name
from safetycase.lab.tracing.circuit_edits import UNEDITED, CircuitEdit, circuits_edited
from safetycase.lab.tracing.study import Stage, TraceStudy


def answers(study: TraceStudy, members: Sequence[Node], randoms: Sequence[Sequence[Node]]) -> Stage[None]:
    """Yields `completions` and `answers` of the first harmful confirmation prompts: unedited, circuit ablated, random circuits ablated.

    Features are ablated where the prompt has their roles, while the model reads it; what it writes is not edited.
    """
    if not study.ask.behaviour_prompts:
        return
    edits: Mapping[str, CircuitEdit] = {
        "none": UNEDITED,
        **({"circuit": CircuitEdit(frozenset(members), "ablated")} if members else {}),
        **{
            circuit_name(number): CircuitEdit(frozenset(each), "ablated")
            for number, each in enumerate(randoms[: study.ask.answered_circuits], start=1)
        },
    }
    for number, (name, edit) in enumerate(edits.items()):
        yield Progress("answers", number, len(edits))
        said = yield from study.shards.rows("completions", name, partial(_completions, study, name, edit))
        yield from study.shards.rows("answers", name, partial(_labels, said))


def _completions(study: TraceStudy, name: str, edit: CircuitEdit) -> Iterator[Row]:
    prompts = [pair.harmful for pair in study.sampled.confirmation][: study.ask.behaviour_prompts]
    tokens = [study.tokens[prompt.id] for prompt in prompts]

    def opened(indices: list[int]) -> AbstractContextManager[None]:
        roles = [study.roles_of(prompts[index].id) for index in indices]
        return circuits_edited(study.model, study.transcoders, roles, [edit] * len(indices))

    said = greedy_answers(study.model, study.batches, tokens, [Intervention()] * len(tokens), study.ask.max_new_tokens, opened)
    for prompt, answer in zip(prompts, said, strict=True):
        text = text_of(study.model, answer)
        yield {"circuit": name, "population": "harmful", "item": prompt.id, "text": text, "finished": answer.finished}


def _labels(completions: Sequence[Row]) -> Iterator[Row]:
    for row in completions:
        for name in judge_names():
            judging = judge(name)
            place = {"circuit": row["circuit"], "population": row["population"], "item": row["item"]}
            yield {**place, "judge": name, "version": judging.version, "label": str(judging.label(row["text"]))}
