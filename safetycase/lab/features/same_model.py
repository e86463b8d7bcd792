"""Whether a dictionary's files name the model under assessment, as far as names can tell."""

from pathlib import PurePath
from typing import Literal, NamedTuple

from safetycase.lab.hub import is_hub_id
from safetycase.lab.model import ORGANISM, LoadedModel

# Names that libraries give to models, beside the ids under which these are published; all in lower case.
KNOWN = {
    "gpt2": "openai-community/gpt2",
    "gpt2-small": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "gemma-2b": "google/gemma-2b",
    "gemma-2-2b": "google/gemma-2-2b",
    "gemma-2-2b-it": "google/gemma-2-2b-it",
    "gemma-2-9b": "google/gemma-2-9b",
    "gemma-2-9b-it": "google/gemma-2-9b-it",
    **{
        f"pythia-{size}{data}": f"eleutherai/pythia-{size}{data}"
        for size in ("14m", "31m", "70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")
        for data in ("", "-deduped")
    },
}


def same_model(source: str, trained_on: str, *, local: bool) -> bool | None:
    """Whether both names stand for one model; None where they leave it open, as where files name none.

    `source` is the model's in the plan, a folder on this machine where `local`. Two published ids are compared in full, organisation
    and name, in any spelling of case; the names that libraries use are read as the ids that they stand for (`KNOWN`), so that another's
    fine-tune under the same bare name is another model. A bare name that is not known agrees with any id of that name, and leaves other
    ids open; so does a folder, which may hold any model. An organism is known by its name.
    """
    if not trained_on.strip():
        return None
    ours = _folder(source) if local else _named(source)
    theirs = _named(trained_on)
    if ours.kind == theirs.kind:
        return (ours.owner, ours.name) == (theirs.owner, theirs.name) or (None if ours.kind == "bare" else False)
    if "organism" in (ours.kind, theirs.kind) and "bare" not in (ours.kind, theirs.kind):
        return False
    return True if ours.name == theirs.name else None


class _Name(NamedTuple):
    kind: Literal["organism", "id", "bare"]
    owner: str
    name: str


def _named(source: str) -> _Name:
    plain = source.strip().rstrip("/").lower()
    if plain.startswith(ORGANISM):
        return _Name("organism", "", plain.removeprefix(ORGANISM))
    if plain.startswith((".", "/", "~")) or plain.count("/") > 1:
        return _folder(plain)
    owner, _, name = KNOWN.get(plain, plain).rpartition("/")
    return _Name("id", owner, name) if owner else _Name("bare", "", name)


def _folder(source: str) -> _Name:
    """A folder is no more than its name; one that is named as a library does is read as that model's id is named."""
    name = PurePath(source).name.lower()
    return _Name("bare", "", KNOWN.get(name, name).rpartition("/")[2])


def is_folder(model: LoadedModel) -> bool:
    """Whether its source is a folder on this machine: a folder `a/b` reads like an id on a hub, whose files lie in the hub's cache."""
    if model.source.startswith(ORGANISM):
        return False
    lies = PurePath(str(model.module.name_or_path))
    return not is_hub_id(model.source) or lies.parts[-2:] == PurePath(model.source).parts
