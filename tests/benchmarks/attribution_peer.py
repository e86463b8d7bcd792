"""Runs circuit-tracer's attribution in an environment of its own; started by `tests.benchmarks.attribution`, imports nothing of ours."""

import ctypes
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

REPEATS = 3


def main() -> None:
    """model folder, transcoder folder, file of token ids, file for the graph."""
    model_folder, transcoders, tokens_file, out = sys.argv[1:5]
    import numpy
    from circuit_tracer import ReplacementModel, attribute  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    model: Any = ReplacementModel.from_pretrained(
        str(model_folder), str(transcoders), backend="nnsight", dtype=torch.float32, device=torch.device("cpu")
    )
    tokens = torch.tensor(json.loads(Path(tokens_file).read_text()))
    attribute(tokens[:3], model, batch_size=256, verbose=False)
    before = reset_peak()
    graph = attribute(tokens, model, batch_size=256, verbose=False)
    memory = peak() - before
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        graph = attribute(tokens, model, batch_size=256, verbose=False)
        seconds.append(time.process_time() - start)
    numpy.savez(
        out,
        adjacency=graph.adjacency_matrix.numpy(),
        active_features=graph.active_features.numpy(),
        logit_ids=numpy.array([target.vocab_idx for target in graph.logit_targets]),
        replacement_inputs=graph.input_tokens.numpy(),
    )
    print(json.dumps({"seconds": sorted(seconds)[len(seconds) // 2], "memory": memory, "active": len(graph.active_features)}))  # noqa: T201


def reset_peak() -> int:
    """Resident memory now, in bytes; the peak starts again from here (Linux). What loading left in the allocator is given back."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak() -> int:
    """Largest resident memory since."""
    return _status("VmHWM")


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
