"""WideResNet-28-10 for 32x32 images.

Parameters with 10 classes: 36,479,194.

Source: Zagoruyko and Komodakis (2016), arXiv:1605.07146, and their
models/wide-resnet.lua.
"""

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from mixup_jax.errors import UsageError
from mixup_jax.models.dropout import Dropout
from mixup_jax.models.layers import BeforeStage, DropoutKeys, Layers, enter


class _Block(nn.Module):
    """Two 3x3 convolutions, each preceded by batch norm and ReLU."""

    channels: int
    stride: int
    dropout: float
    layers: Layers

    @nn.compact
    def __call__(
        self, x: Float[Array, "B H W C"], *, train: bool, dropout_keys
    ) -> Float[Array, "B h w c"]:
        layers = self.layers
        y = nn.relu(layers.norm(x, train=train, name="norm1"))
        shortcut = x
        if x.shape[-1] != self.channels:
            shortcut = layers.conv(
                y, self.channels, 1, stride=self.stride, name="shortcut"
            )
        y = layers.conv(y, self.channels, 3, stride=self.stride, name="conv1")
        y = nn.relu(layers.norm(y, train=train, name="norm2"))
        y = Dropout(self.dropout, name="dropout")(y, dropout_keys, train=train)
        return shortcut + layers.conv(y, self.channels, 3, name="conv2")


class WideResNet(nn.Module):
    """Three stages of wide blocks, batch norm, pooling and one dense layer.

    Attributes:
      num_classes: K.
      depth: 28 in the paper; 4 + 6 n for n blocks in each stage.
      width: Multiple of the 16, 32 and 64 channels of the stages.
      dropout: Rate before each block's second convolution; 0 in the paper.
      layers: Precision, initialisation, scope of batch statistics.
    """

    num_stages: ClassVar[int] = 4  # the fourth is pooling and classifying

    num_classes: int
    depth: int = 28
    width: int = 10
    dropout: float = 0.0
    layers: Layers = Layers(init="wrn_lua")

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
        blocks = _blocks_per_stage(self.depth)
        x = self.layers.conv(x, 16, 3, name="stem")
        for stage in range(1, 4):
            x = enter(before_stage, stage, x)
            for index in range(1, blocks + 1):
                x = _Block(
                    channels=16 * self.width * 2 ** (stage - 1),
                    stride=2 if stage > 1 and index == 1 else 1,
                    dropout=self.dropout,
                    layers=self.layers,
                    name=f"stage{stage}_block{index}",
                )(x, train=train, dropout_keys=dropout_keys)
        x = nn.relu(self.layers.norm(x, train=train, name="norm"))
        x = enter(before_stage, 4, x)
        return self.layers.logits(x, self.num_classes, name="classifier")


def _blocks_per_stage(depth: int) -> int:
    if depth < 10 or (depth - 4) % 6:
        raise UsageError(f"depth must be 10, 16, 22, ... (4 + 6 n), got {depth}")
    return (depth - 4) // 6
