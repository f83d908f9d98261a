"""What steps of training and of evaluation are made of."""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import optax
from jaxtyping import Array, Shaped

from mixup_jax.vicinity.vicinity import Vicinity

# Per-example keys and raw inputs to the network's inputs.
Prepare = Callable[[Shaped[Array, " B *key"], Shaped[Array, "B ..."]], Array]
Normalise = Callable[[Shaped[Array, "B ..."]], Array]


def _identity(mixed: Array) -> Array:
    return mixed


@dataclasses.dataclass(frozen=True)
class TrainRecipe:
    """What a training step is made of.

    Attributes:
      network: Of `mixup_jax.models`.
      optimizer: Of `mixup_jax.training.optimizer`.
      prepare: Makes stored examples what is to be mixed: augments, normalises. The same
        key gives the same result, so that a partner looks as it does in its own place
        in the batch.
      num_classes: K.
      batch_size: Global, of all batches but perhaps the last of an epoch.
      steps_per_epoch: Steps in an epoch.
      epochs: Of the run.
      vicinity: Of the virtual examples; its alpha only says whether there is mixing,
        the strength is `TrainData.alpha`.
      finish: Makes mixed examples what the network reads.
      parts: Into which a device cuts its share of a batch, to need less memory.
      remat: Whether only what layers with weights give is kept for the backward pass.
      ema: Decay of the moving average of the parameters; 0 for none.
    """

    network: nn.Module
    optimizer: optax.GradientTransformation
    prepare: Prepare
    num_classes: int
    batch_size: int
    steps_per_epoch: int
    epochs: int
    vicinity: Vicinity
    finish: Callable[[Array], Array] = _identity
    parts: int = 1
    remat: bool = False
    ema: float = 0.0


@dataclasses.dataclass(frozen=True)
class EvalRecipe:
    """What an evaluation step is made of.

    Attributes:
      network: Of `mixup_jax.models`.
      normalise: Raw inputs to the network's.
      groups: Number of groups that are counted apart.
    """

    network: nn.Module
    normalise: Normalise
    groups: int = 1
