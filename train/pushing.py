"""Push checkpoints to the Hub during training."""

import logging
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import HfApi
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cephalo.cli.errors import CephaloError
from cephalo.model_cards.upload import push_folder

if TYPE_CHECKING:
    from cephalo.train.arguments import TrainingSettings

logger = logging.getLogger(__name__)

BRANCH = "checkpoints"
NEVER_PUSHED = {"training_args.bin"}  # a pickle with local paths


class CheckpointPusher(TrainerCallback):
    """Pushes each checkpoint, with everything needed to resume, to one branch of its repository.

    One at a time, in the background. A failed push is reported and not retried; a checkpoint saved
    during a push is skipped. At the end of the run the newest checkpoint is pushed if it is
    missing. No failure stops the training or removes a file.
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
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Push the checkpoint of this step, unless another push is in progress."""
        if not state.is_world_process_zero:
            return
        self.newest = self.output_dir / f"checkpoint-{state.global_step}"
        if self.running is None or self.running.done():
            self.start(self.newest)

    def start(self, folder: Path) -> None:
        """Push a copy of the files of `folder`, which the trainer may delete meanwhile."""
        aside = self.output_dir / f".push-{folder.name}"
        shutil.rmtree(aside, ignore_errors=True)
        try:
            shutil.copytree(
                folder, aside, copy_function=os.link, ignore=lambda _, names: NEVER_PUSHED
            )
        except OSError as error:
            logger.warning("could not push %s: %s", folder.name, error)
            return
        self.running = self.pool.submit(self.push, folder, aside)

    def push(self, folder: Path, aside: Path) -> None:
        """Push `aside`, and report a failure."""
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
            logger.warning("could not push %s, training continues: %s", folder.name, error)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def finish(self) -> None:
        """Wait for the push in progress; push the newest checkpoint if it is missing on the Hub."""
        if self.running:
            self.running.result()
        if self.newest and self.newest != self.arrived and self.newest.exists():
            self.start(self.newest)
        self.pool.shutdown()
