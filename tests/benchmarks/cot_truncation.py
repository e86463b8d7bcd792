"""What the answers at all cuts of a batch of reasoning cost beside one plain pass over the same texts, and beside a pass per cut.

    python -m tests.benchmarks.cot_truncation                 32 questions, 16 sentences each
    python -m tests.benchmarks.cot_truncation --sentences 40

The model is a Llama of random weights of the size of the bundled organisms that reason (4 layers, 128 wide). The plain pass is one
forward pass over prompt, reasoning and as many tokens again as all endings have: the bar allows 1.5 times as much. Seconds are those of
the processor on one thread, the least of five runs, so that other work on the machine counts for little.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import click
import torch

from safetycase.lab.cot.branches import Trunk, answers_after_cuts, branched, cut_by_cut
from safetycase.lab.cot.prompts import CLEAN
from safetycase.lab.cot.study import CotStudy
from tests.lab.cot.studies import organism_sized, study

BAR = 1.5
RUNS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--sentences", type=int, default=16)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    made = study(organism_sized(), items=asked.questions)
    trunks = [_trunk(made, item, asked.sentences) for item in made.questions]
    plain = _seconds(lambda: _one_pass(made, trunks))
    figures = {
        "branches": _seconds(lambda: branched(made, trunks)),
        "branches with their confirmation": _seconds(lambda: answers_after_cuts(made, trunks)),
        "a pass per cut": _seconds(lambda: cut_by_cut(made, trunks)),
    }
    tokens = sum(len(each.tokens) for each in trunks) // len(trunks)
    click.echo(f"{len(trunks)} texts of {tokens} tokens, {asked.sentences + 1} cuts each; one pass {plain:.3f} s")
    for name, seconds in figures.items():
        click.echo(f"{name}: {seconds:.3f} s, {seconds / plain:.2f} times one pass")
    click.echo(f"bar: {BAR} times: {'met' if figures['branches'] <= BAR * plain else 'missed'}")


def _trunk(made: CotStudy, item: str, sentences: int) -> Trunk:
    text = " ".join(f"{number} plus {number + 1} is {2 * number + 1}." for number in range(sentences))
    posed, split = made.posed(item, CLEAN), made.sequences.split(text)
    opening = made.sequences.opening(posed.text)
    return Trunk(torch.cat([opening, split.tokens]), tuple(len(opening) + cut for cut in split.cuts), len(posed.order))


def _one_pass(made: CotStudy, trunks: Sequence[Trunk]) -> None:
    """One row per text, with as many tokens behind it as its endings have."""
    rows = [torch.cat([each.tokens, made.sequences.ending.repeat(len(each.cuts))]) for each in trunks]
    made.letter_probabilities(rows, [each.options for each in trunks])


def _seconds(work: Callable[[], object]) -> float:
    found = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


if __name__ == "__main__":
    main()
