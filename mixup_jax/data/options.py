"""Every choice about data that can change the result of a run."""

import dataclasses
import math
from typing import Any

from mixup_jax.data.corruption import RULES
from mixup_jax.errors import out_of_range, unknown

_BINS = 161


def _field(default: Any, help: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help})


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """The data of a run; the defaults are the paper's CIFAR-10 setting."""

    dataset: str = _field("cifar10", "name, or tfds:NAME, folder:PATH, npz:PREFIX")
    split_seed: int = _field(0, "seed of the split, of sets that are split at random")
    train_share: float = _field(0.0, "share of such a set to train on; 0: two thirds")
    standardise: bool = _field(True, "features by mean and std of the training rows")
    train_examples: int = _field(0, "use the first so many for training; 0: all")
    test_examples: int = _field(0, "use the first so many for testing; 0: all")
    corruption: float = _field(0.0, "share of training labels replaced by random ones")
    corruption_rule: str = _field("uniform", f"replacement: {', '.join(RULES)}")
    corruption_seed: int = _field(12345, "seed of that replacement")
    crop_pad: int = _field(4, "pixels of zero padding before a random crop; 0: none")
    flip: bool = _field(True, "random horizontal flips")
    image_size: int = _field(
        0, "cut squares of so many pixels, streamed from the host; 0: as they are"
    )
    crop_area: float = _field(0.08, "smallest share of an image in such a random cut")
    shorter_side: int = _field(256, "pixels, before the centre is cut out to test on")
    colour_jitter: float = _field(
        0.0, "strength, 0 to 1; 0: none; fb.resnet.torch: 0.4"
    )
    lighting: float = _field(0.0, "sigma of colour noise; fb.resnet.torch: 0.1")
    spectrogram_bins: int = _field(_BINS, "frequencies of a sound; paper's text: 160")
    spectrogram_reflect: bool = _field(True, "mirror sounds at their ends, or silence")

    @property
    def source_options(self) -> dict[str, Any]:
        """Those of the source of data, where they are not the defaults."""
        return self._changed(("split_seed", "train_share", "standardise"))

    def problems(self) -> list[str]:
        """Returns everything wrong with these options, a sentence each."""
        ranges = {
            "split_seed": (0, 2**32 - 1),
            "corruption": (0, 1),
            "corruption_seed": (0, 2**32 - 1),
            "spectrogram_bins": (1, _BINS),
            **dict.fromkeys(("train_examples", "test_examples"), (0, math.inf)),
            **dict.fromkeys(("crop_pad", "image_size", "lighting"), (0, math.inf)),
            **dict.fromkeys(("train_share", "crop_area", "colour_jitter"), (0, 1)),
            "shorter_side": (1, math.inf),
        }
        wrong = out_of_range(self, ranges)
        if self.corruption_rule not in RULES:
            wrong.append(str(unknown("corruption_rule", self.corruption_rule, RULES)))
        return wrong or self._wrong_together()

    def _wrong_together(self) -> list[str]:
        if self.image_size == 0:
            idle = [*self._changed(("crop_area", "shorter_side"))]
            return (
                [f"while image_size is 0, {', '.join(idle)} would have no effect"]
                if idle
                else []
            )
        wrong = []
        if self.crop_pad:
            wrong.append(
                "with image_size, images are cut at random by crop_area: set crop_pad "
                f"to 0 (it is {self.crop_pad})"
            )
        if self.shorter_side < self.image_size:
            wrong.append(
                f"shorter_side {self.shorter_side} must not be below image_size "
                f"{self.image_size}"
            )
        return wrong

    def _changed(self, names: tuple[str, ...]) -> dict[str, Any]:
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return {
            name: value
            for name in names
            if (value := getattr(self, name)) != defaults[name]
        }
