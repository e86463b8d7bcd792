"""How fast candidates are scored beside the straightforward loop of one candidate at a time, and in how much memory.

    python -m tests.benchmarks.refusal_direction_speed             ratios and peak memory on a 12-layer model, on the CPU
    python -m tests.benchmarks.refusal_direction_speed --cuda-8b   a random Llama-3-8B shape in bfloat16, stage by stage

The model is a Llama of random weights: 12 layers, 512 wide, 32,000 tokens, float32. Half of all tokens count as refusal,
so that about every second candidate steers and more than one in ten survives.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from safetycase.evidence.kinds.refusal_direction.params import Ask, Candidate
from safetycase.evidence.kinds.refusal_direction.selection import select
from safetycase.lab.activations import activations
from safetycase.lab.analyses import load
from safetycase.lab.batches import batches_for
from safetycase.lab.candidates import Scorer, contrast_weights, mean_differences, scorer, select_lazily
from safetycase.lab.chat import chat_format
from safetycase.lab.forward import forward_for, left_padded, tokenised
from safetycase.lab.model import LoadedModel, load_model
from safetycase.lab.observing import Inputs, Note, Rows, Tensors
from safetycase.lab.scores import kl_divergence, refusal_log_odds
from safetycase.lab.sites import find_sites
from safetycase.sources.prompts import Prompt, PromptSet, Split

FULL_TABLE_BAR, SELECTION_BAR, MEMORY_BAR_GB = 1.8, 3.0, 1.5
WORDS = 31_990
TEMPLATE = "<bos> <user> {instruction} <end> <newline> <assistant> <colon> <begin>"
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>", "<user>", "<end>", "<newline>", "<assistant>", "<colon>", "<begin>")
POSITIONS = (-5, -4, -3, -2, -1)
SMALL = LlamaConfig(
    hidden_size=512, intermediate_size=1376, num_hidden_layers=12, num_attention_heads=8, vocab_size=32_000
)
LLAMA_3_8B = LlamaConfig(
    hidden_size=4096,
    intermediate_size=14_336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    vocab_size=128_256,
)


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuda-8b", action="store_true", help="the Llama-3-8B shape in bfloat16 on a GPU")
    parser.add_argument("--rehearse-8b", action="store_true", help="the same stages on a tiny model, on the CPU")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--positions", type=int, default=5, help="candidate positions, from the end: fewer are sooner done")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.cuda_8b or asked.rehearse_8b:
        print_stages(LLAMA_3_8B if asked.cuda_8b else tiny(), "cuda" if asked.cuda_8b else "cpu")
    elif asked.peak:
        click.echo(json.dumps(peak_memory()))
    else:
        print_ratios(asked.repeats, asked.threads, POSITIONS[-asked.positions :])


def print_ratios(repeats: int, threads: int, positions: tuple[int, ...]) -> None:
    """Full table and selection alone against the loop, alternating, best of the repeats; then memory in a fresh process.

    Seconds are those of the processor, so that other work on the machine does not count.
    """
    work = Work(small_model(), positions)
    seconds: dict[str, list[float]] = {"loop": [], "full table": [], "selection only": []}
    tables: dict[str, Any] = {}
    for _ in range(repeats):
        for name, ask in {"loop": work.loop, "full table": work.full_table, "selection only": work.selection_only}.items():
            began = time.process_time()
            tables[name] = ask()
            seconds[name].append((time.process_time() - began) / threads)
    best = {name: min(values) for name, values in seconds.items()}
    picks = {name: pick(tables[name]) for name in ("loop", "full table")}
    lazy = tables["selection only"]
    survivors = int(chosen(tables["loop"]).survives.sum())
    off = max(float((tables["loop"][name] - tables["full table"][name]).abs().max()) for name in tables["loop"])
    click.echo(f"candidates {len(positions) * SMALL.num_hidden_layers}, survivors {survivors}, largest difference of a mean {off:.1e}")
    click.echo(f"picked: loop {picks['loop']}, full table {picks['full table']}, selection only {lazy.index}")
    click.echo(f"loop                 {best['loop']:8.2f} s")
    for name, bar in (("full table", FULL_TABLE_BAR), ("selection only", SELECTION_BAR)):
        click.echo(f"{name:20s} {best[name]:8.2f} s   {best['loop'] / best[name]:.2f}x (bar {bar}x)")
    command = [sys.executable, "-m", "tests.benchmarks.refusal_direction_speed", "--peak", "--threads", str(threads)]
    memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    click.echo(f"peak {memory['peak']:.2f} GB = weights {memory['weights']:.2f} + {memory['above']:.2f} GB (bar {MEMORY_BAR_GB})")


class Work:
    """One model, its prompts and its candidates, had before any clock starts."""

    def __init__(self, model: LoadedModel, positions: tuple[int, ...] = POSITIONS) -> None:
        self.model = model
        texts = {name: prompts(name, 32) for name in ("harmful", "harmless", "harmful train", "harmless train")}
        self.tokens = {name: tokenised(model, listed) for name, listed in texts.items()}
        self.forward = forward_for(model, batches_for(model), [row for rows in self.tokens.values() for row in rows])
        training = [*self.tokens["harmful train"], *self.tokens["harmless train"]]
        weights = contrast_weights(torch.ones(32), torch.ones(32))
        self.differences = mean_differences(activations(self.forward, training, positions), weights)
        self.refusal_tokens = half_the_vocabulary()

    def scorer(self) -> Scorer:
        """Harmless baselines are part of what is timed."""
        return scorer(self.forward, self.refusal_tokens, self.tokens["harmful"], self.tokens["harmless"])

    def full_table(self) -> dict[str, Tensor]:
        """Mean scores of every candidate, [position, layer]."""
        scoring = self.scorer()
        means: dict[str, list[Tensor]] = {"ablated": [], "added": [], "kl": []}
        for layer in range(self.model.sites.n_layers):
            ablated, kl = scoring.ablated_and_divergence(self.differences[:, layer])
            means["ablated"].append(ablated.mean(dim=1))
            means["added"].append(scoring.added(self.differences[:, layer], layer).mean(dim=1))
            means["kl"].append(kl.mean(dim=1))
        return {name: torch.stack(values, dim=1) for name, values in means.items()}

    def selection_only(self) -> Any:
        """The pick with the filters in order of cost."""
        return select_lazily(self.scorer(), self.differences)

    @torch.inference_mode()
    def loop(self) -> dict[str, Tensor]:
        """As the original code does it: one candidate after another, three passes each with the logits of all positions."""
        blocks = [block.module for block in self.model.sites.blocks]
        parts = [part for block in self.model.sites.blocks for part in (block.attention, block.mlp)]
        batch = {name: left_padded(self.tokens[name], self.model.device) for name in ("harmful", "harmless")}

        def logits(name: str) -> Tensor:
            ids, mask = batch[name].input_ids, batch[name].attention_mask
            last: Tensor = self.model.module(input_ids=ids, attention_mask=mask).logits[:, -1]
            return last

        unedited = logits("harmless")
        rows = torch.arange(len(unedited))
        shape = self.differences.shape[:2]
        means = {name: torch.zeros(shape, dtype=torch.float64) for name in ("ablated", "added", "kl")}
        for position in range(shape[0]):
            for layer in range(shape[1]):
                vector = self.differences[position, layer].float()
                unit = vector / (vector.norm() + 1e-8)
                with ExitStack() as stack:
                    for block in blocks:
                        stack.callback(block.register_forward_pre_hook(removing_from_input(unit)).remove)
                    for part in parts:
                        stack.callback(part.register_forward_hook(removing_from_output(unit)).remove)
                    means["ablated"][position, layer] = refusal_log_odds(logits("harmful"), self.refusal_tokens).mean()
                    means["kl"][position, layer] = kl_divergence(unedited, logits("harmless"), rows).mean()
                with ExitStack() as stack:
                    stack.callback(blocks[layer].register_forward_pre_hook(adding_to_input(vector)).remove)
                    means["added"][position, layer] = refusal_log_odds(logits("harmless"), self.refusal_tokens).mean()
        return means


def removing_from_input(unit: Tensor) -> Callable[..., Any]:
    """A pre-hook that takes the direction out of a block's input."""
    return lambda module, args: (args[0] - (args[0] @ unit).unsqueeze(-1) * unit, *args[1:])


def removing_from_output(unit: Tensor) -> Callable[..., Any]:
    """A hook that takes the direction out of what attention or MLP put out."""

    def hook(module: Any, args: Any, output: Any) -> Any:
        out = output[0] if isinstance(output, tuple) else output
        edited = out - (out @ unit).unsqueeze(-1) * unit
        return (edited, *output[1:]) if isinstance(output, tuple) else edited

    return hook


def adding_to_input(vector: Tensor) -> Callable[..., Any]:
    """A pre-hook that adds a vector to a block's input."""
    return lambda module, args: (args[0] + vector, *args[1:])


def chosen(table: dict[str, Tensor]) -> Any:
    """The paper's selection from a table of means."""
    n_positions, n_layers = table["kl"].shape
    layers = torch.arange(n_layers).repeat(n_positions).numpy()
    scores = [table[name].flatten().numpy() for name in ("ablated", "added", "kl")]
    return select(layers, *scores, n_layers=n_layers)


def pick(table: dict[str, Tensor]) -> int | None:
    """Index of the candidate that the rule picks."""
    index: int | None = chosen(table).picked
    return index


def half_the_vocabulary() -> Tensor:
    """A random half of all tokens: refusal is then about as likely as not, and addition moves it either way."""
    return torch.randperm(SMALL.vocab_size, generator=torch.Generator().manual_seed(1))[: SMALL.vocab_size // 2]


def peak_memory() -> dict[str, float]:
    """Gigabytes of a process that loads the model and asks for the full table, interpreter and libraries included."""
    work = Work(small_model())
    work.full_table()
    weights = sum(p.numel() * p.element_size() for p in work.model.module.parameters()) / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"peak": peak, "weights": weights, "above": peak - weights}


def print_stages(config: LlamaConfig, device: str) -> None:
    """Load, extraction, selection, nulls and generation of a whole observation, each in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with torch.device(device):
            module: Any = LlamaForCausalLM(config)
        module = module.to(torch.bfloat16)
        module.save_pretrained(folder)
        word_tokenizer().save_pretrained(folder)
        del module
        click.echo(f"{'made and saved':28s} {time.perf_counter() - began:8.1f} s")
        began = time.perf_counter()
        model = load_model(folder, base=Path(folder), dtype="bfloat16", device=device, template=TEMPLATE)
        click.echo(f"{'loaded':28s} {time.perf_counter() - began:8.1f} s")
    layers = config.num_hidden_layers
    ask = Ask(
        n_train=128,
        n_validation=32,
        n_test=100,
        filter_by_score=False,
        refusal_tokens=(40,),
        evaluate=Candidate(position=-1, layer=layers // 2),
        random_directions=200 if device == "cuda" else 16,
        label_shuffles=20 if device == "cuda" else 1,
        reselections=20 if device == "cuda" else 1,
    )
    sets = {name: prompt_set(name, ask) for name in ("harmful", "harmless")}
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    began = time.perf_counter()
    for event in load("refusal_direction").observe({"subject": model}, Inputs(sets), ask, seed=0):
        if isinstance(event, Rows | Tensors):
            now = time.perf_counter()
            seconds[event.table, event.part.split("-")[0].split(".")[0]] += now - began
            began = now
        elif isinstance(event, Note):
            click.echo(f"{event.name:28s} {event.value}")
    stages = {
        "extraction and selection": ("baseline", "directions", "scores"),
        "nulls and reselections": ("effects", "reselections"),
        "generation": ("completions", "labels"),
        "collateral and harmfulness": ("collateral", "harmfulness"),
    }
    for stage, tables in stages.items():
        click.echo(f"{stage:28s} {sum(value for (table, _), value in seconds.items() if table in tables):8.1f} s")
    for (table, part), value in sorted(seconds.items(), key=lambda entry: -entry[1])[:12]:
        click.echo(f"    {table:16s} {part:16s} {value:8.1f} s")
    if device == "cuda":
        click.echo(f"{'peak GPU memory':28s} {torch.cuda.max_memory_allocated() / 1e9:8.1f} GB")


def small_model() -> LoadedModel:
    """The 12-layer model, in memory; its unembedding is widened, so that edits move probabilities as in trained models."""
    torch.manual_seed(0)
    module = LlamaForCausalLM(SMALL).requires_grad_(False)
    module.train(False)
    module.lm_head.weight.mul_(4.0)
    tokenizer = word_tokenizer()
    return LoadedModel(
        module=module,
        tokenizer=tokenizer,
        sites=find_sites(module),
        chat=chat_format(tokenizer, template=TEMPLATE),
        digest="0" * 64,
        weights_digest="0" * 64,
        source="random",
        dtype=torch.float32,
        device=torch.device("cpu"),
        n_parameters=sum(parameter.numel() for parameter in module.parameters()),
    )


def tiny() -> LlamaConfig:
    """A shape on which the stages take seconds."""
    return LlamaConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4, vocab_size=32_000
    )


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Words w0, w1 ... and the template's marks."""
    vocabulary = {word: index for index, word in enumerate((*SPECIAL, *(f"w{i}" for i in range(WORDS))))}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made: Any = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerFast = made(
        tokenizer_object=core, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )
    return tokenizer


def prompts(name: str, count: int) -> list[str]:
    """Prompts that come to 15 to 30 tokens in the template, from one half of the vocabulary per class."""
    generator = torch.Generator().manual_seed(sum(name.encode()))
    half = WORDS // 2 if name.startswith("harmful") else 0
    lengths = torch.randint(8, 24, (count,), generator=generator).tolist()
    return [" ".join(f"w{half + i}" for i in torch.randint(WORDS // 2, (n,), generator=generator).tolist()) for n in lengths]


def prompt_set(name: str, ask: Ask) -> PromptSet:
    """Prompts of all three splits, four to a family."""
    sizes: Sequence[tuple[Split, int]] = (("train", ask.n_train), ("validation", ask.n_validation), ("test", ask.n_test))
    listed = [
        Prompt(f"{name}-{split}-{i}", text, "all", f"{split}-{i // 4}", split)
        for split, count in sizes
        for i, text in enumerate(prompts(f"{name} {split}", count))
    ]
    return PromptSet(name, "random", "0" * 64, tuple(listed))


if __name__ == "__main__":
    main()
