"""What the tool itself read or recorded of a model, by the names that slots of requirement packs give it."""

from safetycase.case.judged import JudgedCase, JudgedModel


def recorded_facts(case: JudgedCase) -> tuple[dict[str, str], dict[str, str]]:
    """Facts that the tool read or recorded, and what the model's own files say unverified; empty texts are left out."""
    model = case.subject
    found = {**(_of_model(model) if model else {}), **_of_runs(case)}
    return {name: text for name, text in found.items() if text}, dict(model.facts) if model else {}


def declared_facts(case: JudgedCase) -> dict[str, str]:
    """What the plan says of facts that people attest, by the ids of the facts; empty texts are left out."""
    model, engagement = case.subject, case.engagement
    said = {
        "intended_uses": case.case.intended_use,
        "intended_purpose": case.case.intended_use,
        "provider_legal_name": case.provider.name,
        "provider_contact": case.provider.contact,
        "model_name": f"{model.source}{f' at {model.revision}' if model.revision else ''}" if model else "",
        "evaluator_access": "; ".join(
            (*(f"given: {each}" for each in engagement.access_given), *(f"refused: {each}" for each in engagement.access_refused))
        ),
        **dict.fromkeys(("input_modalities", "output_modalities"), "text, by the architecture" if model and _is_causal(model) else ""),
        "documentation_retention": f"until {engagement.retain_until.isoformat()}" if engagement.retain_until else "",
    }
    return {fact: text for fact, text in said.items() if text}


def _of_model(model: JudgedModel) -> dict[str, str]:
    if model.weights_sha256 is None:
        return {}
    layers, window = (model.facts.get(f"config.{name}", "") for name in ("layers", "context_window"))
    size = f"{model.n_parameters:,} parameters" if model.n_parameters is not None else ""
    return {
        "architecture": f"{model.architecture}{f', {layers} layers by its configuration' if layers else ''}{f', {size}' if size else ''}",
        "parameters": size,
        "weights_digest": f"sha256 {model.weights_sha256}",
        "number_format": model.dtype,
        "context_window": f"{window} (read from the configuration)" if window else "",
        "modalities": "text in, text out (read from the architecture, a causal language model)" if _is_causal(model) else "",
    }


def _is_causal(model: JudgedModel) -> bool:
    return model.architecture.endswith(("ForCausalLM", "LMHeadModel"))


def _of_runs(case: JudgedCase) -> dict[str, str]:
    made = [step.circumstances for step in case.steps if step.circumstances is not None]
    packages = sorted({f"{name} {version}" for each in made for name, version in each.packages.items()})
    devices = sorted({f"{each.device_name}, {each.threads} threads" for each in made})
    answered = [step for step in case.steps if step.findings_sha256]
    reports = "; ".join(f"step {step.id}: sha256 {step.findings_sha256}" for step in answered)
    return {
        "software": f"of the analysis: {', '.join(packages)}, safetycase {case.tool_version}" if made else "",
        "hardware": f"of the analysis: {'; '.join(devices)}" if made else "",
        "plan_digest": f"plan sha256 {case.plan_digest}, first run {case.plan_declared}" if case.plan_declared else "",
        "test_reports": f"findings as sealed: {reports}" if reports else "",
        "versions": f"plan sha256 {case.plan_digest}; {len(case.attempts)} attempts recorded in this case" if case.attempts else "",
    }
