"""The paper's networks, by name. None of them knows of mixing.

Every network is a Flax module called as `network.apply(variables, x, train=False)`.
With `train=True`, pass `mutable=["batch_stats"]` and, where the network has dropout,
`dropout_keys`, one key per example.

`before_stage` reaches inside: it is called with k and the input of stage k, for k
from 1 to `network.num_stages`, and what it returns goes on in its place. Mixing a
latent layer is `before_stage=lambda k, x: mix(x) if k == layer else x`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from mixup_jax.errors import UsageError, unknown
from mixup_jax.models import initialisation
from mixup_jax.models.convolution import plainly
from mixup_jax.models.densenet import DenseNet
from mixup_jax.models.gan import Discriminator, Generator
from mixup_jax.models.mlp import MLP
from mixup_jax.models.preact_resnet import PreActResNet
from mixup_jax.models.resnet import ResNet
from mixup_jax.models.speech_lenet import SpeechLeNet
from mixup_jax.models.speech_vgg import SpeechVGG
from mixup_jax.models.wide_resnet import WideResNet
from mixup_jax.types import Key, PyTree


class Builder(NamedTuple):
    """A network of the paper: its class, its fields, and what it was used on."""

    network: Callable[..., nn.Module]
    inputs: tuple[int, ...]  # shape of one example in the paper
    num_classes: int | None  # in the paper; None: differs by data set
    fields: Mapping[str, Any] = {}


_CIFAR, _IMAGENET, _SPEECH = (32, 32, 3), (224, 224, 3), (161, 101, 1)

BUILDERS = {
    "preact_resnet18": Builder(PreActResNet, _CIFAR, 10),
    "preact_resnet18_official": Builder(
        PreActResNet, _CIFAR, 10, {"variant": "official"}
    ),
    "wide_resnet28_10": Builder(WideResNet, _CIFAR, 10),
    "densenet_bc190_40": Builder(DenseNet, _CIFAR, 10),
    "resnet50": Builder(ResNet, _IMAGENET, 1000),
    "resnet101": Builder(ResNet, _IMAGENET, 1000, {"depth": 101}),
    "resnext101_32x4d": Builder(
        ResNet, _IMAGENET, 1000, {"depth": 101, "cardinality": 32, "group_width": 4}
    ),
    "resnext101_64x4d": Builder(
        ResNet, _IMAGENET, 1000, {"depth": 101, "cardinality": 64, "group_width": 4}
    ),
    "speech_lenet": Builder(SpeechLeNet, _SPEECH, 30),
    "speech_vgg11": Builder(SpeechVGG, _SPEECH, 30),
    "mlp": Builder(MLP, (8,), None),
    "gan_generator": Builder(Generator, (2,), 2),
    "gan_discriminator": Builder(Discriminator, (2,), 1),
}


def create(
    name: str,
    num_classes: int | None = None,
    *,
    dtype: DTypeLike = jnp.float32,
    init: str | None = None,
    axis_name: str | None = None,
    ghost: int = 0,
    **overrides: int | float | str,
) -> nn.Module:
    """Returns one of the paper's networks.

    Args:
      name: A key of `BUILDERS`.
      num_classes: K, at least 1; None for the paper's, where it is one number.
      dtype: One of `layers.DTYPES`, of the computation; parameters and logits are
        float32.
      init: A key of `layers.INITIALISATIONS`; None for that of the reference.
      axis_name: Mapped axis over which batch statistics are shared; None for none.
      ghost: Examples whose batch statistics are taken together; 0: all of a device.
      **overrides: The network's own fields, such as `depth` and `width`.

    Raises:
      UsageError: If the name, an option or its value is not known to the network.
    """
    if name not in BUILDERS:
        raise unknown("model", name, BUILDERS)
    builder = BUILDERS[name]
    classes = builder.num_classes if num_classes is None else num_classes
    if classes is None:
        raise UsageError(f"{name} needs num_classes: the paper has no single number")
    known = _fields(builder.network)
    for option in overrides:
        if option not in known:
            raise unknown(f"option of {name}", option, known)
    fields = {**builder.fields, **overrides}
    for option, value in [("num_classes", classes), *fields.items()]:
        if known.get(option, int) is int and (not isinstance(value, int) or value < 1):
            raise UsageError(f"{option} must be a whole number from 1, got {value!r}")
    default = _layers(builder.network)
    layers = dataclasses.replace(
        default,
        dtype=dtype,
        init=default.init if init is None else init,
        axis_name=axis_name,
        ghost=ghost,
    )
    return builder.network(num_classes=classes, layers=layers, **fields)


def initialise(network: nn.Module, key: Key, inputs: tuple[int, ...]) -> PyTree:
    """Returns a network's first variables; `inputs` is one example's shape.

    The distributions are those of `network.init`, the numbers are not: all are drawn
    at once, which compiles in a tenth of the time where there are many kernels.
    """
    x = jnp.zeros((1, *inputs), jnp.float32)
    counts = initialisation.Tape()
    with initialisation.drawing_from(counts):
        shapes(network, inputs)

    normal, uniform = jax.random.split(key)
    numbers = {
        "normal": jax.random.normal(normal, (counts.used["normal"],)),
        "uniform": jax.random.uniform(uniform, (counts.used["uniform"],)),
    }

    def cut(numbers):
        with initialisation.drawing_from(initialisation.Tape(**numbers)):
            return network.init(key, x, train=False)

    # Optimising a program that runs once costs more than it saves.
    compiled = (
        jax.jit(cut).lower(numbers).compile({"xla_backend_optimization_level": "0"})
    )
    return compiled(numbers)


def shapes(network: nn.Module, inputs: tuple[int, ...]) -> PyTree:
    """Returns the shapes and types of a network's variables, without any compute."""
    x = jax.ShapeDtypeStruct((1, *inputs), jnp.float32)
    # Asking which form suits the platform would start it: before several processes have
    # joined, and before a program has chosen its settings.
    with plainly():
        return jax.eval_shape(
            lambda x: network.init(jax.random.key(0), x, train=False), x
        )


def _fields(network: Callable[..., nn.Module]) -> dict[str, Any]:
    """Returns the architecture's fields and their types."""
    hidden = {"layers", "num_classes", "parent", "name"}
    every = dataclasses.fields(network)  # pyrefly: ignore
    return {field.name: field.type for field in every if field.name not in hidden}


def _layers(network: Callable[..., nn.Module]) -> Any:
    every = dataclasses.fields(network)  # pyrefly: ignore
    return next(field.default for field in every if field.name == "layers")
