"""Checkpoints on their way to the Hub while training goes on."""

import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import HfApi
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cephalo.cli.errors import CephaloError
from cephalo.model_cards.upload import push_folder

if TYPE_CHECKING:
    from cephalo.train.arguments import TrainingSettings


BRANCH = "checkpoints"
NEVER_PUSHED = {"training_args.bin"}  # a pickle, with paths of this machine


class CheckpointPusher(TrainerCallback):
    """Pushes each checkpoint, with all that a run needs to go on, to one branch of its repository.

    One at a time, in the background. One that fails is told and given up, one that is saved while
    another is on its way is left out: the end of the run pushes the newest, if it is not there.
    No failure stops the training or costs a file on disk.
    """

    def __init__(self, api: HfApi, training_args: "TrainingSettings") -> None:
        self.api = api
        self.repo_id, self.private = training_args.hub_model_id, training_args.hub_private_repo
        self.output_dir = Path(training_args.output_dir)
        self.pool = ThreadPoolExecutor(1)
        self.running: Future | None = None
        self.newest: Path | None = None
        self.arrived: Path | None = None

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Push the checkpoint of this step, unless the one before is still on its way."""
        if not state.is_world_process_zero:
            return
        self.newest = self.output_dir / f"checkpoint-{state.global_step}"
        if self.running is None or self.running.done():
            self.start(self.newest)

    def start(self, folder: Path) -> None:
        """Push the files of `folder` as they are now: the trainer may delete them meanwhile."""
        aside = self.output_dir / f".push-{folder.name}"
        shutil.rmtree(aside, ignore_errors=True)
        try:
            shutil.copytree(
                folder, aside, copy_function=os.link, ignore=lambda _, names: NEVER_PUSHED
            )
        except OSError as error:
            print(f"could not push {folder.name}: {error}")
            return
        self.running = self.pool.submit(self.push, folder, aside)

    def push(self, folder: Path, aside: Path) -> None:
        """Push `aside`, and tell where it fails."""
        try:
            files = [str(path.relative_to(aside)) for path in aside.rglob("*") if path.is_file()]
            push_folder(
                self.api,
                aside,
                self.repo_id,
                repo_type="model",
                private=bool(self.private),
                files=sorted(files),
                delete_patterns=["*"],
                message=folder.name,
                revision=BRANCH,
            )
            self.arrived = folder
        except (CephaloError, OSError) as error:
            print(f"could not push {folder.name}, training goes on: {error}")
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def finish(self) -> None:
        """Wait for what is on its way; push the newest checkpoint if it has not arrived."""
        if self.running:
            self.running.result()
        if self.newest and self.newest != self.arrived and self.newest.exists():
            self.start(self.newest)
        self.pool.shutdown()
