"""3x3 convolutions with 2.25 times fewer multiplications (Winograd's F(2x2, 3x3)).

Four outputs that form a square depend on a 4x4 tile of the input. With tile, kernel and
square transformed linearly, the convolution becomes 16 products of matrices, one for
each place in a tile, of tiles x C by C x K: 16 multiplications where 36 were. Value and
both gradients have this form. Transforms and products are all float32, and rounding is
about that of the direct sum.

Source: Lavin and Gray (2015), arXiv:1509.09308, section 4.1.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# The places of a tile, row by row.
_Tiles = list[list[Array]]
_OneAxis = Callable[[Sequence[Array]], list[Array]]


@jax.custom_vjp
def convolve(
    x: Float[Array, "B H W C"], kernel: Float[Array, "3 3 C K"]
) -> Float[Array, "B H W K"]:
    """Returns x convolved with stride 1 and padding 1; H and W must be even."""
    return _product(x, kernel, contracted=0)


def _forward(x: Array, kernel: Array):
    return convolve(x, kernel), (x, kernel)


def _backward(residuals, dy: Array):
    x, kernel = residuals
    # The gradient of the input is a convolution with the kernel turned by 180 degrees.
    dx = _product(dy, kernel[::-1, ::-1], contracted=1)
    return dx, _kernel_gradient(x, dy)


convolve.defvjp(_forward, _backward)


def _product(x: Array, kernel: Array, *, contracted: int) -> Array:
    """Convolves; `contracted` says which axis of a [C, K] matrix is that of x."""
    batch, height, width, _ = x.shape
    tiles = _both_axes(_input_transform, _input_tiles(x))
    kernels = _both_axes(_kernel_transform, [list(row) for row in kernel])

    def product(tile: Array, matrix: Array) -> Array:
        return _flat(tile) @ (matrix.T if contracted else matrix)

    products = _place_by_place(product, tiles, kernels)
    return _joined(_both_axes(_output_transform, products), (batch, height, width))


def _kernel_gradient(x: Array, dy: Array) -> Array:
    tiles = _both_axes(_input_transform, _input_tiles(x))
    squares = [[dy[:, row::2, column::2] for column in (0, 1)] for row in (0, 1)]
    squares = _both_axes(_output_transposed, squares)
    products = _place_by_place(lambda a, b: _flat(a).T @ _flat(b), tiles, squares)
    return jnp.stack(
        [jnp.stack(row) for row in _both_axes(_kernel_transposed, products)]
    )


def _flat(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def _input_tiles(x: Array) -> _Tiles:
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return [
        [
            padded[:, row : row + height - 1 : 2, column : column + width - 1 : 2]
            for column in range(4)
        ]
        for row in range(4)
    ]


def _joined(squares: _Tiles, shape: tuple[int, int, int]) -> Array:
    batch, height, width = shape
    half = (batch, height // 2, width // 2, squares[0][0].shape[-1])
    rows = [jnp.stack([y.reshape(half) for y in row], axis=3) for row in squares]
    return jnp.stack(rows, axis=2).reshape(*shape, -1)


def _both_axes(transform: _OneAxis, places: _Tiles) -> _Tiles:
    columns = [transform(column) for column in zip(*places, strict=True)]
    return [transform(row) for row in zip(*columns, strict=True)]


def _place_by_place(
    function: Callable[[Array, Array], Array], left: _Tiles, right: _Tiles
) -> _Tiles:
    rows = zip(left, right, strict=True)
    return [[function(*pair) for pair in zip(*row, strict=True)] for row in rows]


def _input_transform(d):
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _kernel_transform(g):
    outer, middle = (g[0] + g[2]) / 2, g[1] / 2
    return [g[0], outer + middle, outer - middle, g[2]]


def _output_transform(m):
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def _output_transposed(y):
    return [y[0], y[0] + y[1], y[0] - y[1], -y[1]]


def _kernel_transposed(u):
    both, difference = (u[1] + u[2]) / 2, (u[1] - u[2]) / 2
    return [u[0] + both, difference, both + u[3]]
