"""One dictionary as its files describe it, before its weights are read: what it reads and writes, and how to read it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.dictionaries.site import Site, site_of_hook

Load = Callable[[Site, tuple[Site, ...], torch.device | str, torch.dtype], Dictionary]
"""Reads the weights, given the agreed sites, a device and a precision."""


@dataclass(frozen=True)
class SaidSite:
    """What files say of one site: none, one, or two that contradict each other."""

    sites: tuple[Site, ...]
    words: str
    """As it stands in the files, for an error line."""

    def agreed(self, declared: Site | None, end: str, where: Path) -> Site:
        """The site, from the files or declared; raises ModelError where neither says it, or where they disagree."""
        said = ", ".join(map(str, self.sites))
        if declared is not None and self.sites and declared not in self.sites:
            raise ModelError(f"{where}: `{end}: {declared}` is declared, but its files say {self.words} ({said})")
        if declared is not None:
            return declared
        if len(self.sites) != 1:
            raise ModelError(
                f"{where}: which site it {end} cannot be told ({self.words}), expected `{end}:` to name it, as in resid_post.12"
            )
        return self.sites[0]


@dataclass(frozen=True)
class PublishedDictionary:
    """One dictionary of a folder, unread."""

    where: Path
    reads: SaidSite
    writes: SaidSite | None
    """None for an autoencoder, which writes where it reads."""
    load: Load
    above: tuple[Site, ...] = ()
    """Of a cross-layer transcoder: the sites that it writes beyond the first."""
    may_be_either: bool = False
    """Its files do not say whether it is an autoencoder: without a declared output it is one."""
    cross_layer: bool = False

    def sites(self, reads: Site | None, writes: Site | None) -> tuple[Site, tuple[Site, ...]]:
        """What it reads and writes, as its files and the declaration agree; raises ModelError where they do not."""
        source = self.reads.agreed(reads, "reads", self.where)
        if self.may_be_either and writes is not None:
            return source, (writes,)
        if self.writes is None:
            if writes not in (None, source):
                raise ModelError(f"{self.where}: `writes: {writes}` is declared, but an autoencoder writes where it reads ({source})")
            return source, (source,)
        return source, (self.writes.agreed(writes, "writes", self.where), *self.above)


def said_site(hooks: dict[str, str], *, end: str = "output") -> SaidSite:
    """What hooks, by the name of the entry that holds each, say of one site."""
    assert end in ("input", "output")
    found: dict[str, Site] = {}
    for entry, hook in hooks.items():
        try:
            found[entry] = site_of_hook(hook, end="input" if end == "input" else "output")
        except ModelError:
            continue
    words = ", ".join(f"{entry}: {hook!r:.100}" for entry, hook in hooks.items()) or "they name no hook"
    return SaidSite(tuple(dict.fromkeys(found.values())), words)
