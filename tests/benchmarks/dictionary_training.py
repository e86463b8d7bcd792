"""How fast dictionaries are trained beside sae-lens at equal settings: same activations in memory, width, k, batches, one thread.

    python3 -m venv sae-lens && sae-lens/bin/pip install torch==2.13.0 'sae-lens>=6'   # once; CPU wheels where there is no GPU
    PYTHONPATH=. OMP_NUM_THREADS=1 sae-lens/bin/python -m tests.benchmarks.dictionary_training

Both trainers run in one process, in turn, a few hundred steps each per round; what is compared is processor time, so that a busy
machine slows neither alone. A ratio is ours over theirs, the median over rounds; the bar is 1. sae-lens is tried with dense and with
sparse activations, and the faster counts. Also printed: what share of the variance each explains after the same steps and learning rate.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from safetycase.lab.dictionaries.activations_stream import tensor_batches
from safetycase.lab.dictionaries.gradients import Sparsity
from safetycase.lab.dictionaries.site import Site
from safetycase.lab.dictionaries.training import Training, TrainingRecipe

LEARNING_RATE = 1e-3
TOKENS = 32_768
MEASURED_TOKENS = 2048
PLANTED_PER_FEATURE = 4


@dataclass(frozen=True)
class Setting:
    """What both are given."""

    sparsity: Sparsity
    d: int
    n_features: int
    k: int
    batch_size: int
    steps: int


SETTINGS = (
    Setting("topk", d=128, n_features=512, k=8, batch_size=1024, steps=200),
    Setting("batchtopk", d=128, n_features=512, k=8, batch_size=1024, steps=200),
    Setting("topk", d=512, n_features=4096, k=32, batch_size=2048, steps=8),
    Setting("batchtopk", d=512, n_features=4096, k=32, batch_size=2048, steps=8),
)


def main() -> None:
    """Prints one line per setting; exits with 1 where a ratio is above the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bar", type=float, default=1.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    worst = 0.0
    for setting in SETTINGS:
        ratio = compare(setting, options.rounds)
        worst = max(worst, ratio)
    sys.exit(int(worst > options.bar))


def compare(setting: Setting, rounds: int) -> float:
    """Median over rounds of our seconds over theirs."""
    x = sparse_mixture(setting)
    kinds = (False, True) if setting.sparsity == "topk" else (False,)
    ratios, ours_seconds, theirs_seconds, explained = [], [], [], (0.0, 0.0)
    for _ in range(rounds):
        ours, our_share = ours_trained(setting, x)
        tried = [theirs_trained(setting, x, sparse=sparse) for sparse in kinds]
        theirs, their_share = min(tried)
        ratios.append(ours / theirs)
        ours_seconds.append(ours)
        theirs_seconds.append(theirs)
        explained = (our_share, their_share)
    ratio = statistics.median(ratios)
    print(  # noqa: T201
        f"{setting.sparsity:9s} d {setting.d:4d}  features {setting.n_features:5d}  k {setting.k:3d}  batch {setting.batch_size:5d}"
        f"  ours {1e3 * statistics.median(ours_seconds) / setting.steps:7.2f} ms/step"
        f"  sae-lens {1e3 * statistics.median(theirs_seconds) / setting.steps:7.2f} ms/step"
        f"  ratio {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        f"  explained {explained[0]:.3f} and {explained[1]:.3f}",
        flush=True,
    )
    return ratio


def ours_trained(setting: Setting, x: Float[Tensor, "token d"]) -> tuple[float, float]:
    """Seconds of a whole training, and the share of variance that the dictionary explains."""
    recipe = TrainingRecipe(
        n_features=setting.n_features,
        k=setting.k,
        steps=setting.steps,
        sparsity=setting.sparsity,
        learning_rate=LEARNING_RATE,
        warmup_steps=0,
        decay_from=1.0,
    )
    began = time.process_time()
    training = Training(recipe, tensor_batches(x, batch_size=setting.batch_size), reads=Site("resid_post", 0))
    for _ in training.run(every=50):
        pass
    seconds = time.process_time() - began
    return seconds, explained_variance(training.dictionary().reconstruct(x[:MEASURED_TOKENS]), x[:MEASURED_TOKENS])


def theirs_trained(setting: Setting, x: Float[Tensor, "token d"], *, sparse: bool) -> tuple[float, float]:
    """The same of sae-lens, by its own trainer."""
    library: Any = import_module("sae_lens")
    SAETrainer: Any = import_module("sae_lens.training.sae_trainer").SAETrainer
    SAETrainerConfig: Any = import_module("sae_lens.config").SAETrainerConfig
    options: dict[str, Any] = {"d_in": setting.d, "d_sae": setting.n_features, "k": setting.k}
    torch.manual_seed(0)
    if setting.sparsity == "topk":
        # Its sparse activations have no gradient through the rescaling, on the CPU.
        options |= {"use_sparse_activations": sparse, "rescale_acts_by_decoder_norm": not sparse}
        sae = library.TopKTrainingSAE(library.TopKTrainingSAEConfig(**options))
    else:
        sae = library.BatchTopKTrainingSAE(library.BatchTopKTrainingSAEConfig(**options))
    began = time.process_time()
    trainer: Any = SAETrainer(
        SAETrainerConfig(
            total_training_samples=setting.steps * setting.batch_size,
            train_batch_size_samples=setting.batch_size,
            lr=LEARNING_RATE,
            lr_end=LEARNING_RATE,
        ),
        sae,
        data_provider=alone(x, setting.batch_size),
    )
    trainer.fit()
    seconds = time.process_time() - began
    with torch.no_grad():
        return seconds, explained_variance(sae(x[:MEASURED_TOKENS]), x[:MEASURED_TOKENS])


def alone(x: Float[Tensor, "token d"], batch_size: int) -> Iterator[Float[Tensor, "batch d"]]:
    """The same batches, without targets."""
    for batch, _ in tensor_batches(x, batch_size=batch_size)(0):
        yield batch


def sparse_mixture(setting: Setting) -> Float[Tensor, "token d"]:
    """Sums of a few of many random directions, as strong as real ones differ, scaled so that vectors have norm sqrt(d)."""
    source = torch.Generator().manual_seed(0)
    planted = torch.randn(setting.n_features // PLANTED_PER_FEATURE, setting.d, generator=source)
    chosen = torch.randint(len(planted), (TOKENS, setting.k), generator=source)
    strengths = torch.rand(TOKENS, setting.k, generator=source)
    x = torch.nn.functional.embedding_bag(chosen, planted, per_sample_weights=strengths, mode="sum")
    return x * (setting.d / x.square().sum(-1).mean()).sqrt()


def explained_variance(reconstruction: Float[Tensor, "token d"], x: Float[Tensor, "token d"]) -> float:
    """1 - Σ‖x̂ - x‖² / Σ‖x - x̄‖²."""
    return 1 - float((reconstruction - x).square().sum() / (x - x.mean(0)).square().sum())


if __name__ == "__main__":
    main()
