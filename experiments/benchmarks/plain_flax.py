"""PreAct ResNet-18 and its training step as Flax's own layers make them."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import mixup_jax


class Block(nn.Module):
    """Two 3x3 convolutions, each behind batch norm and ReLU."""

    channels: int
    stride: int

    @nn.compact
    def __call__(self, x):
        y = nn.relu(nn.BatchNorm(use_running_average=False)(x))
        shortcut = x
        if x.shape[-1] != self.channels or self.stride != 1:
            shortcut = nn.Conv(self.channels, (1, 1), self.stride, use_bias=False)(y)
        y = nn.Conv(self.channels, (3, 3), self.stride, padding=1, use_bias=False)(y)
        y = nn.relu(nn.BatchNorm(use_running_average=False)(y))
        return shortcut + nn.Conv(self.channels, (3, 3), padding=1, use_bias=False)(y)


class PreActResNet18(nn.Module):
    """Four stages of two blocks."""

    classes: int
    width: int

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(self.width, (3, 3), padding=1, use_bias=False)(x)
        for stage in range(4):
            for block in range(2):
                stride = 2 if stage and not block else 1
                x = Block(self.width << stage, stride)(x)
        return nn.Dense(self.classes)(x.mean(axis=(1, 2)))


def train_step(batch_size: int, width: int) -> Callable:
    """Returns a step with mixup on random images of 32x32x3."""
    network, optimizer = PreActResNet18(10, width), optax.sgd(0.1, momentum=0.9)
    optimizer = optax.chain(optax.add_decayed_weights(1e-4), optimizer)
    x = jax.random.normal(jax.random.key(0), (batch_size, 32, 32, 3))
    y = jax.nn.one_hot(jnp.arange(batch_size) % 10, 10)
    variables = jax.jit(network.init)(jax.random.key(1), x[:2])
    params, stats = variables["params"], variables["batch_stats"]

    @jax.jit
    def step(params, stats, opt_state, key):
        mixed, targets = mixup_jax.mixup(key, (x, y), alpha=1.0)

        def loss_of(params):
            logits, updates = network.apply(
                {"params": params, "batch_stats": stats}, mixed, mutable="batch_stats"
            )
            loss = optax.softmax_cross_entropy(logits, targets).mean()
            return loss, updates["batch_stats"]

        grads, new_stats = jax.grad(loss_of, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), new_stats, opt_state

    opt_state, key = optimizer.init(params), jax.random.key(2)
    return lambda: step(params, stats, opt_state, key)
