"""How a convolution is computed; every form gives the same up to float32's rounding.

XLA's own convolution serves accelerators. On a CPU three kinds are better put
otherwise: 3x3 convolutions of many channels (`winograd`); 1x1 ones, for whose weight
gradient XLA turns its operands round; and grouped ones, which it computes one product
at a time. On a GPU products for 1x1 ones are faster alone, and XLA 0.11.2 aborts on
their gradients in a network. Parameters, and so checkpoints, are those of the plain
form. What each form gains: docs/speed.md.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from mixup_jax.models import winograd

# Least C K / (C + K): products saved for each number that the transforms write. With 64
# channels on both sides it is 32, and nothing was gained; with 128 it is 64.
_WORTH_A_TRANSFORM = 48
# Channels of a block that groups are merged into: less is slow, more is wasted zeros.
_BLOCK = 32

_plain = contextvars.ContextVar("plain", default=False)


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Within it every convolution that is traced is XLA's own."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def convolve(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "h w c K"],
    strides: Any,
    padding: Any,
    *,
    feature_group_count: int = 1,
    **options: Any,
) -> Float[Array, "B H2 W2 K"]:
    """Convolves; called by `flax.linen.Conv` in place of `lax.conv_general_dilated`.

    Takes what that does, and gives the same.
    """
    plain = dict(options, window_strides=strides, padding=padding)
    if not _plain.get() and jax.default_backend() == "cpu":
        if _suits_winograd(x, kernel, strides, padding, feature_group_count):
            return winograd.convolve(x, kernel)
        if _is_pointwise(kernel, padding, feature_group_count):
            return _by_product(x, kernel, strides)
        if feature_group_count > 1:
            return _by_blocks(x, kernel, feature_group_count, plain)
    return lax.conv_general_dilated(
        x, kernel, feature_group_count=feature_group_count, **plain
    )


def _suits_winograd(x, kernel, strides, padding, groups: int) -> bool:
    height, width, c, k = kernel.shape
    return (
        (height, width, groups) == (3, 3, 1)
        and tuple(strides) == (1, 1)
        and [tuple(pair) for pair in padding] == [(1, 1), (1, 1)]
        and x.shape[1] % 2 == x.shape[2] % 2 == 0
        and x.dtype in (jnp.float32, jnp.float64)
        and c * k >= _WORTH_A_TRANSFORM * (c + k)
    )


def _is_pointwise(kernel, padding, groups: int) -> bool:
    return kernel.shape[:2] == (1, 1) and groups == 1 and not any(map(any, padding))


def _by_product(x: Array, kernel: Array, strides: Any) -> Array:
    """Multiplies what each place has by the matrix that a 1x1 kernel is."""
    down, right = strides
    x = x[:, ::down, ::right]
    rows = x.reshape(-1, x.shape[-1]) @ kernel[0, 0]
    return rows.reshape(*x.shape[:-1], -1)


def _groups_in_a_block(kernel: Array, groups: int) -> int:
    """Returns the greatest divisor of `groups` whose channels fill a block."""
    most = max(1, _BLOCK // kernel.shape[2])
    return max(n for n in range(1, min(groups, most) + 1) if groups % n == 0)


def _by_blocks(x: Array, kernel: Array, groups: int, plain: dict[str, Any]) -> Array:
    """Convolves neighbouring groups as one, with zeros between their channels."""
    merged = _groups_in_a_block(kernel, groups)
    blocks = groups // merged
    kernels = _block_diagonal(kernel, blocks, merged)
    parts = jnp.split(x, blocks, axis=-1)
    outputs = [
        lax.conv_general_dilated(part, block, **plain)
        for part, block in zip(parts, kernels, strict=True)
    ]
    return jnp.concatenate(outputs, axis=-1)


def _block_diagonal(
    kernel: Array, blocks: int, merged: int
) -> Float[Array, "blocks h w C K"]:
    height, width, c, k = kernel.shape
    k //= blocks * merged
    grouped = kernel.reshape(height, width, c, blocks, merged, k)
    ours = jnp.eye(merged, dtype=kernel.dtype)
    spread = jnp.einsum("hwcbmk,mn->bhwncmk", grouped, ours)
    return spread.reshape(blocks, height, width, merged * c, merged * k)
