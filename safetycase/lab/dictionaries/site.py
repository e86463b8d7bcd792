"""Where in a model a dictionary reads and writes: a named site of one layer, and what other libraries call it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from safetycase.errors import ModelError
from safetycase.sources.sites import SiteName, misspelt


@dataclass(frozen=True, order=True, slots=True)
class Site:
    """A place in a model; written `resid_post.12`."""

    name: SiteName
    layer: int

    def __str__(self) -> str:
        return f"{self.name}.{self.layer}"


def parse_site(text: str) -> Site:
    """The site of `resid_post.12`; raises ModelError with the nearest name."""
    problem = misspelt(text)
    if problem is not None:
        raise ModelError(f"site {text!r}: {problem}")
    name, _, layer = text.partition(".")
    return Site(cast(SiteName, name), int(layer))


def site_of_hook(hook: str, *, end: Literal["input", "output"] = "output") -> Site:
    """The site of a hook as TransformerLens, transformers (module paths) or circuit-tracer name it.

    `end` says which end of a module a bare module path means; a path that ends in `.input` or `.output` says so itself.
    Raises ModelError for a name that is not known: a site is never guessed.
    """
    for pattern, found in _HOOKS.items():
        match = re.fullmatch(pattern, hook)
        if match:
            return Site(found, int(match[1]))
    for pattern, ends in _MODULES.items():
        match = re.fullmatch(pattern, hook)
        if match:
            which = match[2].removeprefix(".") if match[2] else end
            name = ends.get(which)
            if name is not None:
                return Site(name, int(match[1]))
    raise ModelError(f"hook {hook!r}: not a hook whose site is known; name the site in the plan (`reads:` and `writes:`)")


# TransformerLens.
_HOOKS: Mapping[str, SiteName] = {
    r"blocks\.(\d+)\.hook_resid_pre": "resid_pre",
    r"blocks\.(\d+)\.hook_resid_mid": "resid_mid",
    r"blocks\.(\d+)\.hook_resid_post": "resid_post",
    r"blocks\.(\d+)\.attn\.hook_z": "attn_z",
    r"blocks\.(\d+)\.hook_attn_out": "attn_out",
    r"blocks\.(\d+)\.ln2\.hook_normalized": "mlp_in_normalized",
    r"blocks\.(\d+)\.mlp\.hook_in": "mlp_in",
    r"blocks\.(\d+)\.hook_mlp_in": "resid_mid",  # a copy of the stream, before the norm
    r"blocks\.(\d+)\.mlp\.hook_post": "mlp_neurons",
    r"blocks\.(\d+)\.mlp\.hook_out": "mlp_raw_out",  # the module's own output; hook_mlp_out stands after a norm behind it
    r"blocks\.(\d+)\.hook_mlp_out": "mlp_out",
}

_STACK = r"(?:model\.|transformer\.|gpt_neox\.|language_model\.)*(?:layers|h)\.(\d+)"
_END = r"(\.input|\.output)?"
# Module paths of transformers and of sparsify; which end of the module a dictionary reads decides.
_MODULES: Mapping[str, Mapping[str, SiteName]] = {
    _STACK + _END: {"input": "resid_pre", "output": "resid_post"},
    _STACK + r"\.(?:self_attn|attn|attention)" + _END: {"output": "attn_raw_out"},
    _STACK + r"\.mlp" + _END: {"input": "mlp_in", "output": "mlp_raw_out"},
    _STACK + r"\.(?:self_attn\.o_proj|attn\.c_proj|attention\.dense)" + _END: {"input": "attn_z", "output": "attn_raw_out"},
    _STACK + r"\.mlp\.(?:down_proj|c_proj|dense_4h_to_h)" + _END: {"input": "mlp_neurons", "output": "mlp_raw_out"},
    _STACK + r"\.pre_feedforward_layernorm" + _END: {"input": "resid_mid", "output": "mlp_in"},
    _STACK + r"\.post_feedforward_layernorm" + _END: {"input": "mlp_raw_out", "output": "mlp_out"},
}
