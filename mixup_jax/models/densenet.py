"""DenseNet-BC-190 with growth rate 40 for 32x32 images.

Parameters with 10 classes: 25,624,430.

Sources: Huang et al. (2017), arXiv:1608.06993; Veit's densenet-pytorch, which the
paper's mixup-cifar10 uses as models/densenet3.py.
"""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from mixup_jax.errors import UsageError
from mixup_jax.models.dropout import Dropout
from mixup_jax.models.layers import BeforeStage, DropoutKeys, Layers, enter


class _Layer(nn.Module):
    """A bottleneck of four times the growth rate, then the new channels."""

    growth: int
    dropout: float
    layers: Layers

    @nn.compact
    def __call__(
        self, x: Float[Array, "B H W C"], *, train: bool, dropout_keys
    ) -> Float[Array, "B H W c"]:
        layers = self.layers
        y = nn.relu(layers.norm(x, train=train, name="norm1"))
        y = layers.conv(y, 4 * self.growth, 1, name="conv1")
        y = Dropout(self.dropout, name="dropout1")(y, dropout_keys, train=train)
        y = nn.relu(layers.norm(y, train=train, name="norm2"))
        y = layers.conv(y, self.growth, 3, name="conv2")
        y = Dropout(self.dropout, name="dropout2")(y, dropout_keys, train=train)
        return jnp.concatenate([x, y], axis=-1)


class DenseNet(nn.Module):
    """Three dense blocks with transitions between, batch norm, pooling, dense layer.

    Attributes:
      num_classes: K.
      depth: 190 in the paper; 4 + 6 n for n layers in each block.
      growth: Channels each layer adds; the stem has twice as many.
      dropout: Rate after both convolutions of a layer; 0 in the paper.
      layers: Precision, initialisation, scope of batch statistics.
    """

    num_stages: ClassVar[int] = 4  # the fourth is pooling and classifying

    num_classes: int
    depth: int = 190
    growth: int = 40
    dropout: float = 0.0
    layers: Layers = Layers(init="fan_out")

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B H W C"],
        *,
        train: bool,
        dropout_keys: DropoutKeys | None = None,
        before_stage: BeforeStage | None = None,
    ) -> Float[Array, "B K"]:
        """Returns float32 logits; x is normalised and of any size from 4x4."""
        count = _layers_per_block(self.depth)
        x = self.layers.conv(x, 2 * self.growth, 3, name="stem")
        for stage in range(1, 4):
            x = enter(before_stage, stage, x)
            for index in range(1, count + 1):
                x = _Layer(
                    self.growth,
                    self.dropout,
                    self.layers,
                    name=f"stage{stage}_layer{index}",
                )(x, train=train, dropout_keys=dropout_keys)
            if stage < 3:
                x = self._transition(x, stage, train=train)
        x = nn.relu(self.layers.norm(x, train=train, name="norm"))
        x = enter(before_stage, 4, x)
        return self.layers.logits(x, self.num_classes, name="classifier")

    def _transition(self, x: Array, stage: int, *, train: bool) -> Array:
        x = nn.relu(self.layers.norm(x, train=train, name=f"transition{stage}_norm"))
        x = self.layers.conv(x, x.shape[-1] // 2, 1, name=f"transition{stage}_conv")
        return nn.avg_pool(x, (2, 2), strides=(2, 2))


def _layers_per_block(depth: int) -> int:
    if depth < 10 or (depth - 4) % 6:
        raise UsageError(f"depth must be 10, 16, 22, ... (4 + 6 n), got {depth}")
    return (depth - 4) // 6
