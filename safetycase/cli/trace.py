"""`safetycase trace`: the attribution graph of one prompt, its scores, and files that other tools read."""

import json
import re
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from safetycase.cli.console import say
from safetycase.cli.options import json_option, remote_code_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safetycase.evidence.graphs.graph import AttributionGraph
    from safetycase.evidence.graphs.pruning import Pruned
    from safetycase.lab.attribution.circuit_tracer_files import UnifiedConfig
    from safetycase.lab.attribution.frozen_pass import FrozenPass
    from safetycase.lab.attribution.reconstructed import Reconstructed
    from safetycase.lab.attribution.targets import TargetVector, TopLogits
    from safetycase.lab.dictionaries.dictionary import DictionarySet
    from safetycase.lab.model import LoadedModel

SHARE = click.FloatRange(0, 1)
BEGINNING = 128
"""Tokens of a longer prompt that tell how many features will be active, before all of it is run."""
OF_TRACING = (
    "revision", "chat", "target", "max_logits", "logit_mass", "plus", "minus", "vector", "site", "position", "max_features", "other_model",
)  # fmt: skip
"""What says how a graph is traced."""


@click.command()
@click.option("--model", "source", help="Folder of a model, organism:<name>, or a hub id.")
@click.option("--revision", help="Of a hub model.")
@click.option("--dictionaries", help="Folder of transcoders, one per layer or cross-layer, or organism:<name>/<dictionary>.")
@click.option("--prompt", help="The text whose continuation is traced.")
@click.option(
    "--graph", "made", type=click.Path(path_type=Path, dir_okay=False),
    help="Instead of model, dictionaries and prompt: a graph made before, circuit-tracer's .pt or a graph.safetensors.",
)  # fmt: skip
@click.option("--chat/--no-chat", help="Put the prompt into the model's chat format.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write into.")
@click.option(
    "--target", type=click.Choice(["logits", "difference", "log-odds", "direction"]), default="logits", show_default=True,
    help="What is traced: the likeliest next tokens; --plus less --minus; log-odds of --plus, to first order; --vector at --site.",
)  # fmt: skip
@click.option("--max-logits", type=click.IntRange(min=1), default=10, show_default=True, help="Of the likeliest next tokens, how many.")
@click.option("--logit-mass", type=SHARE, default=0.95, show_default=True, help="Or as many as hold this share of the probability.")
@click.option("--plus", multiple=True, help="A text that is one token; may be given several times.")
@click.option("--minus", multiple=True, help="A text that is one token; may be given several times.")
@click.option("--vector", type=click.Path(path_type=Path, dir_okay=False), help="A safetensors file with one vector, as wide as the model.")
@click.option("--site", help="Where the vector is read: final_norm, or a site such as resid_pre.2.")
@click.option("--position", type=int, default=-1, show_default=True, help="At which token; negative ones count from the end.")
@click.option("--max-features", type=click.IntRange(min=1), help="Trace this many active features, the most influential ones.")
@click.option("--node-threshold", type=SHARE, default=0.8, show_default=True, help="Share of influence that kept nodes hold.")
@click.option("--edge-threshold", type=SHARE, default=0.98, show_default=True, help="Share of edge scores that kept edges hold.")
@click.option(
    "--random-subgraphs",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Drawn to stand beside the kept one; no test: what is kept was chosen by what scores measure.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of these draws.")
@click.option("--slug", default="graph", show_default=True, help="Names the Neuronpedia graph, and its file.")
@click.option("--neuronpedia/--no-neuronpedia", default=True, show_default=True, help="Write <slug>.json and graph-metadata.json.")
@click.option("--pt/--no-pt", help="Also write graph.pt, which circuit-tracer reads; takes 4 bytes for each pair of nodes.")
@click.option("--other-model/--no-other-model", help="Go on where the dictionaries say that they belong to another model.")
@json_option
@remote_code_option
def trace(out: Path, as_json: bool, slug: str, neuronpedia: bool, pt: bool, **given: Any) -> None:
    """Trace how a model comes to its next token: one attribution graph, a hypothesis with its scores.

    Writes graph.safetensors and, for other tools, Neuronpedia's JSON. The scores say how much of the computation the
    graph accounts for; only interventions say whether it is right. Random subgraphs give no p: features are kept by the
    influence that scores measure, so that they score above random ones all but surely.
    """
    if not re.fullmatch(r"[\w.-]+", slug) or slug.startswith(".") or slug == "graph-metadata":
        raise click.UsageError(f"--slug {slug!r}: expected letters, digits, hyphens, underscores and dots")
    _check_given(given)
    if pt and given["made"] is not None and given["made"].suffix == ".safetensors":
        raise click.UsageError("--pt: a graph.safetensors does not hold the configuration of its model, which circuit-tracer asks for")
    from safetycase.evidence.graphs.files import write_graph
    from safetycase.evidence.graphs.pruning import prune
    from safetycase.evidence.graphs.scores import influence, scores
    from safetycase.evidence.store import Store

    with Store(out).writing(out):
        out.mkdir(parents=True, exist_ok=True)
    graph, about = _read(given["made"]) if given["made"] else _traced(given)
    found = influence(graph)
    scored = scores(graph, found)
    pruned = prune(graph, given["node_threshold"], given["edge_threshold"], found)
    files = [write_graph(out / "graph.safetensors", graph, pruned, scored)]
    if neuronpedia:
        files.append(_write_neuronpedia(out, slug, graph, pruned, about))
    if pt:
        files.append(_write_pt(out, graph, about))
    told = scored._asdict() | _of_transcoders(about) | _counts(graph, pruned)
    told |= _beside_random(graph, pruned, given["random_subgraphs"], given["seed"])
    _say(told, graph)
    click.echo(json.dumps(told, indent=1, allow_nan=False) if as_json else "\n".join(map(str, files)))


class _About(NamedTuple):
    """What of a graph's origin its files are told."""

    scan: str
    """The model, as the dictionaries name it."""
    transcoders: tuple[str, ...]
    settings: dict[str, str | int | float]
    config: "UnifiedConfig | None" = None
    """What circuit-tracer keeps of a model; None of a graph made before."""
    same_model: bool | None = None
    """Whether the dictionaries' files name this model; None where names leave it open."""
    reconstructed: "Reconstructed | None" = None
    """None of a graph made before: it does not hold what the MLPs wrote."""


def _check_given(given: dict[str, Any]) -> None:
    """A graph, or all that it is made of; what a target needs, and what none of it takes."""
    asked = [given[name] is not None for name in ("source", "dictionaries", "prompt")]
    if any(asked) if given["made"] else not all(asked):
        raise click.UsageError("expected --model, --dictionaries and --prompt, or --graph alone")
    if given["made"]:
        _refuse_of_tracing()
    needs = {"logits": (), "difference": ("plus", "minus"), "log-odds": ("plus",), "direction": ("vector", "site")}[given["target"]]
    for option in ("plus", "minus", "vector", "site"):
        if bool(given[option]) != (option in needs):
            what = "needs" if option in needs else "takes no"
            raise click.UsageError(f"--target {given['target']} {what} --{option}")


def _refuse_of_tracing() -> None:
    """A graph made before keeps its target and its features: an option that would change them is refused, not left aside."""
    context = click.get_current_context()
    for name in OF_TRACING:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--graph takes no --{name.replace('_', '-')}: a graph made before is not traced again")


def _read(path: Path) -> "tuple[AttributionGraph, _About]":
    """A graph made before. A safetensors file needs no torch; a .pt is mapped by it, and nothing that it holds is run."""
    if path.suffix == ".safetensors":
        from safetycase.evidence.graphs.reading import read_graph

        return read_graph(path).graph, _About("unknown", (), {"read_from": path.name})
    from safetycase.cli.run import lab_modules

    lab_modules("a .pt is read with torch and needs")
    from safetycase.lab.attribution.circuit_tracer_files import read_circuit_tracer_graph

    found = read_circuit_tracer_graph(path)
    return found.graph, _About(PurePath(found.model).name or "unknown", found.scan, {"read_from": path.name}, found.config)


def _traced(given: dict[str, Any]) -> "tuple[AttributionGraph, _About]":
    """The graph of a prompt."""
    from safetycase.cli.run import lab_modules

    lab_modules("`trace` asks a model and needs")
    from safetycase.lab.attribution.circuit_tracer_files import config_of

    model, dictionaries, same = _loaded(given)
    settings: dict[str, str | int | float] = {"target": given["target"]}
    if given["target"] == "logits":
        settings |= {"max_n_logits": given["max_logits"], "desired_logit_prob": given["logit_mass"]}
    if given["max_features"]:
        settings["max_feature_nodes"] = given["max_features"]
    scan = dictionaries.trained_on or PurePath(given["source"]).name
    graph, given_back = _graph(model, dictionaries, given, same)
    return graph, _About(scan, (_name(given["dictionaries"]),), settings, config_of(model), same, given_back)


def _loaded(given: dict[str, Any]) -> "tuple[LoadedModel, DictionarySet, bool | None]":
    """Model and dictionaries, and whether these say that they are its own."""
    from safetycase.case.declared import DictionaryEntry
    from safetycase.errors import ModelError
    from safetycase.lab.dictionaries.reading import read_dictionary_set
    from safetycase.lab.features.same_model import is_folder, same_model
    from safetycase.lab.model import load_model
    from safetycase.plan.places import dictionary_path

    here, source, where = Path(), given["source"], given["dictionaries"]
    dictionaries = read_dictionary_set(dictionary_path(DictionaryEntry(source=where), here))
    model = load_model(source, base=here, revision=given["revision"], dtype="float32", allow_remote_code=given["allow_remote_code"])
    same = same_model(source, dictionaries.trained_on, local=is_folder(model))
    if not given["other_model"] and same is False:
        raise ModelError(f"{where}: its files say that it belongs to {dictionaries.trained_on!r}, expected {source!r}; or --other-model")
    return model, dictionaries, same


def _graph(
    model: "LoadedModel", dictionaries: "DictionarySet", given: dict[str, Any], same: bool | None
) -> "tuple[AttributionGraph, Reconstructed]":
    """The graph, and what the dictionaries give back; memory and time are told before, and refused where they are too much."""
    from safetycase.lab.attribution.attribute import attribute_pass
    from safetycase.lab.attribution.frozen_pass import frozen_pass
    from safetycase.lab.attribution.preflight import bytes_words, estimate, refuse_beyond, time_words
    from safetycase.lab.attribution.prompt_tokens import prompt_tokens
    from safetycase.lab.attribution.reconstructed import reconstructed
    from safetycase.lab.threads import threads, threads_for

    tokens = prompt_tokens(model, given["prompt"], chat=given["chat"])
    with threads(threads_for((model.device.type, model.n_parameters))):
        if len(tokens) > 2 * BEGINNING:
            few = len(frozen_pass(model, dictionaries, tokens[:BEGINNING]).features)
            refuse_beyond(None, model, dictionaries, len(tokens), few * len(tokens) // BEGINNING, given["max_features"])
        pass_ = frozen_pass(model, dictionaries, tokens)
        targets = _targets(pass_, given)
        active = len(pass_.features)
        refuse_beyond(None, model, dictionaries, len(tokens), active, given["max_features"])
        takes = estimate(model, dictionaries, len(tokens), active, given["max_features"])
        memory = bytes_words(takes.memory_bytes)
        say(f"{len(tokens)} tokens, {active:,} active features; a graph takes about {memory} and {time_words(takes.seconds)}")
        given_back = reconstructed(pass_)
        _say_whose(given_back, same)
        graph = attribute_pass(pass_, targets, max_features=given["max_features"])
    return graph if given["chat"] else replace(graph, prompt=given["prompt"]), given_back


def _say_whose(found: "Reconstructed", same: bool | None) -> None:
    """What speaks for the dictionaries being this model's: names, and how much of it they give back."""
    if same is None:
        say("the dictionaries: it could not be checked whether they belong to this model, for no name tells")
    if found.total is None:
        say("the dictionaries: on this prompt nothing varies that they could reconstruct")
        return
    layers = ", ".join("none" if share is None else f"{share:.0%}" for share in found.by_layer)
    say(f"the dictionaries reconstruct {found.total:.0%} of the variance of what MLPs write on this prompt; by layer {layers}")
    if found.total < 0:
        say("warning: this is worse than the mean over the prompt: they may well belong to another model, and the graph to neither")


def _targets(pass_: "FrozenPass", given: dict[str, Any]) -> "Sequence[TargetVector] | TopLogits":
    from safetycase.lab.attribution.targets import TopLogits, direction, log_odds_gradient, logit_difference

    match given["target"]:
        case "difference":
            return [logit_difference(pass_, _one_token(pass_, given["plus"]), _one_token(pass_, given["minus"]))]
        case "log-odds":
            return [log_odds_gradient(pass_, _one_token(pass_, given["plus"]))]
        case "direction":
            return [direction(pass_, _vector(given["vector"]), given["site"], given["position"], label=given["vector"].stem)]
        case _:
            return TopLogits(given["max_logits"], given["logit_mass"])


def _one_token(pass_: "FrozenPass", texts: "Sequence[str]") -> list[int]:
    """The ids of texts that are one token each; raises ModelError."""
    from safetycase.errors import ModelError

    found: list[int] = []
    for text in texts:
        ids = pass_.model.tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            pieces = pass_.model.tokenizer.convert_ids_to_tokens(ids)
            raise ModelError(f"target {text!r}: found {len(ids)} tokens {pieces}, expected a text that is one token")
        if ids[0] == pass_.model.tokenizer.unk_token_id and text != pass_.model.tokenizer.unk_token:
            raise ModelError(f"target {text!r}: the model's tokenizer does not know it, expected a text that is one token")
        found += ids
    return found


def _vector(path: Path) -> Any:
    """The one vector of a safetensors file; raises SourceError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from safetycase.errors import SourceError

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as problem:
        raise SourceError(f"{path}: cannot be read as safetensors: {problem}") from problem
    if len(tensors) != 1:
        raise SourceError(f"{path}: holds {len(tensors)} tensors, expected one vector")
    (vector,) = tensors.values()
    if vector.dim() != 1 or not bool(vector.float().isfinite().all()):
        raise SourceError(f"{path}: shape {list(vector.shape)}, expected one vector of finite numbers")
    return vector.float()


def _write_neuronpedia(out: Path, slug: str, graph: "AttributionGraph", pruned: "Pruned", about: _About) -> Path:
    from safetycase.dossier.exports.neuronpedia_graph import GraphNames, write_neuronpedia_graph

    return write_neuronpedia_graph(out, graph, pruned, GraphNames(slug, about.scan, about.transcoders, settings=about.settings))


def _write_pt(out: Path, graph: "AttributionGraph", about: _About) -> Path:
    from safetycase.lab.attribution.circuit_tracer_files import write_circuit_tracer_graph

    assert about.config is not None, "a graph.safetensors was refused before"
    return write_circuit_tracer_graph(out / "graph.pt", graph, about.config, about.transcoders)


def _name(source: str) -> str:
    """A name of dictionaries that says nothing of the machine: of a folder its own name alone."""
    return source if source.startswith("organism:") else PurePath(source).name


def _of_transcoders(about: _About) -> dict[str, Any]:
    return {"same_model": about.same_model, "reconstructed": None if about.reconstructed is None else about.reconstructed._asdict()}


def _counts(graph: "AttributionGraph", pruned: "Pruned") -> dict[str, int]:
    return {
        "tokens": graph.n_positions,
        "targets": len(graph.targets),
        "active_features": len(graph.active_features),
        "features": graph.n_features,
        "nodes": graph.size,
        "nodes_kept": int(pruned.node_mask.sum()),
        "features_kept": int(pruned.node_mask[: graph.n_features].sum()),
        "errors_kept": int(pruned.node_mask[graph.errors].sum()),
        "edges_kept": len(pruned.edges),
    }


def _beside_random(graph: "AttributionGraph", pruned: "Pruned", n: int, seed: int) -> dict[str, Any]:
    """The kept features as a subgraph, beside random ones of its size by layer."""
    from safetycase.evidence.graphs.random_subgraphs import random_subgraph_scores

    if not n:
        return {"random_subgraphs": None}
    found = random_subgraph_scores(graph, pruned.node_mask[: graph.n_features], n, seed)
    told: dict[str, Any] = {"n": n, "seed": seed}
    for name in ("replacement", "completeness"):
        kept, drawn = getattr(found.chosen, name), getattr(found, name)
        told[name] = {
            "kept": kept,
            "mean": float(drawn.mean()),
            "low": float(drawn.min()),
            "high": float(drawn.max()),
            "percentile": float(100 * (drawn < kept).mean()),
        }
    return {"random_subgraphs": told}


def _say(told: dict[str, Any], graph: "AttributionGraph") -> None:
    say(f"replacement {told['replacement']:.3f}, completeness {told['completeness']:.3f}, error share {told['error_share']:.3f}")
    if told["exactness"] is not None:
        say(f"{told['unattributed_share']:.1%} of what drives the graph is in no node; edge sums are exact to {told['exactness']:.1e}")
    kept = f"kept {told['nodes_kept']:,} of {graph.size:,} nodes and {told['edges_kept']:,} edges"
    beside = told["random_subgraphs"]
    if beside is None:
        say(kept)
        return
    scored = beside["replacement"]
    say(
        f"{kept}; as a subgraph they score {scored['kept']:.3f} (replacement), {told['random_subgraphs']['n']} random ones of equal size"
        f" {scored['low']:.3f} to {scored['high']:.3f}, as is to be expected: they were kept for what the score measures"
    )
