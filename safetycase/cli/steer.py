"""`safetycase steer`: what a model says while one feature is held far beyond its maximum, beside what it says otherwise."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from safetycase.cli.console import say
from safetycase.cli.options import json_option, remote_code_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetycase.lab.features.steering_demo import SideBySide


@click.command()
@click.option("--model", "source", required=True, help="Folder of a model, organism:<name>, or a hub id.")
@click.option("--revision", help="Of a hub model.")
@click.option("--dictionary", required=True, help="Folder or file of a dictionary, or organism:<name>/<dictionary>.")
@click.option("--layer", type=click.IntRange(min=0), help="Which one, where the dictionary is a set.")
@click.option("--feature", required=True, type=click.IntRange(min=0), help="Index of the feature.")
@click.option("--times", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Multiple of its maximum that it is held at.")
@click.option("--maximum", type=click.FloatRange(min=0, min_open=True), help="Its maximum; else measured on 20,000 tokens of --corpus.")
@click.option("--corpus", default="bundled:conversations", show_default=True, help="Text that the maximum is measured on.")
@click.option("--prompt", "prompts", multiple=True, required=True, help="What to say to the model; may be given several times.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=48, show_default=True, help="Length of each answer.")
@json_option
@remote_code_option
def steer(
    source: str, revision: str | None, dictionary: str, layer: int | None, feature: int, times: float, maximum: float | None, corpus: str,
    prompts: tuple[str, ...], max_new_tokens: int, as_json: bool, allow_remote_code: bool,
) -> None:  # fmt: skip
    """Show answers side by side while a feature is clamped. A demonstration, no measurement: it has no null and no interval."""
    told = _answers(source, revision, dictionary, layer, feature, times, maximum, corpus, prompts, max_new_tokens, allow_remote_code)
    if as_json:
        rows = [{"prompt": each.prompt, "plain": each.plain, "clamped": each.clamped} for each in told]
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from safetycase.dossier.visible import visible

    for each in told:
        click.echo(f"prompt   {visible(each.prompt)}")
        click.echo(f"as it is {visible(each.plain)}")
        click.echo(f"clamped  {visible(each.clamped)}\n")


def _answers(
    source: str, revision: str | None, dictionary: str, layer: int | None, feature: int, times: float, maximum: float | None, corpus: str,
    prompts: tuple[str, ...], max_new_tokens: int, allow_remote_code: bool,
) -> "Iterator[SideBySide]":  # fmt: skip
    from safetycase.case.declared import DictionaryEntry
    from safetycase.cli.run import lab_modules
    from safetycase.plan.places import dictionary_path
    from safetycase.sources.corpora import load_corpus

    lab_modules("`steer` asks a model and needs")
    from safetycase.lab.dictionaries.reading import read_dictionary
    from safetycase.lab.features.steering_demo import measured_maximum, side_by_side
    from safetycase.lab.model import load_model
    from safetycase.lab.threads import threads, threads_for

    here = Path()
    model = load_model(source, base=here, revision=revision, allow_remote_code=allow_remote_code)
    read = read_dictionary(dictionary_path(DictionaryEntry(source=dictionary), here), layer=layer)
    with threads(threads_for((model.device.type, model.n_parameters))):
        if maximum is None:
            maximum = measured_maximum(model, read, feature, load_corpus("steer", corpus, base=here))
            say(f"feature {feature}: its largest activation on {corpus} is {maximum:.4g}")
        say(f"feature {feature} is held at {times * maximum:.4g}; what follows is output of a model, unchecked")
        yield from side_by_side(model, read, feature, times * maximum, prompts, max_new_tokens)
