"""How large a network is, read off its shapes: nothing is computed or compiled."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mixup_jax import models
from mixup_jax.models.convolution import plainly


def parameters(network: nn.Module, inputs: tuple[int, ...]) -> int:
    """Returns the number of trained parameters; `inputs` is one example's shape."""
    params = models.shapes(network, inputs)["params"]
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def multiply_adds(network: nn.Module, inputs: tuple[int, ...]) -> int:
    """Returns the multiply-adds of convolutions and dense layers for one example.

    Of the direct sums, however they are computed.
    """
    x = jax.ShapeDtypeStruct((1, *inputs), jnp.float32)
    variables = models.shapes(network, inputs)
    with plainly():
        jaxpr = jax.make_jaxpr(partial(network.apply, train=False))(variables, x)
    return sum(_of_equation(equation) for equation in _equations(jaxpr.jaxpr))


def _of_equation(equation: Any) -> int:
    if equation.primitive.name not in ("conv_general_dilated", "dot_general"):
        return 0
    kernel = equation.invars[1].aval
    outputs = math.prod(equation.outvars[0].aval.shape)
    if equation.primitive.name == "dot_general":
        ((_, contracted), _) = equation.params["dimension_numbers"]
        return outputs * math.prod(kernel.shape[axis] for axis in contracted)
    # Each output sums over the kernel's area and the input channels of its group.
    out_axis = equation.params["dimension_numbers"].rhs_spec[0]
    return outputs * math.prod(kernel.shape) // kernel.shape[out_axis]


def _equations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for parameter in equation.params.values():
            inner = getattr(parameter, "jaxpr", parameter)  # closed, or open already
            if hasattr(inner, "eqns"):
                yield from _equations(inner)
