"""What can be wrong with a run once its devices and its data are known."""

from mixup_jax.data.dataset import Dataset, ImageDataset
from mixup_jax.data.preprocessing import Preprocessing, kind_of
from mixup_jax.errors import UsageError
from mixup_jax.runs.config import RunConfig
from mixup_jax.training.placement import Placement


def check_batches(config: RunConfig, placement: Placement, examples: int) -> None:
    """Raises UsageError unless every batch divides over devices and ghost groups."""
    placement.check_divisible(config.batch_size, "batch_size")
    if config.drop_last and 0 < examples < config.batch_size:
        raise UsageError(
            f"drop_last leaves nothing: {examples} training examples are fewer than "
            f"batch_size {config.batch_size}"
        )
    rest = examples % config.batch_size
    if rest and not config.drop_last:
        try:
            placement.check_divisible(rest, "the last batch of an epoch")
        except UsageError as error:
            raise UsageError(f"{error}, or set drop_last") from error
    for size in (config.batch_size, 0 if config.drop_last else rest):
        share, parts = size // len(placement.devices), config.accumulate
        if share % parts:
            raise UsageError(
                f"accumulate {parts} does not divide the {share} examples of a device "
                f"(of a batch of {size}); change one of them, or set drop_last if it "
                "is the last batch"
            )
        share //= parts
        if config.ghost_batch_norm and share % config.ghost_batch_norm:
            raise UsageError(
                f"ghost_batch_norm {config.ghost_batch_norm} does not divide the "
                f"{share} examples that a device computes at once (of a batch of "
                f"{size}); change one of them, or set drop_last if it is the last batch"
            )


def check_vicinity(
    config: RunConfig, dataset: Dataset | ImageDataset, inputs: Preprocessing
) -> None:
    """Raises UsageError unless the data can be mixed as the config says."""
    examples = len(dataset.train.labels)
    if config.needs_neighbours:
        _check_neighbours(config, dataset, examples)
    # Of sounds, spectrograms are mixed, or else waveforms, which CutMix refuses.
    if config.cutmix_probability and len(inputs.shape) != 3:
        raise UsageError(
            f"CutMix needs images [height, width, channels], and an example of "
            f"{dataset.name} has shape {inputs.shape}; set cutmix_probability to 0"
        )


def _check_neighbours(
    config: RunConfig, dataset: Dataset | ImageDataset, examples: int
) -> None:
    if isinstance(dataset, ImageDataset):
        raise UsageError(
            f"pairing {config.pairing} compares images of one size in memory, and with "
            "image_size they are streamed; set image_size to 0, or pairing to random"
        )
    if kind_of(dataset) == "sounds":
        raise UsageError(
            f"pairing {config.pairing} compares examples point by point, which says "
            "nothing of sounds; set pairing to random or same_class"
        )
    if config.neighbours >= examples:
        raise UsageError(
            f"neighbours must be fewer than the {examples} training examples, got "
            f"{config.neighbours}"
        )
