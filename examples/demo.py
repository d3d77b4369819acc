"""Run every step, from PDF files to answers of a model, with the commands a user would type.

    python examples/demo.py [PAPERS]

All files are written below runs/demo-NAME. A demo that is stopped or repeated resumes from them.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from cephalo.hub.local import local_hub

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLES = REPOSITORY / "examples" / "papers"
CEPHALO = [sys.executable, "-m", "cephalo.cli.main"]
USER = "demo"
DATASET, MODEL = f"{USER}/figures", f"{USER}/tiny-idefics2"


def main() -> None:
    """Run the demo on the papers named on the command line, or on the sample papers."""
    papers = Path(sys.argv[1] if len(sys.argv) > 1 else SAMPLES).resolve()
    demo(papers, REPOSITORY / "runs" / f"demo-{papers.name}")


def demo(papers: Path, runs: Path) -> None:
    """Run every step as a separate process and print what each wrote and how long it took."""
    runs.mkdir(parents=True, exist_ok=True)
    figures = runs / "figures"
    steps: list[tuple[str, str, float]] = []

    def step(name: str, command: list[str], count: str | None = None) -> str:
        print(f"\n=== {name}: {' '.join(display(command))}", flush=True)
        start = time.perf_counter()
        output = run(command, runs, environment)
        steps.append((name, count or output, time.perf_counter() - start))
        return output

    with local_hub(runs / "hub", [USER]) as hub:
        environment = hub.environment(USER, runs / "hf-home")
        step("extract", [*CEPHALO, "extract", str(papers), "--out", str(figures), "--text"])
        refine = [*CEPHALO, "refine", str(figures), "--teacher", "caption", "--out", str(figures)]
        step("refine", refine)
        step("publish", [*CEPHALO, "publish", str(figures), DATASET, "--private"])
        here = [sys.executable, str(Path(__file__).with_name("use_hub.py"))]
        step("load back", [*here, "count", DATASET])
        train = [*CEPHALO, "train", "--config", "tiny.yaml", "--dataset_name", DATASET]
        train += ["--model_name_or_path", str(runs / "tiny-base")]
        train += ["--output_dir", str(runs / "tiny")]
        train += ["--push_to_hub", "--hub_model_id", MODEL, "--hub_private_repo", "true"]
        step("train and push", train)
        answer = step("from_pretrained and ask", [*here, "ask", MODEL, DATASET])
    print_report(steps, answer, figures)


def display(command: list[str]) -> list[str]:
    """Return a command as a user would type it."""
    if command[: len(CEPHALO)] == CEPHALO:
        command = ["cephalo", *command[len(CEPHALO) :]]
    elif command[0] == sys.executable:
        command = ["python", *command[1:]]
    return [os.path.relpath(part) if Path(part).is_absolute() else part for part in command]


def run(command: list[str], runs: Path, environment: dict[str, str]) -> str:
    """Run a command, showing its errors and progress, and return its last line of output.

    Exits with the command's exit code if it fails.
    """
    process = subprocess.Popen(
        command, cwd=runs, env=environment, stdout=subprocess.PIPE, text=True
    )
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
    if code := process.wait():
        sys.exit(code)
    return last


def print_report(steps: list[tuple[str, str, float]], answer: str, figures: Path) -> None:
    """Print the table of steps, counts and durations, and which files to open."""
    width = max(len(name) for name, _, _ in steps)
    print(f"\n{'step':{width}}  {'seconds':>7}  result")
    for name, count, seconds in steps:
        print(f"{name:{width}}  {seconds:7.1f}  {count[:110]}")
    print(f"{'total':{width}}  {sum(seconds for _, _, seconds in steps):7.1f}")
    print(
        "\nThe model is tiny and was trained from random weights: this shows that the pipeline\n"
        "works, not how good its answers are. Its answer is meaningless.\n"
        f"\nLook at the figures: {figures / 'index.html'}"
        f"\nLook at the conversations: {figures / 'report.html'}"
    )


if __name__ == "__main__":
    main()
