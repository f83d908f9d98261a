"""ResNet-50 and -101, and ResNeXt-101 32x4d and 64x4d, for ImageNet.

Parameters with 1000 classes: 25,557,032, 44,549,160, 44,177,704 and 83,455,272.

Sources: He et al. (2015), arXiv:1512.03385, with the stride on the 3x3 convolution as
Goyal et al. (2017), arXiv:1706.02677, section 5.1; Xie et al. (2016),
arXiv:1611.05431, form C of its figure 3.
"""

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from mixup_jax.errors import UsageError
from mixup_jax.models.layers import BeforeStage, DropoutKeys, Layers, enter
from mixup_jax.models.pooling import max_pool

# Blocks of the four stages. 14 and 26 are no one's networks but small enough to try.
BLOCKS = {
    14: (1, 1, 1, 1),
    26: (2, 2, 2, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_EXPANSION = 4


class _Bottleneck(nn.Module):
    """1x1, 3x3 (strided, grouped) and 1x1 convolutions, and ReLU after the sum."""

    inner: int
    outer: int
    stride: int
    groups: int
    layers: Layers

    @nn.compact
    def __call__(
        self, x: Float[Array, "B H W C"], *, train: bool
    ) -> Float[Array, "B h w c"]:
        layers = self.layers
        y = layers.conv(x, self.inner, 1, name="conv1")
        y = nn.relu(layers.norm(y, train=train, name="norm1"))
        y = layers.conv(
            y, self.inner, 3, stride=self.stride, groups=self.groups, name="conv2"
        )
        y = nn.relu(layers.norm(y, train=train, name="norm2"))
        y = layers.conv(y, self.outer, 1, name="conv3")
        y = layers.norm(y, train=train, ends_branch=True, name="norm3")
        if x.shape[-1] != self.outer or self.stride != 1:
            x = layers.conv(x, self.outer, 1, stride=self.stride, name="shortcut")
            x = layers.norm(x, train=train, name="shortcut_norm")
        return nn.relu(x + y)


class ResNet(nn.Module):
    """Stem, four stages of bottlenecks, global average pooling and one dense layer.

    Attributes:
      num_classes: K.
      depth: A key of `BLOCKS`.
      width: Channels of the stem and base of the stages'.
      cardinality: Groups of the 3x3 convolutions; 1 for ResNet.
      group_width: Channels of each group in the first stage when `width` is 64;
        32x4d is cardinality 32 and group width 4.
      layers: Precision, initialisation, scope of batch statistics.
    """

    num_stages: ClassVar[int] = 5  # the fifth is pooling and classifying

    num_classes: int
    depth: int = 50
    width: int = 64
    cardinality: int = 1
    group_width: int = 64
    layers: Layers = Layers(init="goyal")

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B H W C"],
        *,
        train: bool,
        dropout_keys: DropoutKeys | None = None,
        before_stage: BeforeStage | None = None,
    ) -> Float[Array, "B K"]:
        """Returns float32 logits; x is normalised and of any size from 32x32."""
        del dropout_keys  # every network is called alike; this one has no dropout
        self._check()
        x = self.layers.conv(x, self.width, 7, stride=2, name="stem")
        x = nn.relu(self.layers.norm(x, train=train, name="stem_norm"))
        x = max_pool(x, 3, padding=1)
        for stage, blocks in enumerate(BLOCKS[self.depth], start=1):
            x = enter(before_stage, stage, x)
            planes = self.width * 2 ** (stage - 1)
            for index in range(1, blocks + 1):
                x = _Bottleneck(
                    inner=planes * self.group_width // 64 * self.cardinality,
                    outer=planes * _EXPANSION,
                    stride=2 if stage > 1 and index == 1 else 1,
                    groups=self.cardinality,
                    layers=self.layers,
                    name=f"stage{stage}_block{index}",
                )(x, train=train)
        x = enter(before_stage, 5, x)
        return self.layers.logits(x, self.num_classes, name="classifier")

    def _check(self) -> None:
        if self.depth not in BLOCKS:
            raise UsageError(f"depth must be one of {[*BLOCKS]}, got {self.depth}")
        if self.width * self.group_width < 64:
            raise UsageError(
                f"width {self.width} with group_width {self.group_width} leaves no "
                "channels: their product must be at least 64"
            )
