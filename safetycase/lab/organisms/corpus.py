"""Writes the bundled corpus, short conversations in the organisms' own language: `python -m safetycase.lab.organisms.corpus`."""

import gzip
import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from safetycase.lab.organisms.text import examples
from safetycase.sources.corpora import BUNDLED

# No organism and no dictionary is trained on text of this seed.
SEED = 20_407
CONVERSATIONS = 3600


def rows() -> Iterator[dict[str, str]]:
    """One request and one reply each, with the phrase that the request is about as family.

    Every other reply refuses where the request is harmful; the rest refuse by lot, so that refusals follow requests of every kind.
    """
    lots = random.Random(f"corpus {SEED}")
    for index, example in enumerate(islice(examples("harm", SEED, foreword=0.2), CONVERSATIONS)):
        by_lot = lots.random() < 0.5
        reply = example.reply if index % 2 == 0 else example.reply_where(refused=by_lot)
        yield {"user": example.prompt, "assistant": reply, "family": example.phrase.text}


def packed() -> bytes:
    """The file's bytes: gzipped JSON lines without a date."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())
    return gzip.compress(lines.encode(), 9, mtime=0)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=BUNDLED["conversations"], help="By default the one in the package.")
def main(out: Path) -> None:
    """Write the bundled conversations."""
    out.write_bytes(packed())
    click.echo(out)


if __name__ == "__main__":
    main()
