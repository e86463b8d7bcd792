"""Edits of features do to the model what their definition says, by hand in double precision and by theorem."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from safetycase.lab.chat import Encoded
from safetycase.lab.dictionaries.dictionary import Dictionary, JumpRelu, TopK
from safetycase.lab.dictionaries.site import Site, parse_site
from safetycase.lab.features.edits import FeatureEdit, edited
from safetycase.lab.forward import left_padded
from safetycase.lab.model import LoadedModel, last_logits
from safetycase.lab.site_access import record_sites
from tests.lab.features.feature_studies import random_dictionary
from tests.lab.small import loaded

pytestmark = pytest.mark.lab

PROMPTS = [torch.arange(6, 6 + length) for length in (4, 9, 6)]
SITES = [("resid_post.1", "resid_post.1"), ("resid_post.2", "resid_post.2"), ("mlp_in.1", "mlp_out.1"), ("resid_mid.0", "mlp_out.0")]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """A random Llama of three layers."""
    return loaded()


def dictionary_at(model: LoadedModel, reads: str, writes: str, **fields: Any) -> Dictionary:
    """A random dictionary between two sites."""
    return random_dictionary(model, parse_site(reads), parse_site(writes), **fields)


def by_hand(model: LoadedModel, dictionary: Dictionary, tokens: Tensor, delta: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Last logits of one prompt in double precision, block by block; `delta` maps (read, written) to what is added to written."""
    module: Any = copy.deepcopy(model.module).double()
    body, n = module.model, len(tokens)
    h = body.embed_tokens(tokens[None])
    rotary = body.rotary_emb(h, torch.arange(n)[None])
    mask = torch.full((1, 1, n, n), -torch.inf, dtype=torch.float64).triu(1)
    for layer, block in enumerate(body.layers):
        mid = h + block.self_attn(block.input_layernorm(h), position_embeddings=rotary, attention_mask=mask)[0]
        mlp_in = block.post_attention_layernorm(mid)
        out = block.mlp(mlp_in)
        at = {Site("resid_mid", layer): mid, Site("mlp_in", layer): mlp_in, Site("mlp_out", layer): out}
        if dictionary.writes[0] == Site("mlp_out", layer):
            out = out + delta(at[dictionary.reads], out)
        h = mid + out
        if dictionary.writes[0] == Site("resid_post", layer):
            h = h + delta(h, h)
    logits: Tensor = module.lm_head(body.norm(h))[0, -1]
    return logits


def activation_by_hand(dictionary: Dictionary, x: Tensor, feature: int) -> Tensor:
    """relu(x w + b) in double precision, per position."""
    found: Tensor = (x @ dictionary.W_enc[feature].double() + dictionary.b_enc[feature].double()).relu()
    return found


@pytest.mark.parametrize(("reads", "writes"), SITES)
@pytest.mark.parametrize("kind", ["ablate", "clamp", "steer"])
def test_an_edit_is_what_its_definition_says(model: LoadedModel, reads: str, writes: str, kind: Any) -> None:
    """Every row of a padded batch, each with a feature of its own, against the model edited by hand in double precision."""
    dictionary = dictionary_at(model, reads, writes)
    edits = [FeatureEdit(kind, feature, 3.0) for feature in (0, 5, 11)]

    with edited(model, dictionary, [[edit] for edit in edits]):
        found = last_logits(model, left_padded(PROMPTS, model.device))

    moved = []
    for edit, tokens, row in zip(edits, PROMPTS, found, strict=True):

        def delta(read: Tensor, written: Tensor, edit: FeatureEdit = edit) -> Tensor:
            direction = dictionary.W_dec[edit.feature, 0].double()
            a = activation_by_hand(dictionary, read, edit.feature)[..., None]
            match edit.kind:
                case "ablate":
                    return -a * direction
                case "clamp":
                    return -(a - 3.0) * direction
                case "steer":
                    return torch.zeros_like(written) + 3.0 * torch.nn.functional.normalize(direction, dim=0)

        expected = by_hand(model, dictionary, tokens, delta)
        torch.testing.assert_close(row.double(), expected, atol=2e-4, rtol=2e-4)
        unedited = by_hand(model, dictionary, tokens, lambda _, written: torch.zeros_like(written))
        moved.append(float((row.double() - unedited).abs().amax()))
    assert max(moved) > 1e-2


def test_edits_of_one_row_add_up(model: LoadedModel) -> None:
    """Ablating one feature, clamping another and steering a third in one row is the sum of the three changes of the site."""
    dictionary = dictionary_at(model, "mlp_in.1", "mlp_out.1")
    together = [FeatureEdit("ablate", 1), FeatureEdit("clamp", 2, 4.0), FeatureEdit("steer", 3, 2.0)]
    site = dictionary.writes[0]

    plain = written(model, dictionary, [()], site)
    apart = [written(model, dictionary, [[edit]], site) - plain for edit in together]
    summed = written(model, dictionary, [together], site) - plain

    torch.testing.assert_close(summed, torch.stack(apart).sum(dim=0), atol=1e-5, rtol=1e-5)


def written(model: LoadedModel, dictionary: Dictionary, rows: Any, site: Site) -> Tensor:
    """What stands behind an edit of the longest prompt: the next block's input, or what the block adds."""
    after = Site("resid_pre", site.layer + 1)
    with edited(model, dictionary, rows), record_sites(model, [after]) as at:
        last_logits(model, left_padded([PROMPTS[1]], model.device))
        return at[after].clone()


def test_an_ablated_feature_is_gone_where_directions_are_orthonormal(model: LoadedModel) -> None:
    """In an autoencoder with orthonormal directions and tied weights the re-encoded activation is zero, and the others are as before."""
    dictionary = dictionary_at(model, "resid_post.1", "resid_post.1")
    basis = torch.linalg.qr(torch.randn(32, 24, generator=torch.Generator().manual_seed(1))).Q.T
    tied = replace(dictionary, W_enc=basis, W_dec=basis.unsqueeze(1), b_enc=torch.zeros(24))
    plain = tied.encode(written(model, tied, [()], tied.writes[0]))

    after = tied.encode(written(model, tied, [[FeatureEdit("ablate", 3)]], tied.writes[0]))

    assert plain[..., 3].amax() > 0.1
    assert after[..., 3].abs().amax() < 1e-5
    others = [feature for feature in range(24) if feature != 3]
    torch.testing.assert_close(after[..., others], plain[..., others], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="plain"),
        pytest.param({"activation": TopK(4)}, id="top-k"),
        pytest.param({"activation": JumpRelu(torch.full((24,), 0.2))}, id="jump-relu"),
        pytest.param({"normalisation": "constant_norm_rescale"}, id="rescaled"),
        pytest.param({"normalisation": "layer_norm"}, id="layer-norm"),
        pytest.param({"subtracts_b_dec": True}, id="centred"),
    ],
)
def test_ablation_changes_the_site_by_what_the_feature_wrote(model: LoadedModel, fields: dict[str, Any]) -> None:
    """The change is -a s d for every activation and normalisation: what the reconstruction loses, so that the error stays."""
    dictionary = dictionary_at(model, "resid_post.1", "resid_post.1", **fields)
    x = written(model, dictionary, [()], dictionary.writes[0])
    activations = dictionary.encode(x)
    feature = int(activations.amax(dim=(0, 1)).argmax())
    without = activations.clone()
    without[..., feature] = 0

    change = written(model, dictionary, [[FeatureEdit("ablate", feature)]], dictionary.writes[0]) - x

    lost = dictionary.decode(without, x) - dictionary.decode(activations, x)
    assert lost.abs().amax() > 1e-2
    torch.testing.assert_close(change, lost, atol=1e-5, rtol=1e-4)


def test_the_error_of_a_transcoder_stays_in_place(model: LoadedModel) -> None:
    """The MLP's output minus the reconstruction is the same before and after the edit, with a skip path too."""
    dictionary = dictionary_at(model, "mlp_in.1", "mlp_out.1", skip=True)
    sites = [dictionary.reads, Site("resid_mid", 1), Site("resid_pre", 2)]

    def error(rows: Any, without: int | None) -> Tensor:
        with edited(model, dictionary, rows), record_sites(model, sites) as at:
            last_logits(model, left_padded([PROMPTS[1]], model.device))
            output = at[sites[2]] - at[sites[1]]
            activations = dictionary.encode(at[sites[0]])
        if without is not None:
            activations[..., without] = 0
        return output - dictionary.decode(activations, at[sites[0]])

    torch.testing.assert_close(error([[FeatureEdit("ablate", 2)]], 2), error([()], None), atol=1e-5, rtol=1e-5)


def test_nothing_is_changed_by_nothing(model: LoadedModel) -> None:
    """Steering by zero, a row without edits and a feature without a direction leave the logits to the bit."""
    dictionary = dictionary_at(model, "resid_post.1", "resid_post.1")
    mute = replace(dictionary, W_dec=torch.zeros_like(dictionary.W_dec))
    batch = left_padded(PROMPTS, model.device)
    plain = last_logits(model, batch)

    for rows, used in (
        ([[FeatureEdit("steer", 1, 0.0)]], dictionary),
        ([(), (), ()], dictionary),
        ([[FeatureEdit("steer", 1, 9.0)]], mute),
    ):
        with edited(model, used, rows):
            assert torch.equal(last_logits(model, batch), plain)


def test_one_entry_is_carried_by_all_rows(model: LoadedModel) -> None:
    """A single combination of edits and the same one for every row are one."""
    dictionary = dictionary_at(model, "mlp_in.0", "mlp_out.0")
    both = (FeatureEdit("clamp", 1, 2.0), FeatureEdit("steer", 4, 1.0))
    batch = left_padded(PROMPTS, model.device)

    with edited(model, dictionary, [both]):
        once = last_logits(model, batch)
    with edited(model, dictionary, [both] * 3):
        each = last_logits(model, batch)

    torch.testing.assert_close(once, each, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_bears_on_no_row(model: LoadedModel, side: str) -> None:
    """A row alone and in a batch padded on either side gives the same logits at its last token, normalised dictionaries included."""
    dictionary = dictionary_at(model, "resid_post.1", "resid_post.1", normalisation="layer_norm")
    edits = [[FeatureEdit("ablate", 1)], [FeatureEdit("clamp", 2, 3.0)], [FeatureEdit("ablate", 7), FeatureEdit("steer", 1, 2.0)]]
    batch = left_padded(PROMPTS, model.device) if side == "left" else right_padded(PROMPTS)

    with edited(model, dictionary, edits):
        logits = model.module(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, position_ids=batch.position_ids, use_cache=False
        ).logits
    for number, tokens in enumerate(PROMPTS):
        with edited(model, dictionary, [edits[number]]):
            alone = last_logits(model, left_padded([tokens], model.device))[0]

        last = -1 if side == "left" else len(tokens) - 1
        torch.testing.assert_close(logits[number, last], alone, atol=1e-4, rtol=1e-4)


def right_padded(prompts: list[Tensor]) -> Encoded:
    """As a tokenizer of the other habit would have it."""
    width = max(map(len, prompts))
    ids = torch.stack([torch.nn.functional.pad(tokens, (0, width - len(tokens))) for tokens in prompts])
    mask = torch.stack([(torch.arange(width) < len(tokens)).long() for tokens in prompts])
    return Encoded(ids, mask)


@pytest.mark.parametrize("kind", ["ablate", "clamp", "steer"])
@pytest.mark.parametrize(("reads", "writes"), SITES)
def test_a_beginning_of_text_token_is_left_as_it_is(model: LoadedModel, reads: str, writes: str, kind: Any) -> None:
    """Dictionaries are not trained on it, and its activations are out of scale; all other positions are edited."""
    dictionary = dictionary_at(model, reads, writes)
    start = model.tokenizer.bos_token_id
    tokens = [torch.tensor([start, 8, 9, 10]), torch.tensor([start, 11, 12])]

    with record_sites(model, [dictionary.writes[0]]) as at:
        last_logits(model, left_padded(tokens, model.device))
        plain = at[dictionary.writes[0]].clone()
        with edited(model, dictionary, [[FeatureEdit(kind, 5, 3.0)]]), record_sites(model, [dictionary.writes[0]]) as after:
            last_logits(model, left_padded(tokens, model.device))
            changed = (after[dictionary.writes[0]] - plain).abs().amax(dim=-1) > 0

    assert not changed[0, 0]
    assert not changed[1, 1]
    assert changed[:, 2:].any() if kind == "ablate" else changed[:, 2:].all()
