"""LeNet for spectrograms of one-second commands (Google speech commands).

Parameters with 30 classes on 161x101 inputs: 16,321,570.

Source: GCommandsPytorch, model.py, as of 2017-10.
"""

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from mixup_jax.models.dropout import Dropout
from mixup_jax.models.layers import (
    BeforeStage,
    DropoutKeys,
    Layers,
    channels_first_rows,
    enter,
)
from mixup_jax.models.pooling import max_pool


class SpeechLeNet(nn.Module):
    """Two 5x5 convolutions with pooling, two dense layers.

    Attributes:
      num_classes: K.
      width: Channels of both convolutions.
      hidden: Units of the first dense layer.
      dropout: Rate of the channels after the second convolution and of the units
        before the last layer.
      layers: Precision and initialisation.
    """

    num_stages: ClassVar[int] = 3  # second convolution, dense layers, last layer

    num_classes: int
    width: int = 20
    hidden: int = 1000
    dropout: float = 0.5
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
        """Returns float32 logits; H and W, at least 16, fix the first dense layer."""
        x = self._convolve(x, "conv1")
        x = nn.relu(_pool(x))
        x = enter(before_stage, 1, x)
        x = self._convolve(x, "conv2")
        x = Dropout(self.dropout, whole_channels=True, name="dropout2")(
            x, dropout_keys, train=train
        )
        x = nn.relu(_pool(x))
        x = enter(before_stage, 2, x)
        x = nn.relu(self.layers.dense(channels_first_rows(x), self.hidden, name="fc1"))
        x = Dropout(self.dropout, name="dropout3")(x, dropout_keys, train=train)
        x = enter(before_stage, 3, x)
        return self.layers.logits(x, self.num_classes, name="classifier")

    def _convolve(self, x: Array, name: str) -> Array:
        return self.layers.conv(x, self.width, 5, padding=0, bias=True, name=name)


def _pool(x: Array) -> Array:
    return max_pool(x, 2)
