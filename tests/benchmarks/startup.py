"""How long `--help` takes to answer, from the start of the process, beside its bar.

    python -m tests.benchmarks.startup
"""

import statistics
import subprocess
import sys
import time

import click

BAR = 0.2
STARTS = 11


def main() -> None:
    """Print the median, and end with 1 where it is over the bar."""
    median = statistics.median(seconds_to_help() for _ in range(STARTS))
    click.echo(f"--help: median {median:.3f} s of {STARTS} starts, bar {BAR} s")
    sys.exit(median > BAR)


def seconds_to_help() -> float:
    """One start of the command line."""
    before = time.perf_counter()
    subprocess.run([sys.executable, "-m", "safetycase", "--help"], capture_output=True, check=True)
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
