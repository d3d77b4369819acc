"""TRL's SFTTrainer on packed sequences, with loss and logits for answers only."""

# Untyped or partially typed: datasets, torch, transformers and trl.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportPrivateImportUsage=false, reportPrivateUsage=false

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate import Accelerator
from datasets import IterableDataset
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, TrainingArguments
from transformers.modeling_outputs import ModelOutput
from transformers.trainer_utils import TrainOutput
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME
from trl import SFTTrainer

from cephalo.cli.errors import CephaloError
from cephalo.train.encoding import IGNORED
from cephalo.train.families import (
    VISION_INPUTS,
    family_of,
    image_layers,
    image_token_of,
    masks_of_rows,
    positions_of_rows,
    read_rows_apart,
    token_types_of,
)
from cephalo.train.features import (
    FeatureStore,
    encoder_output,
    feature_store,
    frozen_layers,
    hidden_states,
    image_features,
    some_layers,
)
from cephalo.train.finished import read_state
from cephalo.train.packing import PACKED_SDPA, Inputs, PackingCollator, answer_positions
from cephalo.train.utilisation import Work, matmul_rate

if TYPE_CHECKING:
    from datasets import Dataset

    from cephalo.train.arguments import TrainingSettings


ROW_FACTS = ("labels", "rows", "tiles", "state_key")  # of a sequence, not inputs of the model
# Bounds of rows: not for a model that processes one row at a time.
PACKING = ("position_ids", "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k")


class PackedTrainer(SFTTrainer):
    """Trains on batches of PackingCollator.

    Rows per step, their order, mean loss and checkpoints are those of SFTTrainer; packing does not
    change them.
    """

    args: "TrainingSettings"
    model: PreTrainedModel
    data_collator: PackingCollator
    accelerator: Accelerator

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # `compute_loss` divides by the tokens of a whole step, independent of the model's own loss;
        # for a model whose loss does not, Trainer would divide again.
        self.model_accepts_loss_kwargs = True
        self.features: FeatureStore | None = None  # set if features are read from disk
        self.steps_before = 0  # of the checkpoint that it resumes from
        self.frozen_layers = 0  # first ones of the decoder, whose states are read from disk
        config = self.plain_model.config
        text = config.get_text_config()
        self.family = family_of(config)
        self.token_types = token_types_of(self.plain_model)
        self.image_layers = image_layers(config)
        if self.family and self.family.linear_attention:
            read_rows_apart(self.plain_model)
        if text._attn_implementation == "sdpa" and self.family:
            if self.image_layers or self.args.device.type == "cpu":
                text._attn_implementation = PACKED_SDPA
        elif self.image_layers:
            raise CephaloError(
                f"attn_implementation {text._attn_implementation}: image tokens of "
                f"{config.model_type} attend to each other, which only works with sdpa; set it to "
                "sdpa"
            )
        self.work = Work(self.model)
        self.matmul_rate = 0.0  # measured when training begins
        self.log_time = 0.0

    @property
    def plain_model(self) -> PreTrainedModel:
        """The model of transformers, without adapters and wrappers."""
        model = self.accelerator.unwrap_model(self.model)
        return model.get_base_model() if hasattr(model, "get_base_model") else model

    def keep_features(self, folder: Path, gigabytes: float) -> None:
        """Cache the features of images below `folder`, and the hidden states of rows after frozen
        first layers if there is another epoch and all fit.

        Raises CephaloError if the vision tower or the connector trains, or if their weights are
        sharded.
        """
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise CephaloError("feature_cache_gb: not with FSDP or DeepSpeed; leave it out")
        model = self.plain_model
        layers = frozen_layers(model)
        if layers and self.bytes_of_states() > gigabytes * 1e9:
            layers = 0
        settings = self.data_collator.settings_of_images()
        self.features = feature_store(model, settings, folder, gigabytes, layers)
        self.frozen_layers = layers
        self.data_collator.features = self.features
        self.data_collator.keep_states = layers > 0

    def bytes_of_states(self) -> float:
        """Return the size of the hidden states of all rows at one layer, in bytes; infinite for a
        stream and for a single epoch, which would never read them."""
        single = self.args.max_steps <= 0 and self.args.num_train_epochs <= 1
        if single or isinstance(self.train_dataset, IterableDataset):
            return float("inf")
        config = self.plain_model.config.get_text_config()
        tokens = sum(cast("Dataset", self.train_dataset)["tokens"])
        return tokens * config.hidden_size * self.plain_model.dtype.itemsize

    def set_initial_training_values(
        self, args: TrainingArguments, dataloader: DataLoader[Inputs]
    ) -> tuple[int, int, int, int, int, int | None, int]:
        """Do as Trainer, but without epochs if the checkpoint has all steps. Trainer would take one
        more, since it checks the number after a step."""
        found = super().set_initial_training_values(args, dataloader)
        steps = found[-1]
        return (0, *found[1:]) if self.steps_before >= steps else found

    def train(
        self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any
    ) -> TrainOutput:
        """Train as Trainer does, after measuring the machine's matrix-multiply rate."""
        if isinstance(resume_from_checkpoint, str):
            self.steps_before = read_state(Path(resume_from_checkpoint)).global_step
        self.work = Work(self.model)  # now it is known which parameters train
        self.matmul_rate = matmul_rate(self.args.device, self.model.dtype)
        self.log_time = time.perf_counter()
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: torch.nn.Module | None = None
    ) -> None:
        """Load as Trainer does, but read the weights of a whole model as `from_pretrained` reads
        them.

        transformers saves many families under the names of their published checkpoints. Trainer
        5.23 compares these with the model's own names and, if they differ, continues with its
        current weights after a warning.
        """
        folder = Path(resume_from_checkpoint)
        whole = (folder / SAFE_WEIGHTS_NAME).exists() or (folder / SAFE_WEIGHTS_INDEX_NAME).exists()
        if not whole or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        own = self.plain_model
        saved = type(own).from_pretrained(folder, config=own.config, dtype=own.dtype)
        own.load_state_dict(saved.state_dict())

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: Inputs,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Run forward and backward for each sequence of a batch; return the sum of their losses.

        Raises CephaloError with the names of the rows if the loss is not finite.
        """
        items = num_items_in_batch
        if items is None:
            items = answer_positions(inputs["labels"])[0].numel()
        elif self.args.average_tokens_across_devices:
            # The gradients of processes are averaged.
            items = items / self.accelerator.num_processes
        sequences = self.as_many_as_others(inputs["sequences"])
        gradients, step_ends = self.accelerator.gradient_state, self.accelerator.sync_gradients
        total = torch.zeros((), device=self.args.device)
        for sequence in sequences:
            last = sequence is sequences[-1]
            gradients._set_sync_gradients(step_ends and last)
            with contextlib.nullcontext() if last else self.accelerator.no_sync(model):
                loss = super().training_step(model, dict(sequence), items)
            if not torch.isfinite(loss):
                raise CephaloError(
                    f"the loss is {loss.item()} in step {self.state.global_step + 1}, in these "
                    f"rows: {', '.join(sequence['rows'])}; look at them, or lower learning_rate"
                )
            total += loss
        return total

    def as_many_as_others(self, sequences: list[Inputs]) -> list[Inputs]:
        """Return the sequences, padded by copies without labels if another process has more.

        All processes gather a sharded model together in each forward pass.
        """
        if self.accelerator.num_processes == 1:
            return sequences
        count = torch.tensor([len(sequences)], device=self.args.device)
        gathered = self.accelerator.gather(count)
        assert isinstance(gathered, torch.Tensor)
        missing = int(gathered.max()) - len(sequences)
        least = min(sequences, key=lambda sequence: sequence["labels"].shape[1])
        spare = {**least, "labels": torch.full_like(least["labels"], IGNORED)}
        return [dict(spare) for _ in range(missing)] + sequences

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Inputs,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | float | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, ModelOutput]:
        """Return the cross-entropy of the answers of one sequence, summed and divided by
        `num_items_in_batch`.

        Logits are only computed at labels.
        """
        positions, targets = answer_positions(inputs["labels"])
        inputs = self.model_inputs(inputs)
        layers = contextlib.nullcontext()
        if "states" in inputs:
            inputs["inputs_embeds"] = self.stored_states(inputs.pop("states"))
            del inputs["input_ids"]
            layers = some_layers(self.plain_model, self.frozen_layers, None)
        balanced = self.aux_loss_enabled and self.model.training
        if balanced:
            inputs["output_router_logits"] = True
        with layers:
            outputs = model(**inputs, logits_to_keep=positions, use_cache=False)
        loss = cross_entropy(outputs.logits[0].float(), targets, reduction="sum")
        if balanced:
            loss = loss + self.router_aux_loss_coef * len(targets) * outputs.aux_loss
            self._metrics["train"]["aux_loss"].append(outputs.aux_loss.item())
        assert num_items_in_batch is not None
        loss = loss / num_items_in_batch
        return (loss, outputs) if return_outputs else loss

    def model_inputs(self, sequence: Inputs) -> Inputs:
        """Return the model's inputs from a sequence of the collator."""
        inputs = {name: value for name, value in sequence.items() if name not in ROW_FACTS}
        if self.token_types:
            types = (inputs["input_ids"] == image_token_of(self.plain_model.config)).int()
            inputs[self.token_types] = types
            if self.family and self.family.mrope:
                model = cast("PreTrainedModel", self.plain_model.base_model)
                inputs["position_ids"] = positions_of_rows(model, inputs, types)
            if self.image_layers:
                window = self.plain_model.config.get_text_config().sliding_window
                inputs["attention_mask"] = masks_of_rows(
                    inputs["cu_seq_lens_q"], types, window, self.image_layers
                )
        if self.family is None:
            inputs = {name: value for name, value in inputs.items() if name not in PACKING}
        if "images" in inputs:
            inputs |= self.stored_images(inputs.pop("images"))
        return inputs

    def stored_states(self, rows: list[Inputs]) -> torch.Tensor:
        """Return the hidden states, [1, tokens, hidden], of rows; missing ones are computed and
        stored."""
        assert self.features is not None
        states: list[torch.Tensor] = []
        for row in rows:
            own = row.get("states")
            if own is None:
                with self.accelerator.autocast():
                    inputs = self.model_inputs(row)
                    own = hidden_states(self.plain_model, self.frozen_layers, inputs)
                self.features.write(row["state_key"], [own])
            states.append(own.to(self.args.device))
        return torch.cat(states)[None]

    def stored_images(self, images: list[Inputs]) -> Inputs:
        """Return the model's input for images by their features; missing ones are computed and
        stored."""
        assert self.features is not None
        features: list[torch.Tensor] = []
        for image in images:
            own = image.get("features")
            if own is None:  # or stored since a worker looked
                own = self.features.read(image["key"])
            if own is None:
                pixels = {name: image[name] for name in VISION_INPUTS if name in image}
                with self.accelerator.autocast():
                    own = image_features(self.plain_model, pixels)
                self.features.write(image["key"], own)
            features += [tensor.to(self.args.device) for tensor in own]
        if not features:
            return {}
        return {"mm_encoder_outputs": {"image": encoder_output(self.plain_model, features)}}

    def prediction_step(
        self, model: torch.nn.Module, inputs: Inputs, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, None, None]:
        """Return the mean loss of a batch's answers, without logits."""
        items = answer_positions(inputs["labels"])[0].numel()
        total = torch.zeros((), device=self.args.device)
        with torch.no_grad(), self.compute_loss_context_manager():
            for sequence in inputs["sequences"]:
                own = self._prepare_inputs(sequence)
                loss = self.compute_loss(model, own, num_items_in_batch=items)
                assert isinstance(loss, torch.Tensor)  # no outputs were requested
                total += loss
        return total, None, None

    def get_train_dataloader(self) -> DataLoader[Inputs]:
        """Create the data loader as Trainer does; each process reads its own part of a stream,
        repeatedly."""
        from datasets.distributed import split_dataset_by_node

        if not isinstance(self.train_dataset, IterableDataset):
            return super().get_train_dataloader()
        own = split_dataset_by_node(
            self.train_dataset, self.args.process_index, self.args.world_size
        )
        return DataLoader(
            own.repeat(None),  # pyright: ignore[reportArgumentType]  # DataLoader takes what iterates
            batch_size=self.args.per_device_train_batch_size,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            prefetch_factor=self.args.dataloader_prefetch_factor,
        )

    def floating_point_ops(  # pyright: ignore[reportIncompatibleMethodOverride]  # only summed
        self, inputs: Inputs
    ) -> float:
        """Return the operations of a batch, forward and backward; see `utilisation.Work`."""
        return sum(self.work.of_sequence(sequence) for sequence in inputs["sequences"])

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log as SFTTrainer does, and with each loss tokens per second and the utilisation, the
        share of the measured matrix-multiply rate used by the model; both per process."""
        if "loss" in logs:
            now = time.perf_counter()
            seconds, self.log_time = now - self.log_time, now
            operations, tokens = self.work.taken()
            logs["tokens_per_second"] = round(tokens / seconds, 1)
            logs["utilisation"] = round(operations / seconds / self.matmul_rate, 4)
        super().log(logs, *args, **kwargs)
