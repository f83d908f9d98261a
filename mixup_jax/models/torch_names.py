"""What our layers are called in the PyTorch files that people have weights of.

Only names are taken from these sources: kuangliu/pytorch-cifar and
facebookresearch/mixup-cifar10 (PreAct ResNet), szagoruyko/wide-residual-networks and
xternalz/WideResNet-pytorch, andreasveit/densenet-pytorch, torchvision and timm
(ResNet, ResNeXt), pytorchcv (WideResNet, DenseNet, ResNet, ResNeXt),
adiyoss/GCommandsPytorch, hongyi-zhang/mixup (GAN).
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import flax.linen as nn

from mixup_jax.models.densenet import DenseNet
from mixup_jax.models.mlp import MLP
from mixup_jax.models.preact_resnet import PreActResNet
from mixup_jax.models.resnet import ResNet
from mixup_jax.models.speech_lenet import SpeechLeNet
from mixup_jax.models.speech_vgg import SpeechVGG
from mixup_jax.models.wide_resnet import WideResNet


class Style(NamedTuple):
    """One way of naming a network's modules.

    Attributes:
      rules: From a pattern of our path, in which # stands for a number, to the
        PyTorch module's name, or to a function that makes it of those numbers.
      bare: Whether a convolution's kernel is stored without the suffix ".weight".
    """

    rules: Mapping[str, str | Callable[..., str]]
    bare: bool = False

    def module(self, path: str) -> str:
        """Returns the PyTorch name of the module at our path."""
        numbers = [int(number) for number in re.findall(r"\d+", path)]
        for pattern, name in self.rules.items():
            if path == pattern:
                return str(name)
            if callable(name) and re.sub(r"\d+", "#", path) == pattern:
                return name(*numbers)
        raise KeyError(path)


_PREACT = Style(
    {
        "stem": "conv1",
        "stem_norm": "bn1",
        "stage#_block#/norm#": lambda s, b, n: f"layer{s}.{b - 1}.bn{n}",
        "stage#_block#/conv#": lambda s, b, n: f"layer{s}.{b - 1}.conv{n}",
        "stage#_block#/shortcut": lambda s, b: f"layer{s}.{b - 1}.shortcut.0",
        "classifier": "linear",
    }
)
_TORCHVISION = Style(
    {
        "stem": "conv1",
        "stem_norm": "bn1",
        "stage#_block#/norm#": lambda s, b, n: f"layer{s}.{b - 1}.bn{n}",
        "stage#_block#/conv#": lambda s, b, n: f"layer{s}.{b - 1}.conv{n}",
        "stage#_block#/shortcut": lambda s, b: f"layer{s}.{b - 1}.downsample.0",
        "stage#_block#/shortcut_norm": lambda s, b: f"layer{s}.{b - 1}.downsample.1",
        "classifier": "fc",
    }
)
_XTERNALZ = Style(
    {
        "stem": "conv1",
        "stage#_block#/norm#": lambda s, b, n: f"block{s}.layer.{b - 1}.bn{n}",
        "stage#_block#/conv#": lambda s, b, n: f"block{s}.layer.{b - 1}.conv{n}",
        "stage#_block#/shortcut": lambda s, b: f"block{s}.layer.{b - 1}.convShortcut",
        "norm": "bn1",
        "classifier": "fc",
    }
)
_SZAGORUYKO = Style(
    {
        "stem": "conv0",
        "stage#_block#/norm#": lambda s, b, n: f"group{s - 1}.block{b - 1}.bn{n - 1}",
        "stage#_block#/conv#": lambda s, b, n: f"group{s - 1}.block{b - 1}.conv{n - 1}",
        "stage#_block#/shortcut": lambda s, b: f"group{s - 1}.block{b - 1}.convdim",
        "norm": "bn",
        "classifier": "fc",
    },
    bare=True,
)
_VEIT = Style(
    {
        "stem": "conv1",
        "stage#_layer#/norm#": lambda s, b, n: f"block{s}.layer.{b - 1}.bn{n}",
        "stage#_layer#/conv#": lambda s, b, n: f"block{s}.layer.{b - 1}.conv{n}",
        "transition#_norm": lambda s: f"trans{s}.bn1",
        "transition#_conv": lambda s: f"trans{s}.conv1",
        "norm": "bn1",
        "classifier": "fc",
    }
)
_LENET = Style({"conv1": "conv1", "conv2": "conv2", "fc1": "fc1", "classifier": "fc2"})
# Where the stages begin in the reference's flat list of layers.
_VGG_START = (0, 4, 8, 15, 22)
_VGG = Style(
    {
        "stage#_conv#": lambda s, i: f"features.{_VGG_START[s - 1] + 3 * i - 3}",
        "stage#_norm#": lambda s, i: f"features.{_VGG_START[s - 1] + 3 * i - 2}",
        "fc1": "fc1",
        "classifier": "fc2",
    }
)


def _pytorchcv(rules: Mapping[str, str | Callable[..., str]]) -> Style:
    return Style({**rules, "norm": "features.post_activ.bn", "classifier": "output"})


def _unit(stage: int, unit: int) -> str:
    return f"features.stage{stage}.unit{unit}"


_PYTORCHCV_WIDE_RESNET = _pytorchcv(
    {
        "stem": "features.init_block",
        "stage#_block#/norm#": lambda s, b, n: f"{_unit(s, b)}.body.conv{n}.bn",
        "stage#_block#/conv#": lambda s, b, n: f"{_unit(s, b)}.body.conv{n}.conv",
        "stage#_block#/shortcut": lambda s, b: f"{_unit(s, b)}.identity_conv",
    }
)
_PYTORCHCV_RESNET = _pytorchcv(
    {
        "stem": "features.init_block.conv.conv",
        "stem_norm": "features.init_block.conv.bn",
        "stage#_block#/norm#": lambda s, b, n: f"{_unit(s, b)}.body.conv{n}.bn",
        "stage#_block#/conv#": lambda s, b, n: f"{_unit(s, b)}.body.conv{n}.conv",
        "stage#_block#/shortcut": lambda s, b: f"{_unit(s, b)}.identity_conv.conv",
        "stage#_block#/shortcut_norm": lambda s, b: f"{_unit(s, b)}.identity_conv.bn",
    }
)
_PYTORCHCV_DENSENET = _pytorchcv(
    {
        "stem": "features.init_block",
        "stage#_layer#/norm#": lambda s, b, n: f"{_unit(s, b)}.conv{n}.bn",
        "stage#_layer#/conv#": lambda s, b, n: f"{_unit(s, b)}.conv{n}.conv",
        # A transition opens the later stage there.
        "transition#_norm": lambda s: f"features.stage{s + 1}.trans{s + 1}.conv.bn",
        "transition#_conv": lambda s: f"features.stage{s + 1}.trans{s + 1}.conv.conv",
    }
)


def _sequential(prefix: str, depth: int) -> Style:
    return Style(
        {
            "hidden#": lambda n: f"{prefix}{2 * n - 2}",
            "classifier": f"{prefix}{2 * depth}",
        }
    )


def styles(network: nn.Module) -> dict[str, Style]:
    """Returns the known ways of naming this network, the usual one first."""
    match network:
        case PreActResNet():
            return {"pytorch-cifar": _PREACT}
        case WideResNet():
            return {
                "xternalz": _XTERNALZ,
                "szagoruyko": _SZAGORUYKO,
                "pytorchcv": _PYTORCHCV_WIDE_RESNET,
            }
        case DenseNet():
            return {"veit": _VEIT, "pytorchcv": _PYTORCHCV_DENSENET}
        case ResNet():
            return {"torchvision": _TORCHVISION, "pytorchcv": _PYTORCHCV_RESNET}
        case SpeechLeNet():
            return {"gcommands": _LENET}
        case SpeechVGG():
            return {"gcommands": _VGG}
        case MLP(depth=depth):
            return {"net": _sequential("net.", depth), "plain": _sequential("", depth)}
    raise TypeError(f"no PyTorch names for {type(network).__name__}")
