"""Attribution graphs beside circuit-tracer's: CPU seconds and memory as ratios of one run, on equal graphs.

    python -m tests.benchmarks.attribution --peer VENV/bin/python      # circuit-tracer 0.5.0, nnsight 0.6.1, torch 2.13.0

Both run in processes of their own with one thread, after a warm-up on three tokens. Seconds are the median CPU time of the
attribution itself, forward pass included, loading excluded; memory is the peak above what the loaded model and dictionaries
take. Bars: both golden cases 5 times fewer seconds, the 8-layer case 3 times; memory 0.5 times, 0.25 times with 10,000 features.
Printed as JSON, case by case.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from safetycase.lab.attribution.attribute import attribute
from safetycase.lab.attribution.targets import TopLogits
from safetycase.lab.dictionaries.reading import read_dictionary_set
from safetycase.lab.model import load_model
from tests.benchmarks.attribution_peer import REPEATS, peak, reset_peak
from tests.source import ROOT

GOLDEN = ROOT.parent / "shared/data/attribution_golden/llama"
CASES = ("jumprelu", "clt", "eight_layers", "relu")


def main() -> None:
    """Measure and print; `--own` is what this file starts for the half that is ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="python of an environment with circuit-tracer")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--own", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.own:
        _own(*options.own)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in options.cases:
            print(json.dumps({name: _compared(name, Path(folder), options.peer)}, indent=1), flush=True)  # noqa: T201  (a benchmark prints)


def _compared(name: str, folder: Path, peer: str | None) -> dict[str, Any]:
    model, transcoders, tokens = _case(name, folder)
    prompt = folder / f"{name}.json"
    prompt.write_text(json.dumps(tokens))
    ours = _run([sys.executable, "-m", "tests.benchmarks.attribution", "--own"], model, transcoders, prompt, folder / "own.npz")
    if peer is None:
        return {"ours": ours}
    theirs = _run([peer, str(ROOT / "tests/benchmarks/attribution_peer.py")], model, transcoders, prompt, folder / "peer.npz")
    a, b = np.load(folder / "own.npz"), np.load(folder / "peer.npz")
    equal = all(np.array_equal(a[part], b[part]) for part in ("active_features", "logit_ids"))
    return {
        "ours": ours,
        "theirs": theirs,
        "times_fewer_seconds": theirs["seconds"] / ours["seconds"],
        "share_of_memory": ours["memory"] / theirs["memory"],
        "equal_nodes": equal,
        "largest_difference": float(np.abs(a["adjacency"] - b["adjacency"]).max()) if equal else None,
        "largest_edge": float(np.abs(b["adjacency"]).max()),
    }


def _run(command: list[str], model: Path, transcoders: Path, prompt: Path, out: Path) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, str(model), str(transcoders), str(prompt), str(out)], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _own(model_folder: str, transcoders_folder: str, prompt: str, out: str) -> None:
    torch.set_num_threads(1)
    model = load_model(model_folder, base=Path("/"), dtype="float32", device="cpu")
    transcoders = read_dictionary_set(Path(transcoders_folder))
    tokens = torch.tensor(json.loads(Path(prompt).read_text()))
    attribute(model, transcoders, tokens[:3], TopLogits())
    before = reset_peak()
    graph = attribute(model, transcoders, tokens, TopLogits())
    memory = peak() - before
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        graph = attribute(model, transcoders, tokens, TopLogits())
        seconds.append(time.process_time() - start)
    ids = np.array([target.token for target in graph.targets])
    np.savez(out, adjacency=graph.adjacency.dense(), active_features=graph.active_features, logit_ids=ids)
    print(json.dumps({"seconds": sorted(seconds)[len(seconds) // 2], "memory": memory, "active": len(graph.active_features)}))  # noqa: T201


def _case(name: str, folder: Path) -> tuple[Path, Path, list[int]]:
    """Model, transcoders and token ids."""
    golden = GOLDEN / f"golden_{name}.npz"
    if golden.is_file():
        ids: list[int] = np.load(golden)["input_tokens"].tolist()
        return GOLDEN / "model", GOLDEN / f"transcoders_{name}", ids
    generator = torch.Generator().manual_seed(0)
    if name == "relu":
        ids = np.load(GOLDEN / "golden_jumprelu.npz")["input_tokens"].tolist()
        return GOLDEN / "model", _transcoders(folder / name, 4, 128, 512, None, generator), ids
    tokens = [1, *torch.randint(5, 1000, (23,), generator=generator).tolist()]
    model = _model(folder / f"{name}_model")
    return model, _transcoders(folder / name, 8, 256, 4096, 2.75, generator), tokens


def _model(folder: Path) -> Path:
    """Eight layers, 256 wide."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=1000,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(GOLDEN / "model" / name, folder)  # as older releases of transformers wrote them, which the peer reads
    return folder


def _transcoders(folder: Path, layers: int, d: int, features: int, threshold: float | None, generator: torch.Generator) -> Path:
    """Random ones in circuit-tracer's format: JumpReLU, or ReLU without a threshold."""
    folder.mkdir()
    for layer in range(layers):
        tensors = {
            "W_enc": torch.randn(features, d, generator=generator) / d**0.5,
            "W_dec": torch.randn(features, d, generator=generator) / features**0.5,
            "b_enc": torch.zeros(features),
            "b_dec": torch.randn(d, generator=generator) * 0.01,
        }
        if threshold is not None:
            tensors["activation_function.threshold"] = torch.full((features,), threshold)
        save_file(tensors, folder / f"layer_{layer}.safetensors")
    kind = "model_kind: transcoder_set\nmodel_name: random\nscan: random\n"
    (folder / "config.yaml").write_text(f"feature_input_hook: mlp.hook_in\nfeature_output_hook: mlp.hook_out\n{kind}")
    return folder


if __name__ == "__main__":
    main()
