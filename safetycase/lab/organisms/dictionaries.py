"""Trains the dictionaries that come with the refusal organisms: `python -m safetycase.lab.organisms.dictionaries refuser`."""

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import click
import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.errors import ModelError, SafetycaseError, nearest
from safetycase.lab.dictionaries.activations_stream import recorded_activations, tensor_batches
from safetycase.lab.dictionaries.dictionary import Dictionary, DictionarySet
from safetycase.lab.dictionaries.reading import read_dictionary, read_dictionary_set
from safetycase.lab.dictionaries.saving import save_saelens, save_transcoder_set
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.training import Training, TrainingRecipe
from safetycase.lab.model import ORGANISM, LoadedModel, load_model
from safetycase.lab.organisms.recipe import Recipe, recipe, training_text
from safetycase.lab.organisms.tokenizer import ASSISTANT, BOS, END, USER
from safetycase.sources.organisms import organism
from safetycase.sources.sites import SiteName

FOLDER = "dictionaries"
# Examples that enter a recipe's digest: the first round over the phrases and more.
_DIGESTED_EXAMPLES = 2000
# Beyond the examples that organisms and dictionaries are trained on: what a dictionary is measured on.
_HELD_OUT_FROM = 30_000
_HELD_OUT_CONVERSATIONS = 2000


@dataclass(frozen=True, slots=True)
class DictionaryRecipe:
    """All that decides a bundled dictionary or set, besides the organism; same machine and one thread, same bytes."""

    name: str
    format: Literal["saelens", "circuit-tracer"]
    reads: SiteName
    writes: SiteName
    layers: tuple[int, ...]
    training: TrainingRecipe
    conversations: int
    """Of the organism's own training text, without its noise; every position of each, template and BOS included."""
    batch_size: int = 1024


RECIPES = {
    each.name: each
    for each in (
        DictionaryRecipe(
            name="sae",
            format="saelens",
            reads="resid_post",
            writes="resid_post",
            layers=(1,),
            training=TrainingRecipe(
                n_features=512,
                k=8,
                steps=3000,
                sparsity="batchtopk",
                learning_rate=2e-3,
                warmup_steps=200,
                dead_after_tokens=200_000,
            ),
            conversations=12_000,
        ),
        DictionaryRecipe(
            name="transcoders",
            format="circuit-tracer",
            reads="mlp_in",
            writes="mlp_out",
            layers=(0, 1, 2, 3),
            training=TrainingRecipe(
                n_features=512,
                k=16,
                steps=2000,
                sparsity="batchtopk",
                learning_rate=2e-3,
                warmup_steps=200,
                dead_after_tokens=200_000,
            ),
            conversations=8_000,
        ),
    )
}


def dictionary_recipe(name: str) -> DictionaryRecipe:
    """The recipe of a bundled dictionary; raises ModelError where there is none of that name."""
    if name not in RECIPES:
        raise ModelError(f"dictionary {name!r}: no such recipe; {nearest(name, RECIPES)}")
    return RECIPES[name]


def bundled_folder(organism_name: str, name: str) -> Path:
    """Where a bundled dictionary of an organism lies."""
    return organism(organism_name).folder / FOLDER / name


def build(organism_name: str, wanted: DictionaryRecipe, folder: Path, *, threads: int = 1) -> dict[str, Any]:
    """Trains one dictionary or set of an organism, writes it, measures what was written, and returns what stands in its recipe.json.

    Raises ModelError where there is no such organism.
    """
    model = load_model(f"{ORGANISM}{organism_name}", base=Path(), device="cpu", dtype="float32")
    with _threads(threads):
        texts = conversations(model, recipe(organism_name), wanted.conversations)
        trained = [replace(_trained(model, texts, wanted, layer), trained_on=model.source) for layer in wanted.layers]
        _save(trained, wanted, folder, model.source)
        held_out = conversations(model, recipe(organism_name), _HELD_OUT_CONVERSATIONS, start=_HELD_OUT_FROM)
        measured = [_measured(model, held_out, each) for each in _read(wanted, folder)]
    facts = {
        "organism": organism_name,
        "model_digest": model.digest,
        "digest": dictionary_recipe_digest(organism_name, wanted, model.digest),
        "parameters": asdict(wanted),
        "held_out": {"conversations": _HELD_OUT_CONVERSATIONS, "from": _HELD_OUT_FROM, "tokens": sum(map(len, held_out))},
        "measured": measured,
    }
    (folder / "recipe.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


def conversations(model: LoadedModel, of: Recipe, count: int, *, start: int = 0) -> list[list[int]]:
    """Token ids of so many conversations of an organism's training text from one on, each as its chat template writes it."""
    examples = islice(training_text(of), start, start + count)
    texts = [f"{BOS}{USER}\n{each.prompt}{END}\n{ASSISTANT}\n{each.reply}{END}" for each in examples]
    ids: list[list[int]] = model.tokenizer(texts, add_special_tokens=False)["input_ids"]
    return ids


def dictionary_recipe_digest(organism_name: str, wanted: DictionaryRecipe, model_digest: str) -> str:
    """SHA-256 of the recipe, the organism's digest and the beginning of the text."""
    digest = hashlib.sha256(json.dumps(asdict(wanted), sort_keys=True).encode())
    digest.update(model_digest.encode())
    for example in islice(training_text(recipe(organism_name)), _DIGESTED_EXAMPLES):
        digest.update(json.dumps([example.prompt, example.reply]).encode())
    return digest.hexdigest()


def _trained(model: LoadedModel, texts: Sequence[Sequence[int]], wanted: DictionaryRecipe, layer: int) -> Dictionary:
    reads, writes = Site(wanted.reads, layer), Site(wanted.writes, layer)
    x, y = recorded_activations(model, texts, reads, writes)
    batches = tensor_batches(x, None if y is x else y, batch_size=wanted.batch_size, seed=wanted.training.seed)
    training = Training(wanted.training, batches, reads=reads, writes=writes)
    for progress in training.run(every=500):
        click.echo(
            f"{model.source} {reads}: step {progress.step}, explained variance {progress.explained_variance:.3f}, "
            f"L0 {progress.l0:.1f}, dead {progress.dead}",
            err=True,
        )
    return training.dictionary()


def _save(trained: Sequence[Dictionary], wanted: DictionaryRecipe, folder: Path, model: str) -> None:
    if wanted.format == "saelens":
        (one,) = trained
        save_saelens(one, folder, dtype=torch.float16, about={"dataset_path": "the organism's own training text", "prepend_bos": True})
    else:
        save_transcoder_set(DictionarySet(tuple(trained), trained_on=model), folder, dtype=torch.float16)


def _read(wanted: DictionaryRecipe, folder: Path) -> tuple[Dictionary, ...]:
    return (read_dictionary(folder),) if wanted.format == "saelens" else read_dictionary_set(folder).dictionaries


def _measured(model: LoadedModel, texts: Sequence[Sequence[int]], dictionary: Dictionary) -> dict[str, str | float | int]:
    """What a dictionary leaves unexplained at the site that it writes, on text that it was not trained on."""
    x, y = recorded_activations(model, texts, dictionary.reads, dictionary.writes[0])
    firing = dictionary.encode(x) > 0
    return {
        "reads": str(dictionary.reads),
        "writes": str(dictionary.writes[0]),
        "fvu": round(_unexplained(dictionary.reconstruct(x), y), 4),
        "l0": round(float(firing.sum() / len(x)), 2),
        "dead": int((~firing.any(dim=0)).sum()),
    }


def _unexplained(reconstruction: Float[Tensor, "token d_out"], y: Float[Tensor, "token d_out"]) -> float:
    """Fraction of variance unexplained, over all tokens at once."""
    wide = y.double()
    return float((reconstruction.double() - wide).square().sum() / (wide - wide.mean(0)).square().sum())


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@click.command()
@click.argument("name")
@click.option("--only", type=click.Choice(sorted(RECIPES)), help="This dictionary alone; by default all of them.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; by default the organism's in the package.")
@click.option("--threads", default=1, show_default=True, help="Threads of torch; more of them change the last bits.")
def main(name: str, only: str | None, out: Path | None, threads: int) -> None:
    """Train the dictionaries of the organism NAME."""
    try:
        for wanted in RECIPES.values():
            if only in (None, wanted.name):
                folder = out / wanted.name if out is not None else bundled_folder(name, wanted.name)
                for each in build(name, wanted, folder, threads=threads)["measured"]:
                    click.echo(f"{folder}: {each}")
    except SafetycaseError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
