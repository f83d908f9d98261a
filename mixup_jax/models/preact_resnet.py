"""PreAct ResNet-18 for 32x32 images, in both variants behind the paper's numbers.

Parameters with 10 classes: 11,171,146 ("liu") and 11,171,274 ("official").

Sources: He et al. (2016), arXiv:1603.05027, "as implemented in (Liu, 2017)":
pytorch-cifar's models/preact_resnet.py of 2017-09-19 and the paper's own
mixup-cifar10, models/resnet.py. Unlike He et al. neither normalises after the last
block.
"""

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from mixup_jax.errors import UsageError, unknown
from mixup_jax.models.dropout import Dropout
from mixup_jax.models.layers import BeforeStage, DropoutKeys, Layers, enter

VARIANTS = ("liu", "official")


class _Block(nn.Module):
    """Two 3x3 convolutions, each preceded by batch norm and ReLU."""

    channels: int
    stride: int
    raw_shortcut: bool
    dropout: float
    layers: Layers

    @nn.compact
    def __call__(
        self, x: Float[Array, "B H W C"], *, train: bool, dropout_keys
    ) -> Float[Array, "B h w c"]:
        layers = self.layers
        y = nn.relu(layers.norm(x, train=train, name="norm1"))
        shortcut = x if self.raw_shortcut else y
        if x.shape[-1] != self.channels or self.stride != 1:
            # Both variants project the normalised input, without batch norm.
            shortcut = layers.conv(
                y, self.channels, 1, stride=self.stride, name="shortcut"
            )
        y = layers.conv(y, self.channels, 3, stride=self.stride, name="conv1")
        y = nn.relu(layers.norm(y, train=train, name="norm2"))
        y = Dropout(self.dropout, name="dropout")(y, dropout_keys, train=train)
        return shortcut + layers.conv(y, self.channels, 3, name="conv2")


class PreActResNet(nn.Module):
    """Four stages of blocks, global average pooling and one dense layer.

    Attributes:
      num_classes: K.
      depth: 18 in the paper; 2 + 8 n for n blocks in each stage.
      width: Channels of the first stage, doubled at each later one.
      variant: "liu": identity shortcuts carry the raw input. "official": they carry
        the normalised input, and the stem has batch norm and ReLU.
      dropout: Rate before each block's second convolution (the paper's Table 2).
      layers: Precision, initialisation, scope of batch statistics.
    """

    num_stages: ClassVar[int] = 5  # the fifth is pooling and classifying

    num_classes: int
    depth: int = 18
    width: int = 64
    variant: str = "liu"
    dropout: float = 0.0
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
        """Returns float32 logits; x is normalised and of any size from 8x8."""
        blocks = _blocks_per_stage(self.depth)
        if self.variant not in VARIANTS:
            raise unknown("variant of PreAct ResNet", self.variant, VARIANTS)
        official = self.variant == "official"
        x = self.layers.conv(x, self.width, 3, name="stem")
        if official:
            x = nn.relu(self.layers.norm(x, train=train, name="stem_norm"))
        for stage in range(1, 5):
            x = enter(before_stage, stage, x)
            for index in range(1, blocks + 1):
                x = _Block(
                    channels=self.width * 2 ** (stage - 1),
                    stride=2 if stage > 1 and index == 1 else 1,
                    raw_shortcut=not official,
                    dropout=self.dropout,
                    layers=self.layers,
                    name=f"stage{stage}_block{index}",
                )(x, train=train, dropout_keys=dropout_keys)
        x = enter(before_stage, 5, x)
        return self.layers.logits(x, self.num_classes, name="classifier")


def _blocks_per_stage(depth: int) -> int:
    if depth < 10 or (depth - 2) % 8:
        raise UsageError(f"depth must be 10, 18, 26, ... (2 + 8 n), got {depth}")
    return (depth - 2) // 8
