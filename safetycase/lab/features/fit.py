"""Whether a dictionary can be documented and edited on a model."""

from safetycase.errors import ModelError
from safetycase.lab.dictionaries.dictionary import Dictionary
from safetycase.lab.model import LoadedModel
from safetycase.lab.site_access import site_width


def check_fit(model: LoadedModel, dictionary: Dictionary, where: str) -> None:
    """It writes to one site, and its sites exist on the model and are as wide as it says.

    Raises ModelError, which begins with `where`, if not.
    """
    if len(dictionary.writes) > 1:
        raise ModelError(
            f"{where}: it is one layer of a cross-layer transcoder, which writes to {len(dictionary.writes)} layers; "
            "expected an autoencoder or a transcoder that writes to one"
        )
    for site, width in ((dictionary.reads, dictionary.d_in), (dictionary.writes[0], dictionary.d_out)):
        found = site_width(model, site)
        if found != width:
            raise ModelError(f"{where}: it is {width} wide at {site}, where {model.source} is {found} wide: another model's")
