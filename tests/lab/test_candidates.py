"""Candidate scores are those of the paper: of its own code, and of a slow reference that takes no shortcut."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from safetycase.evidence.kinds.refusal_direction.selection import Rule, select
from safetycase.lab.activations import activations, activations_at
from safetycase.lab.batches import batches_for
from safetycase.lab.candidates import Scorer, contrast_weights, mean_differences, scorer, select_lazily
from safetycase.lab.forward import Forward, Tokens, forward_for, tokenised
from safetycase.lab.model import LoadedModel, load_model
from safetycase.lab.scores import kl_divergence, refusal_log_odds
from tests.lab.small import LONG_TEMPLATE, loaded, texts
from tests.lab.tiny import ARCHITECTURES, D_MODEL, N_LAYERS

pytestmark = pytest.mark.lab

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
GOLDEN = SHARED / "refusal_direction" / "golden_tiny_llama"
GOLDEN_MODEL = SHARED / "attribution_golden" / "llama" / "model"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the published data is not beside this checkout")
every_architecture = pytest.mark.parametrize("architecture", [pytest.param(name, id=name) for name in ARCHITECTURES])

REFUSAL_TOKENS = torch.arange(20, 60)
POSITIONS = (-3, -2, -1)
# Their attention windows are shorter than these prompts, and padding behind a prefix would count against them.
WINDOWED = {"mistral", "gemma2", "gemma3_text", "phi3"}


class Case:
    """A model, prompts of two classes and the candidates between them."""

    def __init__(self, model: LoadedModel, seed: int = 0) -> None:
        self.model = model
        self.harmful = tokenised(model, texts(8, seed=seed + 1, last=30))
        self.harmless = tokenised(model, texts(8, seed=seed + 2, first=30))
        self.forward = forward_for(model, batches_for(model), [*self.harmful, *self.harmless])
        recorded = activations(self.forward, [*self.harmful, *self.harmless], POSITIONS)
        self.differences = mean_differences(recorded, contrast_weights(torch.ones(8), torch.ones(8)))

    def scorer(self, forward: Forward | None = None) -> Scorer:
        return scorer(forward or self.forward, REFUSAL_TOKENS, self.harmful, self.harmless)


@needs_golden
def test_the_original_codes_numbers_come_out() -> None:
    """Mean differences to 1e-5, all three scores to 1e-3, the same survivors in the same order."""
    told = json.loads((GOLDEN / "prompts.json").read_text())
    model = load_model(str(GOLDEN_MODEL), base=Path(), dtype="float32", device="cpu", template=told["template"])
    names = ("harmful_train", "harmless_train", "harmful_val", "harmless_val")
    tokens = {name: tokenised(model, told[name]) for name in names}
    forward = forward_for(model, batches_for(model), [row for rows in tokens.values() for row in rows])
    training = [*tokens["harmful_train"], *tokens["harmless_train"]]
    published = next(iter(load_file(GOLDEN / "mean_diffs.safetensors").values()))

    differences = mean_differences(
        activations(forward, training, POSITIONS), contrast_weights(torch.ones(128), torch.ones(128))
    )
    scoring = scorer(forward, torch.tensor(told["refusal_toks"]), tokens["harmful_val"], tokens["harmless_val"])
    found = {}
    for layer in range(4):
        ablated, kl = scoring.ablated_and_divergence(differences[:, layer])
        added = scoring.added(differences[:, layer], layer)
        for index, position in enumerate(POSITIONS):
            found[position, layer] = [float(scores[index].mean()) for scores in (ablated, added, kl)]

    assert model.chat.suffix_tokens == ("w1", "w2", "w3")
    assert (differences - published).abs().max() < 1e-5
    for row in json.loads((GOLDEN / "direction_evaluations.json").read_text()):
        expected = [row["refusal_score"], row["steering_score"], row["kl_div_score"]]
        assert found[row["position"], row["layer"]] == pytest.approx(expected, abs=1e-3)
    lazily = select_lazily(scoring, differences, Rule(min_steering=-1e9))
    survivors = json.loads((GOLDEN / "direction_evaluations_filtered.json").read_text())
    places = [lazily.place(index) for index in lazily.selection.order]
    assert [(POSITIONS[p], layer) for p, layer in places] == [(row["position"], row["layer"]) for row in survivors]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "qwen2"])
def test_scores_of_a_candidate_match_a_slow_reference(architecture: str) -> None:
    """One prompt at a time in float64, without padding, with hooks at every block input, attention and MLP output."""
    case = Case(loaded(architecture))
    position, layer = 1, 1
    direction = case.differences[position, layer]
    harmful, harmless, kl = reference_scores(case, direction, layer)

    ablated, divergence = case.scorer().ablated_and_divergence(direction.unsqueeze(0))
    added = case.scorer().added(direction.unsqueeze(0), layer)

    assert torch.allclose(ablated[0], harmful, atol=1e-4)
    assert torch.allclose(added[0], harmless, atol=1e-4)
    assert torch.allclose(divergence[0], kl, atol=1e-5)


@every_architecture
def test_every_shortcut_leaves_the_scores_as_they_are(architecture: str) -> None:
    """Shared prefix, last MLP at the last position and resumed addition against none of them."""
    case = Case(loaded(architecture, template=LONG_TEMPLATE))
    plain = Forward(case.model, case.forward.batches)
    directions = case.differences[:, 1]

    fast, slow = case.scorer(), case.scorer(plain)

    assert case.forward.last_mlp_at_last_position
    assert case.forward.prefix in ((0, 11) if architecture in WINDOWED else (11,))
    for quick, sure in zip(fast.ablated_and_divergence(directions), slow.ablated_and_divergence(directions), strict=True):
        assert torch.allclose(quick, sure, atol=1e-4)
    for layer in range(N_LAYERS):
        assert torch.allclose(fast.added(directions, layer), added_from_scratch(case, directions, layer), atol=1e-4)


def test_scores_do_not_depend_on_the_company_of_a_prompt() -> None:
    """Alone or among longer prompts, one row to a batch or all in one, with the padding that this brings."""
    case = Case(loaded())
    together = case.scorer().ablated(case.differences[:, 1])
    single = batches_for(case.model)
    single.positions = 1

    alone = case.scorer(Forward(case.model, single)).ablated(case.differences[:, 1])

    assert torch.allclose(together, alone, atol=1e-4)


def test_the_tokenizers_padding_side_changes_nothing() -> None:
    """Rows are padded on the left here, whatever the tokenizer would do."""
    left, right = loaded(), loaded()
    left.tokenizer.padding_side, right.tokenizer.padding_side = "left", "right"

    cases = [Case(model) for model in (left, right)]

    assert torch.equal(cases[0].differences, cases[1].differences)


def test_the_templates_own_tokens_give_no_direction_at_the_first_layer() -> None:
    """Identical embeddings differ by nothing at all, and such a candidate scores as the unedited model."""
    case = Case(loaded())
    scoring = case.scorer()

    ablated, kl = scoring.ablated_and_divergence(case.differences[:, 0])

    assert torch.count_nonzero(case.differences[:, 0]) == 0
    assert torch.equal(ablated[0], scoring.harmful_baseline)
    assert torch.count_nonzero(kl) == 0
    assert torch.equal(scoring.added(case.differences[:, 0], 0)[0], scoring.harmless_baseline)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(Rule(), id="the paper's"),
        pytest.param(Rule(max_kl=1e9, min_steering=-1e9), id="all in range survive"),
        pytest.param(Rule(max_kl=0.5, min_steering=-0.5, max_layer_fraction=1.0), id="some survive"),
        pytest.param(Rule(min_steering=1e9), id="none steers"),
        pytest.param(Rule(max_kl=-1.0, min_steering=-1e9), id="none keeps the KL"),
        pytest.param(Rule(max_kl=0.0, min_steering=-1e9), id="ties of zero vectors"),
    ],
)
def test_filters_in_order_of_cost_pick_what_the_full_table_picks(seed: int, rule: Rule) -> None:
    """The same survivors in the same order, and the same stand-in where there are none."""
    case = Case(loaded(seed=seed), seed=10 * seed)
    scoring = case.scorer()
    flat = case.differences.flatten(0, 1)
    layers = np.tile(np.arange(N_LAYERS), len(POSITIONS))
    steering = np.array([float(scoring.added(flat[[i]], int(layers[i])).mean()) for i in range(len(flat))])
    refusal, kl = (scores.mean(dim=1).numpy() for scores in scoring.ablated_and_divergence(flat))
    full = select(layers, refusal, steering, kl, n_layers=N_LAYERS, rule=rule)

    lazy = select_lazily(scoring, case.differences, rule, with_fallback=True)

    assert lazy.selection.order.tolist() == full.order.tolist()
    assert lazy.selection.fallback == full.fallback


def test_a_resample_counts_prompts_as_often_as_they_were_drawn() -> None:
    """Means over drawn prompts equal those of a scorer that was given the repeated prompts."""
    case = Case(loaded())
    counts = torch.tensor([2.0, 0.0, 1.0, 3.0, 0.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    drawn = [i for i, times in enumerate(counts.int().tolist()) for _ in range(times)]
    repeated = scorer(
        case.forward, REFUSAL_TOKENS, [case.harmful[i] for i in drawn], [case.harmless[i] for i in drawn]
    )
    resampled = case.scorer().resampled(counts, counts)
    directions = case.differences[:, 1]

    for score in ("added", "divergence", "ablated"):
        asked = (directions, 1) if score == "added" else (directions,)
        mean = "mean_over_harmful" if score == "ablated" else "mean_over_harmless"
        found, expected = (getattr(s, mean)(getattr(s, score)(*asked)) for s in (resampled, repeated))
        assert found == pytest.approx(expected, abs=1e-5)


def test_activations_below_an_ablation_have_nothing_along_it() -> None:
    """With a basis ablated, the next mean difference is orthogonal to it."""
    case = Case(loaded())
    basis = torch.linalg.qr(torch.randn(D_MODEL, 3, generator=torch.Generator().manual_seed(0))).Q.T.contiguous()

    found = activations_at(case.forward, case.harmful, -1, 2, basis)

    assert (found @ basis.T).abs().max() < 1e-4
    untouched = activations_at(case.forward, case.harmful, -1, 2, basis[:0])
    assert torch.allclose(untouched, activations(case.forward, case.harmful, (-1,))[:, 0, 2], atol=1e-5)


def added_from_scratch(case: Case, vectors: Tensor, layer: int) -> Tensor:
    """Refusal log-odds with each vector added at a block's input, every prompt run alone from its tokens."""
    block = case.model.sites.blocks[layer].module
    rows = []
    for vector in vectors.float():
        handle = block.register_forward_pre_hook(adding(vector), with_kwargs=True)
        rows.append(torch.stack([log_odds(case.model.module, prompt) for prompt in case.harmless]))
        handle.remove()
    return torch.stack(rows)


def adding(vector: Tensor) -> Any:
    """A pre-hook that adds a vector to a block's input."""

    def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (args[0] + vector, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": kwargs["hidden_states"] + vector}

    return hook


def reference_scores(case: Case, direction: Tensor, layer: int) -> tuple[Tensor, Tensor, Tensor]:
    """Per prompt: refusal log-odds of harmful prompts under ablation and of harmless ones under addition, and KL."""
    weights: Any = case.model.module
    module = weights.double()
    unit = direction / direction.norm()
    unedited = [last_logits_of(module, prompt) for prompt in case.harmless]

    def cut(x: Any) -> Any:
        return x - (x @ unit).unsqueeze(-1) * unit

    def cut_input(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (cut(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": cut(kwargs["hidden_states"])}

    def cut_output(_: Any, args: Any, output: Any) -> Any:
        return (cut(output[0]), *output[1:]) if isinstance(output, tuple) else cut(output)

    handles = []
    for block in case.model.sites.blocks:
        handles.append(block.module.register_forward_pre_hook(cut_input, with_kwargs=True))
        handles += [part.register_forward_hook(cut_output) for part in (block.attention, block.mlp)]
    harmful = torch.stack([log_odds(module, prompt) for prompt in case.harmful])
    ablated = [last_logits_of(module, prompt) for prompt in case.harmless]
    for handle in handles:
        handle.remove()
    handle = case.model.sites.blocks[layer].module.register_forward_pre_hook(adding(direction), with_kwargs=True)
    harmless = torch.stack([log_odds(module, prompt) for prompt in case.harmless])
    handle.remove()
    weights.float()
    kl = kl_divergence(torch.stack(unedited), torch.stack(ablated), torch.arange(len(ablated)))
    return harmful, harmless, kl


def log_odds(module: nn.Module, prompt: Tokens) -> Tensor:
    return refusal_log_odds(last_logits_of(module, prompt)[None], REFUSAL_TOKENS)[0]


@torch.no_grad()
def last_logits_of(module: nn.Module, prompt: Tokens) -> Tensor:
    logits: Tensor = module(input_ids=prompt.unsqueeze(0), use_cache=False).logits[0, -1]
    return logits
