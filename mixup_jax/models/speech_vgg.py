"""VGG-11 with batch norm for spectrograms (Google speech commands).

Parameters with 30 classes on 161x101 inputs: 13,172,894.

Source: GCommandsPytorch, model.py, as of 2017-10.
"""

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from mixup_jax.models.layers import (
    BeforeStage,
    DropoutKeys,
    Layers,
    channels_first_rows,
    enter,
)
from mixup_jax.models.pooling import max_pool

# Multiples of the width; a stage ends in 2x2 max pooling.
_STAGES = ((1,), (2,), (4, 4), (8, 8), (8, 8))


class SpeechVGG(nn.Module):
    """Eight 3x3 convolutions with batch norm in five stages, two dense layers.

    Attributes:
      num_classes: K.
      width: Channels of the first convolution.
      hidden: Units of the first dense layer, which has no ReLU.
      layers: Precision, initialisation, scope of batch statistics.
    """

    num_stages: ClassVar[int] = 6  # the sixth is the dense layers

    num_classes: int
    width: int = 64
    hidden: int = 512
    layers: Layers = Layers(init="torch2017")

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B H W C"],
        *,
        train: bool,
        dropout_keys: DropoutKeys | None = None,
        before_stage: BeforeStage | None = None,
    ) -> Float[Array, "B K"]:
        """Returns float32 logits; H and W, at least 32, fix the first dense layer."""
        del dropout_keys  # every network is called alike; this one has no dropout
        layers = self.layers
        for stage, multiples in enumerate(_STAGES, start=1):
            x = enter(before_stage, stage, x)
            for index, multiple in enumerate(multiples, start=1):
                name = f"stage{stage}_{{}}{index}"
                x = layers.conv(
                    x, self.width * multiple, 3, bias=True, name=name.format("conv")
                )
                x = nn.relu(layers.norm(x, train=train, name=name.format("norm")))
            x = max_pool(x, 2)
        x = enter(before_stage, 6, x)
        x = layers.dense(channels_first_rows(x), self.hidden, name="fc1")
        return layers.logits(x, self.num_classes, name="classifier")
