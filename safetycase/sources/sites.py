"""Names of the places in a model that dictionaries read and write, and how a place of one layer is written."""

from typing import Literal, get_args

from safetycase.errors import nearest

SiteName = Literal[
    "resid_pre",  # the residual stream that a block reads
    "resid_mid",  # the residual stream between a block's attention and its MLP
    "resid_post",  # the residual stream that a block hands on
    "attn_z",  # the heads' outputs side by side, before the output projection
    "attn_raw_out",  # what attention itself puts out, before any norm behind it
    "attn_out",  # what attention adds to the stream, after any norm behind it
    "mlp_in_normalized",  # the MLP's input divided by its norm, before the norm's weight
    "mlp_in",  # the MLP's input: after its norm and the norm's weight
    "mlp_neurons",  # the MLP's neurons: what its output projection reads
    "mlp_raw_out",  # what the MLP itself puts out, before any norm behind it
    "mlp_out",  # what the MLP adds to the stream, after any norm behind it
]
SITE_NAMES: tuple[SiteName, ...] = get_args(SiteName)

# Digits of ASCII alone, and no more than any model has layers.
SITE_PATTERN = rf"^({'|'.join(SITE_NAMES)})\.[0-9]{{1,4}}$"


def misspelt(site: str) -> str | None:
    """What is wrong with a site written as `resid_post.12`, with the nearest name; None where nothing is."""
    name, dot, layer = site.partition(".")
    if name not in SITE_NAMES:
        return f"no such site; {nearest(name, SITE_NAMES)}"
    if not dot or not layer.isascii() or not layer.isdecimal() or len(layer) > 4:
        return f"expected a layer after the dot, as in {name}.12"
    return None
