"""An argument as YAML for gsn2x (jonasthewolf/gsn2x, version 4), which checks and draws goal structures on its own."""

from typing import Any

import yaml

from safetycase.case.goals import Argument, Node, NodeType
from safetycase.dossier import argued
from safetycase.dossier.visible import visible

_WIDTH = 120
"""Columns after which the YAML breaks a text."""


def gsn2x(argument: Argument) -> str:
    """One module with all elements. What gsn2x does not know are layers: `evidence_id`, `confidence`, `requirement`, `standing`, `status`.

    The same argument gives the same text.
    """
    elements: dict[str, Any] = {"module": _module(argument)}
    elements |= {node.id: _element(node) for node in argument.nodes}
    return yaml.safe_dump(elements, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _module(argument: Argument) -> dict[str, str]:
    """Name and brief are asked for; everything else is additional information, as text."""
    signed = argument.sign_off
    facts = {
        "name": argument.pattern.replace("-", "_"),
        "brief": argument.title,
        "about": argument.about,
        "pattern_sha256": argument.pattern_sha256,
        "author": signed.author,
        "reviewer": signed.reviewer or "none",
        "independence": signed.independence,
        "date": signed.date.isoformat() if signed.date else "none",
        "expires": argument.expires.isoformat() if argument.expires else "none",
        "invalidated_by": "; ".join(argument.invalidated_by),
        "breaches": "; ".join(f"rule {each.rule}{f', {each.node}' if each.node else ''}: {each.missing}" for each in argument.breaches),
    }
    return {name: _plain(text) for name, text in facts.items() if text}


def _element(node: Node) -> dict[str, Any]:
    said: dict[str, Any] = {"text": _plain("\n".join([node.text, *argued.measured(node)]))}
    if node.supported_by:
        said["supportedBy"] = list(node.supported_by)
    if node.in_context_of:
        said["inContextOf"] = list(node.in_context_of)
    if node.challenges:
        said["challenges"] = node.challenges[0] if len(node.challenges) == 1 else list(node.challenges)
    if node.undeveloped or (node.type is NodeType.DEFEATER and not node.counts_against):
        said["undeveloped"] = True
    if node.defeated:
        said["defeated"] = True
    return said | {name: _plain(text) for name, text in _layers(node).items() if text}


def _layers(node: Node) -> dict[str, str]:
    """Further views on the element, each a text."""
    assured, reply = node.confidence, node.reply
    return {
        "evidence_id": "; ".join(f"{each.step}:{each.findings_sha256}" for each in node.evidence),
        "enters": "; ".join(dict.fromkeys(each.enters for each in node.evidence)),
        "claims": "; ".join(claim for each in node.evidence for claim in each.claims),
        "standing": argued.standing(node),
        "confidence": f"{assured.word.value}: {assured.rationale}" if assured else "",
        "status": f"{reply.status}; owner {reply.owner}{f'; {reply.reason}' if reply.reason else ''}" if reply else "",
        "requirement": "; ".join(node.requirements),
    }


def _plain(text: str) -> str:
    """Untrusted text for another tool's drawing: nothing hidden in it, one paragraph per line."""
    return "\n".join(" ".join(visible(line).split()) for line in text.split("\n"))
