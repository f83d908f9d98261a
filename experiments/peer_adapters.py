"""Other systems' mixup as functions of NumPy arrays, for `experiments.check_peers`.

Each builder imports its system when called, and returns the arguments of
`mixup_jax.testing.check_mixing`. Settings are the system's own unless the name of the
entry tells; alpha is 0.4 where there is one.
"""

import importlib
import itertools
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import mixup_jax
from mixup_jax.testing import Mix

ALPHA = 0.4
CLASSES = 8
# Of CutMix: enough pixels that the edges of a box weigh little.
_CUT = {"image": (24, 32)}
_IDS = {"labels": "ids"}
_EYE = np.eye(CLASSES, dtype=np.float32)


class Peer(NamedTuple):
    """A system's mixing function, not yet imported.

    Attributes:
      packages: Distributions that it needs, its own first; versions are printed.
      build: Returns the arguments of `check_mixing`.
      skip: Checks that would judge the adapter here and not the system.
    """

    packages: tuple[str, ...]
    build: Callable[[], dict[str, Any]]
    skip: tuple[str, ...] = ()


def _ours(function: Callable, **options) -> Callable[[], dict[str, Any]]:
    """Adapts `function(key, inputs, targets, alpha)` of this library."""
    compiled = jax.jit(function)

    def make(alpha: float = ALPHA, seed: int = 0) -> Mix:
        calls = itertools.count()

        def mix(inputs: np.ndarray, labels: np.ndarray):
            key = jax.random.fold_in(jax.random.key(seed), next(calls))
            mixed, targets = compiled(key, inputs, labels, alpha)
            return np.asarray(mixed), np.asarray(targets)

        return mix

    return lambda: {
        "mix": make(),
        "alpha": ALPHA,
        "seeded": lambda seed: make(seed=seed),
        **({} if options else {"at_alpha": make}),
        **options,
    }


def _torch(function: Callable) -> Mix:
    """Adapts a function of PyTorch tensors, NCHW, which share the arrays' memory."""
    torch = importlib.import_module("torch")

    def mix(inputs: np.ndarray, labels: np.ndarray):
        images = torch.from_numpy(inputs.transpose(0, 3, 1, 2))
        mixed, targets = function(images, torch.from_numpy(labels))
        return mixed.numpy().transpose(0, 2, 3, 1), targets.numpy()

    return mix


def _arguments(make: Callable[[float], Mix], **options) -> dict[str, Any]:
    """The arguments for a system that draws from the global generators."""
    torch = importlib.import_module("torch")

    def seeded(seed: int) -> Mix:
        np.random.seed(seed)
        torch.manual_seed(seed)
        return make(ALPHA)

    return {"mix": make(ALPHA), "alpha": ALPHA, "seeded": seeded, **_IDS, **options}


def _timm(mixup: bool = True, **options) -> dict[str, Any]:
    _import_torchvision("torchvision")  # timm imports it too
    module = importlib.import_module("timm.data.mixup")

    def make(alpha: float) -> Mix:
        alphas = {"mixup_alpha": alpha} if mixup else {"mixup_alpha": 0.0}
        return _torch(module.Mixup(num_classes=CLASSES, **alphas, **options))

    return _arguments(make, **({"at_alpha": make} if mixup else _CUT))


def _timm_collate() -> dict[str, Any]:
    _import_torchvision("torchvision")
    module = importlib.import_module("timm.data.mixup")

    def make(alpha: float) -> Mix:
        collate = module.FastCollateMixup(
            mixup_alpha=alpha, num_classes=CLASSES, label_smoothing=0.0
        )

        def mix(inputs: np.ndarray, labels: np.ndarray):
            images = np.rint(inputs * 255).astype(np.uint8).transpose(0, 3, 1, 2)
            pairs = zip(images, labels.tolist(), strict=True)
            mixed, targets = collate(list(pairs))
            mixed = mixed.numpy().transpose(0, 2, 3, 1) / np.float32(255)
            return mixed, targets.numpy()

        return mix

    return _arguments(make, at_alpha=make)


def _torchvision(name: str) -> dict[str, Any]:
    module = _import_torchvision("torchvision.transforms.v2")

    def make(alpha: float) -> Mix:
        return _torch(getattr(module, name)(alpha=alpha, num_classes=CLASSES))

    return _arguments(make, **({"at_alpha": make} if name == "MixUp" else _CUT))


def _import_torchvision(name: str):
    """Imports a module of torchvision, whatever PyTorch it was built for.

    One built for CUDA beside a PyTorch for CPUs loads no compiled operators, and stops
    where it describes two of them. Its mixing needs none: the two are declared here.
    """
    torch = importlib.import_module("torch")
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
    for loaded in [key for key in sys.modules if key.startswith("torchvision")]:
        del sys.modules[loaded]
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor a, Tensor b, float threshold) -> Tensor")
    _DECLARED.append(library)
    return importlib.import_module(name)


_DECLARED: list[Any] = []  # operators vanish with their library


def _keras(name: str) -> dict[str, Any]:
    # Read when keras is first imported; who chose another backend keeps it.
    os.environ.setdefault("KERAS_BACKEND", "jax")
    layer = getattr(importlib.import_module("keras").layers, name)

    def make(alpha: float = ALPHA, seed: int | None = None, key: str = "labels") -> Mix:
        options = {"alpha": alpha} if name == "MixUp" else {}
        mixing = layer(seed=seed, **options)

        def mix(inputs: np.ndarray, labels: np.ndarray):
            mixed = mixing({"images": inputs, key: labels}, training=True)
            return np.asarray(mixed["images"]), np.asarray(mixed[key])

        return mix

    return {
        "mix": make(),
        "alpha": ALPHA,
        "seeded": lambda seed: make(seed=seed),
        "mix_masks": make(key="segmentation_masks"),
        **({"at_alpha": make} if name == "MixUp" else _CUT),
    }


def _kornia() -> dict[str, Any]:
    augmentation = importlib.import_module("kornia.augmentation")
    torch = importlib.import_module("torch")

    def make(alpha: float) -> Mix:
        del alpha  # kornia has none: lambda is uniform, which is alpha = 1
        layer = augmentation.RandomMixUpV2(data_keys=["input", "class"])

        def function(images, labels):
            mixed, triples = layer(images, labels)
            first, other, share = triples.numpy().T  # the share of the partner
            first, other = _EYE[first.astype(int)], _EYE[other.astype(int)]
            share = share[:, None]
            return mixed, torch.from_numpy((1 - share) * first + share * other)

        return _torch(function)

    return {**_arguments(make), "alpha": 1.0}


def _mixup(key, inputs, targets, alpha):
    return mixup_jax.mixup(key, (inputs, targets), alpha=alpha)


def _cutmix(key, inputs, targets, alpha):
    return mixup_jax.cutmix(key, inputs, targets, alpha=alpha)


def _timm_peer(**options) -> Peer:
    return Peer(("timm", "torch"), lambda: _timm(**options))


# The adapter makes bytes of all images, and a list of pairs.
_LISTS = ("arguments kept", "dtypes", "images of bytes", "class ids")
_PLAIN = {"label_smoothing": 0.0}

PEERS = {
    "mixup_jax.mixup": Peer(("mixup-jax", "jax"), _ours(_mixup)),
    "mixup_jax.cutmix": Peer(("mixup-jax", "jax"), _ours(_cutmix, **_CUT)),
    "timm.Mixup": _timm_peer(),
    "timm.Mixup label_smoothing=0": _timm_peer(**_PLAIN),
    "timm.Mixup mode=pair": _timm_peer(mode="pair", **_PLAIN),
    "timm.Mixup mode=elem": _timm_peer(mode="elem", **_PLAIN),
    "timm.Mixup cutmix_alpha=1": _timm_peer(mixup=False, cutmix_alpha=1.0, **_PLAIN),
    "timm.FastCollateMixup": Peer(("timm", "torch"), _timm_collate, _LISTS),
    "torchvision.MixUp": Peer(("torchvision", "torch"), lambda: _torchvision("MixUp")),
    "torchvision.CutMix": Peer(
        ("torchvision", "torch"), lambda: _torchvision("CutMix")
    ),
    "keras.MixUp": Peer(("keras", "jax"), lambda: _keras("MixUp")),
    "keras.CutMix": Peer(("keras", "jax"), lambda: _keras("CutMix")),
    "kornia.RandomMixUpV2": Peer(("kornia", "torch"), _kornia),
}
