"""Small networks, as functions from inputs to logits, whose worst cases are known."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np


def linear(weights, bias):
    """Logits x W + b of flattened inputs."""
    weights, bias = jnp.asarray(weights), jnp.asarray(bias)
    return lambda x: x.reshape(len(x), -1) @ weights + bias[None]


def mlp(seed=0, features=6, hidden=32, classes=5):
    """A random network with one hidden layer; its loss has many local maxima."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(features, hidden)).astype(np.float32) * np.float32(1.5)
    shift = rng.normal(size=(1, hidden)).astype(np.float32)
    second = rng.normal(size=(hidden, classes)).astype(np.float32) / np.float32(2)
    return lambda x: jnp.tanh(x.reshape(len(x), -1) @ first + shift) @ second


def examples(predict, shape=(6,), count=64, seed=1):
    """Inputs in [0, 1] that are predicted right."""
    rng = np.random.default_rng(seed)
    inputs = jnp.asarray(rng.uniform(size=(count, *shape)), jnp.float32)
    return inputs, jnp.argmax(jax.jit(predict)(inputs), axis=-1)


def worst_margins(weights, bias, inputs, labels, epsilon, low=0.0, high=1.0):
    """The greatest margin of a linear network towards each class, in float64.

    Every coordinate counts by itself, so its best value is an end of its interval.
    """
    weights, bias, inputs = (np.asarray(a, np.float64) for a in (weights, bias, inputs))
    inputs = inputs.reshape(len(inputs), -1)
    lower = np.maximum(inputs - epsilon, low)
    upper = np.minimum(inputs + epsilon, high)
    margins = np.full((len(inputs), len(bias)), -np.inf)
    for row, target in itertools.product(range(len(inputs)), range(len(bias))):
        label = int(labels[row])
        if target != label:
            ways = weights[:, target] - weights[:, label]
            best = np.where(ways > 0, upper[row], lower[row])
            margins[row, target] = best @ ways + bias[target] - bias[label]
    return margins
