"""What a circuit trace does not show, in sentences that the dossier prints as they stand."""

from collections.abc import Iterator

from safetycase.evidence.estimates import Estimates
from safetycase.evidence.kinds.circuit_trace.interventions import Interventions
from safetycase.evidence.kinds.circuit_trace.names import GRAPHED
from safetycase.evidence.kinds.circuit_trace.observed import HALVES, Observed
from safetycase.evidence.kinds.circuit_trace.params import Read
from safetycase.evidence.kinds.circuit_trace.recurrence import Circuit

STANDING = (
    "Log-odds score the first token of the answer alone; a refusal that begins otherwise, or that comes later, is not seen by them.",
    "That a test does not pass shows nothing of the opposite: a circuit that cannot be told from random ones may still take part, and that "
    "none was found does not show that there is none.",
    "How often this instrument is right has not yet been measured for this kind of evidence: its verdicts stand as uncalibrated.",
)
OF_GRAPHS = (
    "A trace is a hypothesis about how refusal comes about, not the mechanism: it explains the share of the computation that the scores "
    "say, and error nodes stand for the rest.",
    "Attention patterns and the scales of norms are held as they were: why the model attends where it does is not explained, and a "
    "mechanism that works through attention patterns is not in the graph.",
    "Part of what nodes read is carried by no node (decoder biases, biases of the model, positions without nodes); the unattributed share "
    "says how much.",
    "Graphs show direct effects of features as these transcoders have them; others, from another seed or of another width, give other "
    "features and other graphs.",
    "A pruned graph keeps what most influence runs through: that it scores above random subgraphs of its size says that it was well "
    "chosen, not that it is the circuit.",
)
OF_MEMBERS = (
    "Members are features that recur more on harmful prompts than on the harmless ones matched to them: machinery that both share is "
    "not among them, however much refusal rests on it.",
    "Positions are aligned by their role in the prompt alone; within the instruction, features are pooled over all of its positions.",
    "How often members recur on discovery prompts is what they were chosen by, and flatters them; the difference on confirmation "
    "prompts does not.",
    "Labels, tokens that a member raises and names of supernodes are hypotheses in words; supernodes were grouped by a rule, and no test "
    "rests on them.",
)
OF_ABLATION = (
    "Features are ablated while the transcoders' errors stay in place: what the errors carry of refusal is still there when a circuit is "
    "ablated, and when everything but the circuit is.",
    "Necessity and completeness read the same ablation: they differ in what the fall is measured against, and are no independent pieces "
    "of evidence.",
    "Random circuits are matched by layer, role and number of features, and by halves of strength and recurrence, not by meaning: some "
    "of their features may truly take part, members among them, which makes the tests stricter.",
    "Part of what is explained of the change over confirmation prompts of both classes is the difference between harmful and harmless "
    "ones, which any predictor that tells them apart explains too: the mean of the class beside it shows how much, and what is explained "
    "within a class is free of it.",
)
OF_PATCHING = (
    "Patching the residual stream at one layer and role moves all that is there at once: it shows where the difference between two "
    "prompts passes, not what it is. At the first layer the instruction's state is its words: a share near 1 there is the prompt itself.",
    "Every patched cell was tried; the one that is named was chosen on discovery pairs and measured on confirmation pairs.",
)
OF_EDGES = (
    "Edges of heads and MLPs are ranked by attribution, a first-order estimate; what circuits of them carry is measured exactly, with "
    "edges left out carrying what they carry on the matched harmless prompt (interchange ablation): what both prompts share is in no "
    "circuit, and another kind of ablation gives another curve.",
    "Random circuits of edges have as many edges between the same layers, and need not be connected as the ranked ones are.",
)
FEW_PAIRS, FEW_FAMILIES = 32, 10
HALF = 0.5


def limitations(seen: Observed, circuit: Circuit, made: Interventions, estimates: Estimates, read: Read) -> tuple[str, ...]:
    """The standing sentences, and those that this observation calls for."""
    return (
        *STANDING,
        *_of_graphs(seen, estimates),
        *_of_target(seen),
        *_of_transcoders(seen),
        *_of_reconstruction(seen, estimates),
        *_of_circuit(seen, circuit, made, read),
        *(OF_PATCHING if seen.tables.has("patching") else ()),
        *(OF_EDGES if seen.tables.has("edge_curve") else ()),
        *_of_size(seen),
        *_of_import(seen),
    )


def _of_graphs(seen: Observed, estimates: Estimates) -> Iterator[str]:
    if not seen.tables.has("graphs"):
        return
    yield from OF_GRAPHS
    shares = {population: estimates.found.get(f"error_share.{population}.graph") for population in GRAPHED}
    told = [f"{share.value:.0%} on {population} prompts" for population, share in shares.items() if share is not None]
    if told:
        yield f"Errors of the transcoders carry on average {' and '.join(told)} of the influence on the target: this much is not explained."


def _of_target(seen: Observed) -> Iterator[str]:
    target = seen.setup["target"]
    if not seen.tables.has("graphs") or target is None:
        return
    match target["kind"]:
        case "log-odds":
            yield (
                "Graphs are traced from the gradient of the refusal log-odds at each prompt, which is first-order: far from where the "
                "prompt stands the log-odds may change otherwise."
            )
        case "token-difference":
            yield (
                "Graphs are traced from the mean logit of refusal tokens less that of compliance tokens, which is not the refusal log-odds "
                "that interventions are measured by."
            )
        case _:
            yield (
                "Graphs are traced from a direction in the residual stream: what turns it into a refusal in later layers is not in them, "
                "and interventions are measured by refusal log-odds."
            )


def _of_transcoders(seen: Observed) -> Iterator[str]:
    facts, same = seen.setup["transcoders"], seen.setup["same_model"]
    if facts is None:
        return
    trained_on = facts["trained_on"]
    if same is False:
        yield (
            f"The transcoders' files say that they were trained on {trained_on}, another model than the one assessed: they were "
            "measured on the assessed model, and what their authors report of them need not hold here."
        )
    elif same is None:
        yield (
            f"The transcoders' files name {trained_on} as their model; whether that is the model assessed, the names do not tell."
            if trained_on
            else "The transcoders' files do not say which model they were trained on."
        )
    if facts["cross_layer"]:
        yield "Features of a cross-layer transcoder write to several layers: ablating one takes away what it writes to all of them."


def _of_reconstruction(seen: Observed, estimates: Estimates) -> Iterator[str]:
    """Where it is not known that the transcoders are this model's, and where what they give back speaks against it."""
    share = estimates.found.get("reconstructed.harmful.graph")
    if share is None:
        return
    given = f"On harmful prompts the transcoders reconstruct {share.value:.0%} of the variance of what the model's MLPs write"
    if share.high < HALF:
        yield f"{given}, less than half: graphs describe a model that computes otherwise than the one assessed."
    elif seen.setup["same_model"] is not True:
        yield f"{given}: how well they fit the model assessed is known by this share alone."


def _of_circuit(seen: Observed, circuit: Circuit, made: Interventions, read: Read) -> Iterator[str]:
    if not circuit.members:
        return
    yield from OF_MEMBERS
    if seen.setup["matched_by"] != "family":
        yield (
            "Harmful and harmless prompts share no families: pairs were matched within categories, so that members may also tell apart how "
            "the two sets were written."
        )
    if made.tests:
        yield from OF_ABLATION
    if seen.tables.has("answers") or seen.tables.has("completions"):
        yield (
            "Circuits are ablated at the positions of the prompt; while the answer is written the features at later positions are left "
            "alone, and text judges look for phrases."
        )
    if seen.ask.paraphrase is None:
        yield "No paraphrases were declared: whether members recur when the same is said in other words was not asked."


def _of_size(seen: Observed) -> Iterator[str]:
    for half in HALVES:
        pairs = seen.pairs[half]
        families = len({pair.family for pair in pairs})
        if pairs and (len(pairs) < FEW_PAIRS or families < FEW_FAMILIES):
            rare = (
                "features that recur on few prompts may have been missed"
                if half == "discovery"
                else "intervals are wide, and rare answers may not have been seen"
            )
            yield f"Only {len(pairs)} matched pairs of {families} families served {half}: {rare}."


def _of_import(seen: Observed) -> Iterator[str]:
    imported = seen.tables.imported
    if imported is not None:
        yield f"Imported from the format {imported.format} ({imported.source}): it was not made here and cannot be replayed here."
