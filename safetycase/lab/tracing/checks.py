"""What graphs predict of single interventions, beside what these do: members ablated one at a time in the free model."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.evidence.graphs.effects import Effects, changes_by_removal
from safetycase.evidence.kinds.circuit_trace.selection import Node
from safetycase.evidence.tables import Row
from safetycase.lab.forward import left_padded
from safetycase.lab.model import last_logits
from safetycase.lab.observing import Progress
from safetycase.lab.site_access import record_sites
from safetycase.lab.tracing.circuit_edits import UNEDITED, CircuitEdit, circuits_edited
from safetycase.lab.tracing.graphs import Graphs
from safetycase.lab.tracing.study import Stage, TraceStudy
from safetycase.sources.prompts import Prompt

PROMPTS_PER_SHARD = 8
"""What a kill can lose."""


def checks(study: TraceStudy, made: Graphs, members: Sequence[Node]) -> Stage[None]:
    """Yields `node_checks` and `edge_checks`, on harmful confirmation prompts."""
    prompts = [pair.harmful for pair in study.sampled.confirmation]
    for start in range(0, len(prompts), PROMPTS_PER_SHARD):
        yield Progress("single interventions", start, len(prompts))
        checked = _Checked(study, made, tuple(members), prompts[start : start + PROMPTS_PER_SHARD])
        yield from study.shards.rows("node_checks", f"prompts-{start}", partial(checked.node_rows))
        yield from study.shards.rows("edge_checks", f"prompts-{start}", partial(checked.edge_rows))


@dataclass
class _Checked:
    """Some prompts under the ablation of each member that is active there; run once for both tables."""

    study: TraceStudy
    made: Graphs
    members: tuple[Node, ...]
    prompts: Sequence[Prompt]
    _found: list[tuple[Prompt, int, Tensor, Tensor]] | None = None
    _active: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    _changes: dict[tuple[str, int], Effects] = field(default_factory=dict)

    def node_rows(self) -> Iterator[Row]:
        for prompt, number, change, _ in self._interventions():
            graph = self.made.of(prompt.id)
            predicted = self._predicted(prompt, number)[graph.target_nodes] @ graph.target_weights
            log_odds, target = change.tolist()
            yield {
                "item": prompt.id, "population": "harmful", "split": prompt.split, "member": number,
                "predicted": float(predicted), "measured": target, "log_odds_change": log_odds,
            }  # fmt: skip

    def edge_rows(self) -> Iterator[Row]:
        for prompt, number, _, read in self._interventions():
            places = self._places(prompt)
            changes = self._predicted(prompt, number)
            for target, measured in enumerate(read.tolist(), start=1):
                if target not in places or self.members[target - 1][0] <= self.members[number - 1][0]:
                    continue
                predicted = float(changes[places[target]].sum())
                if not predicted:
                    continue  # no path of the graph leads from one to the other
                yield {
                    "item": prompt.id, "population": "harmful", "split": prompt.split, "source": number, "target": target,
                    "predicted": predicted, "measured": measured,
                }  # fmt: skip

    def _predicted(self, prompt: Prompt, number: int) -> Effects:
        """[node]: what the prompt's graph says of the member's removal; had once for both tables."""
        if (prompt.id, number) not in self._changes:
            self._changes[prompt.id, number] = changes_by_removal(self.made.of(prompt.id), self._places(prompt)[number])
        return self._changes[prompt.id, number]

    def _places(self, prompt: Prompt) -> dict[int, list[int]]:
        """By member that is active there: its nodes in the prompt's graph."""
        if prompt.id not in self._active:
            found = self.made.nodes(prompt.id, self.members)
            self._active[prompt.id] = {number: found[node] for number, node in enumerate(self.members, start=1) if node in found}
        return self._active[prompt.id]

    def _interventions(self) -> list[tuple[Prompt, int, Tensor, Tensor]]:
        """Prompt, member ablated, change of (log-odds, target), and change of every member's pre-activation."""
        if self._found is None:
            asked = [(prompt, number) for prompt in self.prompts for number in self._places(prompt)]
            rows = [(prompt, CircuitEdit(frozenset({self.members[number - 1]}), "ablated")) for prompt, number in asked]
            plain = {prompt.id: place for place, prompt in enumerate(self.prompts)}
            read = self._run([*((prompt, UNEDITED) for prompt in self.prompts), *rows])
            before, after = read[: len(self.prompts)], read[len(self.prompts) :]
            changes = [after[row] - before[plain[prompt.id]] for row, (prompt, _) in enumerate(asked)]
            self._found = [(prompt, number, change[:2], change[2:]) for (prompt, number), change in zip(asked, changes, strict=True)]
        return self._found

    @torch.inference_mode()
    def _run(self, rows: Sequence[tuple[Prompt, CircuitEdit]]) -> Float[Tensor, "row value"]:
        """Log-odds, target and, member by member, the pre-activations summed over the positions where it is active unedited."""
        study = self.study
        positions = {prompt.id: self._positions(prompt) for prompt in self.prompts}
        sites = sorted({study.transcoders.at(layer).reads for layer, _, _ in self.members}, key=str)

        def work(indices: list[int]) -> Tensor:
            here = [rows[index] for index in indices]
            encoded = left_padded([study.tokens[prompt.id] for prompt, _ in here], study.model.device)
            with ExitStack() as stack:
                read = stack.enter_context(study.functional.reading(study.model))
                at = stack.enter_context(record_sites(study.model, sites))
                edits = [edit for _, edit in here]
                stack.enter_context(circuits_edited(study.model, study.transcoders, [study.roles_of(p.id) for p, _ in here], edits))
                logits = last_logits(study.model, encoded)
                log_odds = study.functional.log_odds(logits)
                columns = [log_odds.cpu(), read(logits).to(log_odds).cpu()]
                for number, (layer, feature, _) in enumerate(self.members, start=1):
                    dictionary = study.transcoders.at(layer)
                    pre = (at[dictionary.reads].to(dictionary.W_enc) @ dictionary.W_enc[feature]).cpu().double()
                    lengths = [len(study.tokens[prompt.id]) - pre.shape[1] for prompt, _ in here]
                    sums = [
                        pre[row, [p - shift for p in positions[prompt.id].get(number, ())]].sum()
                        for row, ((prompt, _), shift) in enumerate(zip(here, lengths, strict=True))
                    ]
                    columns.append(torch.stack(sums))
                return torch.stack([column.double() for column in columns], dim=-1)

        return study.batches.run([study.batches.load(len(study.tokens[prompt.id])) for prompt, _ in rows], work)

    def _positions(self, prompt: Prompt) -> dict[int, list[int]]:
        features = self.made.of(prompt.id).features
        return {number: features[places, 1].tolist() for number, places in self._places(prompt).items()}
