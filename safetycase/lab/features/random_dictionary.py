"""A dictionary of random directions, beside which one that was trained has to stand out."""

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.dictionaries.dictionary import Dictionary, TopK
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.null_directions import generator


def random_dictionary(n_features: int, site: Site, centre: Float[Tensor, "d"], active: float, seed: int, *, signed: bool) -> Dictionary:
    """So many random unit directions at a site; of each token, less `centre`, the k that project furthest fire, k being `active` rounded.

    Furthest in absolute value where `signed`; else only projections above 0 count (of many directions about half: beyond that share
    fewer than k fire). The directions are the same for one seed and width.
    """
    drawn = torch.randn(n_features, len(centre), generator=generator(seed, "random dictionary", 0))
    directions = (drawn / drawn.norm(dim=-1, keepdim=True)).to(centre)
    return Dictionary(
        W_enc=directions,
        b_enc=directions.new_zeros(n_features),
        W_dec=directions.unsqueeze(1),
        b_dec=centre,
        activation=TopK(min(n_features, max(1, round(active))), signed=signed),
        reads=site,
        writes=(site,),
        subtracts_b_dec=True,
    )
