"""How fast a dictionary encodes, as achieved operations per second beside a bare matrix product of the same shape in the same run.

    python -m tests.benchmarks.dictionary_encode                    # a small shape on the CPU
    python -m tests.benchmarks.dictionary_encode --gpu              # d = 2,304, 16,384 features, bfloat16: the bar of a GPU machine

Encoding is the product, a bias and the activation; the ratio says what bias and activation cost. Printed as JSON.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor

from safetycase.lab.dictionaries.dictionary import Activation, Dictionary, JumpRelu, TopK
from safetycase.lab.dictionaries.site import Site

REPEATS = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", action="store_true", help="the shape of the bar, on a GPU in bfloat16")
    parser.add_argument("--tokens", type=int, default=0, help="rows per product")
    options = parser.parse_args()
    device, dtype = ("cuda", torch.bfloat16) if options.gpu else ("cpu", torch.float32)
    d, features = (2304, 16384) if options.gpu else (256, 4096)
    tokens = options.tokens or (16384 if options.gpu else 1024)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(tokens, d, generator=generator).to(device, dtype)
    weights = (torch.randn(features, d, generator=generator) / d**0.5).to(device, dtype)
    bias = torch.zeros(features, device=device, dtype=dtype)

    def dictionary(activation: Activation) -> Dictionary:
        site = Site("resid_post", 0)
        return Dictionary(weights, bias, weights[:, None], torch.zeros(d, device=device, dtype=dtype), activation, site, (site,))

    jump = dictionary(JumpRelu(torch.full((features,), 1.5, device=device, dtype=dtype)))
    top = dictionary(TopK(64))
    operations = 2 * tokens * d * features
    with torch.inference_mode():
        rates = {
            "matmul": operations / seconds(lambda: x @ weights.mT, device) / 1e12,
            "encode_jumprelu": operations / seconds(lambda: jump.encode(x), device) / 1e12,
            "encode_topk": operations / seconds(lambda: top.encode(x), device) / 1e12,
        }
    ratios = {name: rate / rates["matmul"] for name, rate in rates.items() if name != "matmul"}
    shape = {"tokens": tokens, "d": d, "features": features, "dtype": str(dtype), "device": device}
    print(json.dumps({"shape": shape, "tflop_per_s": rates, "of_matmul": ratios}, indent=1))  # noqa: T201  (a benchmark prints)


def seconds(work: Callable[[], Tensor], device: str) -> float:
    """The median of several runs after a warm-up."""
    times = []
    for _ in range(REPEATS + 3):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times[3:])[REPEATS // 2]


if __name__ == "__main__":
    main()
