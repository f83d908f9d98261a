"""How every network here builds its convolutions, dense layers and normalisation.

A network holds one `Layers` and asks it for each layer, so that precision,
initialisation and the scope of batch statistics are chosen in one place and networks
state nothing but their architecture.
"""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Shaped

from mixup_jax.errors import UsageError, unknown
from mixup_jax.models.convolution import convolve
from mixup_jax.models.initialisation import (
    INITIALISATIONS,
    Initialisation,
    uniform_bias,
)
from mixup_jax.models.normalisation import BatchNorm

DTYPES = ("bfloat16", "float32", "float64")

# Called with k and the input of stage k (the last k: what is pooled or classified);
# what it returns goes on in its place.
BeforeStage = Callable[[int, Array], Array]
# One key per example, so that a draw does not depend on the example's device.
DropoutKeys = Shaped[Array, "B *key"]


def enter(before_stage: BeforeStage | None, stage: int, x: Array) -> Array:
    """Returns the input of a stage, as the caller wants it."""
    return x if before_stage is None else before_stage(stage, x)


def channels_first_rows(x: Float[Array, "B H W C"]) -> Float[Array, "B CHW"]:
    """Flattens as PyTorch does, so that its weights for dense layers fit."""
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


# What convolutions and dense layers give goes by this name where a step that
# rematerialises is to keep it: all between them is cheap to compute again.
KEPT = "weighted"


@dataclasses.dataclass(frozen=True)
class Layers:
    """Constructors of layers, called inside a module's compact method.

    Attributes:
      dtype: One of `DTYPES`, of the computation; parameters, statistics and logits
        stay float32.
      init: A key of `INITIALISATIONS`.
      axis_name: Mapped axis over which batch statistics are shared; None for none.
      ghost: Examples whose batch statistics are taken together; 0: all (of a device).
    """

    dtype: DTypeLike = jnp.float32
    init: str = "torch2017"
    axis_name: str | None = None
    ghost: int = 0

    def __post_init__(self):
        if _name(self.dtype) not in DTYPES:
            raise unknown("dtype", _name(self.dtype), DTYPES)
        if self.init not in INITIALISATIONS:
            raise unknown("initialisation", self.init, INITIALISATIONS)
        if self.ghost < 0:
            raise UsageError(f"ghost must be at least 0, got {self.ghost}")
        if self.ghost and self.axis_name is not None:
            raise UsageError(
                "ghost groups cannot share batch statistics between devices: choose one"
            )

    @property
    def _initialisation(self) -> Initialisation:
        return INITIALISATIONS[self.init]

    def conv(
        self,
        x: Float[Array, "B H W C"],
        channels: int,
        size: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
        name: str,
    ) -> Float[Array, "B h w c"]:
        """A square convolution, padded by size // 2 on every side unless told.

        Flax's "SAME" pads strided convolutions on one side only, PyTorch on both.
        """
        y = nn.Conv(
            channels,
            (size, size),
            stride,
            padding=size // 2 if padding is None else padding,
            feature_group_count=groups,
            use_bias=bias,
            dtype=self.dtype,
            kernel_init=self._initialisation.conv,
            bias_init=uniform_bias(size * size * x.shape[-1] // groups),
            conv_general_dilated=convolve,
            name=name,
        )(x)
        return checkpoint_name(y, KEPT)

    def dense(
        self, x: Float[Array, "B i"], features: int, *, name: str
    ) -> Float[Array, "B o"]:
        """A fully connected layer with bias."""
        return self._dense(x, features, self.dtype, name)

    def norm(
        self,
        x: Float[Array, "*B C"],
        *,
        train: bool,
        ends_branch: bool = False,
        name: str,
    ) -> Float[Array, "*B C"]:
        """Batch normalisation; some initialise the one ending a branch differently."""
        init = self._initialisation
        return BatchNorm(
            axis_name=self.axis_name,
            ghost=self.ghost,
            dtype=self.dtype,
            scale_init=init.last_gamma if ends_branch else init.gamma,
            name=name,
        )(x, train=train)

    def logits(
        self, x: Float[Array, "B ..."], classes: int, *, name: str
    ) -> Float[Array, "B K"]:
        """Averages over positions, if any, and classifies, all in float32."""
        positions = tuple(range(1, x.ndim - 1))
        wide = jnp.promote_types(x.dtype, jnp.float32)
        pooled = x.astype(wide).mean(axis=positions)
        return self._dense(pooled, classes, wide, name)

    def _dense(self, x: Array, features: int, dtype: DTypeLike, name: str) -> Array:
        init = self._initialisation
        y = nn.Dense(
            features,
            dtype=dtype,
            kernel_init=init.dense,
            bias_init=init.dense_bias(x.shape[-1]),
            name=name,
        )(x)
        return checkpoint_name(y, KEPT)


def _name(dtype: DTypeLike) -> str:
    try:
        return jnp.dtype(dtype).name
    except TypeError:
        return str(dtype)
