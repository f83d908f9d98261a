"""The virtual examples of one training step, as one device makes them.

Draws are for the global batch, from a key that every device shares, so they are the
same on one device and on eight. Where the data set lies whole on each device, partners
are loaded by index and pairs cost no communication; what no other device has, streamed
inputs and features inside the network (`mix_at`), is fetched from where it is.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Shaped

from mixup_jax.randomness import Purpose, example_keys, purpose_key
from mixup_jax.training.placement import AXIS
from mixup_jax.training.step_data import TrainData
from mixup_jax.types import Batch, Key
from mixup_jax.vicinity.cutmix import CutMixing, draw_cutmix, switch
from mixup_jax.vicinity.exchange import fetch, own_rows
from mixup_jax.vicinity.mix import Mixing, blend, combine, shares, sources
from mixup_jax.vicinity.neighbours import Neighbours, sample_neighbours
from mixup_jax.vicinity.noise import gaussian_noise
from mixup_jax.vicinity.targets import closest, smooth_labels
from mixup_jax.vicinity.vicinity import Vicinity

# A stage of the network and its input, to what the stage is to read instead.
BeforeStage = Callable[[int, Array], Array]


class Place(NamedTuple):
    """Where a device stands in a step.

    Attributes:
      step: Steps taken before this one.
      epoch: Epochs done, with fraction.
      indices: Of the global batch, into the data set.
      positions: This device's places in it.
    """

    step: Int[Array, ""]
    epoch: Float[Array, ""]
    indices: Int[Array, " B"]
    positions: Int[Array, " b"]


class Examples(NamedTuple):
    """How a device comes by examples that are ready to be mixed.

    Attributes:
      own: Those at its positions.
      at: Those at places in the global batch.
      rows: Those of the data set by index; None where only the batch is there.
    """

    own: Batch
    at: Callable[[Int[Array, " b"]], Batch]
    rows: Callable[[Int[Array, " b"]], Batch] | None = None


def by_index(load: Callable[[Int[Array, " b"]], Batch], place: Place) -> Examples:
    """Returns access to a data set that lies whole on the device."""
    own = load(place.indices[place.positions])
    return Examples(own, lambda places: load(place.indices[places]), load)


class _Draw(NamedTuple):
    """The draw for this device's rows.

    Attributes:
      mixing: Its partners are places in the global batch; those of neighbours, which
        are not in the batch, are indices into the data set.
      cut: Pixel shares instead of `mixing`'s, where CutMix is in use.
    """

    mixing: Mixing
    cut: CutMixing | None


def vicinal_batch(
    vicinity: Vicinity,
    examples: Examples,
    data: TrainData,
    place: Place,
    alpha: Float[Array, ""],
    *,
    finish: Callable[[Array], Array] = lambda mixed: mixed,
) -> tuple[Batch, BeforeStage | None]:
    """Returns this device's virtual examples, and what to do inside the network.

    Args:
      vicinity: Static.
      examples: Access to them.
      data: Whole; its inputs are read through `examples` alone.
      place: In the step.
      alpha: Of this step, see `Vicinity.alpha_at`.
      finish: What is left to do to inputs once they are mixed.

    Raises:
      ValueError: If neighbours are asked for and there is no table of them, or they
        cannot be loaded because the data set is streamed.
    """
    own = examples.own
    inputs, targets, before_stage = own.inputs, own.targets, None
    if vicinity.mixes:
        draw = _draw(vicinity, data, place, alpha, own.inputs.shape[1:3])
        partners = _partners(vicinity, examples, draw)
        targets = _targets(vicinity, draw, [own, *partners])
        if vicinity.stage:
            before_stage = _mix_features(vicinity.stage, draw.mixing)
        else:
            inputs = _inputs(draw, [own, *partners])
    inputs = finish(inputs)
    if vicinity.label_smoothing:
        targets = smooth_labels(targets, epsilon=vicinity.label_smoothing)
    if vicinity.noise:
        key = purpose_key(data.root, Purpose.NOISE, place.step)
        keys = example_keys(key, place.indices[place.positions])
        add = jax.vmap(lambda key, x: gaussian_noise(key, x, sigma=vicinity.noise))
        inputs = add(keys, inputs)
    return Batch(inputs, targets), before_stage


def _draw(
    vicinity: Vicinity,
    data: TrainData,
    place: Place,
    alpha: Array,
    image: tuple[int, ...],
) -> _Draw:
    key = purpose_key(data.root, Purpose.MIX, place.step)
    if vicinity.needs_neighbours:
        if data.neighbours is None:
            raise ValueError(f"pairing {vicinity.pairing} needs a table of neighbours")
        mixing = _draw_neighbours(vicinity, key, data.neighbours, place, alpha)
    else:
        labels = data.labels[place.indices]
        if vicinity.pairing_scope == "device":
            mixing = _draw_on_device(vicinity, key, labels, place, alpha)
        else:
            mixing = vicinity.draw(key, labels, alpha=alpha)
            mixing = own_rows(mixing, place.positions)
    if not vicinity.cutmix_probability:
        return _Draw(mixing, None)
    cut = _draw_cut(vicinity, jax.random.fold_in(key, 2), place, mixing, image)
    return _Draw(mixing._replace(lam=cut.lam), cut)


def _partners(vicinity: Vicinity, examples: Examples, draw: _Draw) -> list[Batch]:
    find = examples.rows if vicinity.needs_neighbours else examples.at
    if find is None:
        raise ValueError(
            f"pairing {vicinity.pairing} needs the whole data set in device memory"
        )
    return [find(partner) for partner in sources(draw.mixing)]


def _draw_neighbours(
    vicinity: Vicinity, key: Key, table: Neighbours, place: Place, alpha: Array
) -> Mixing:
    lam_key, partner_key = jax.random.split(key)
    lam = vicinity.draw_lam(lam_key, len(place.indices), alpha)
    keys = jax.random.split(partner_key, vicinity.mixed_examples - 1)
    partner = jax.vmap(lambda key: sample_neighbours(key, table, place.indices))(keys)
    if vicinity.mixed_examples == 2:
        partner = partner[0]
    return own_rows(Mixing(lam, partner), place.positions)


def _draw_on_device(
    vicinity: Vicinity, key: Key, labels: Array, place: Place, alpha: Array
) -> Mixing:
    """Lambda as ever; partners from this device's own part of the batch."""
    own = own_rows(vicinity.draw(key, labels, alpha=alpha), place.positions)
    key = jax.random.fold_in(jax.random.fold_in(key, 1), lax.axis_index(AXIS))
    local = vicinity.draw_within(key, own.lam, labels[place.positions])
    return local._replace(partner=place.positions[local.partner])


def _draw_cut(
    vicinity: Vicinity, key: Key, place: Place, mixing: Mixing, image: tuple[int, ...]
) -> CutMixing:
    """This device's rectangles, or mixup's lambda in their form."""
    cut_key, switch_key = jax.random.split(key)
    alpha = jnp.where(vicinity.mixes_at(place.epoch), vicinity.cutmix_alpha, 0.0)
    height, width = image
    shape = (len(place.indices), height, width)
    cut = draw_cutmix(cut_key, shape, alpha=alpha, lam_per=vicinity.lam_per)
    if vicinity.lam_per == "example":
        cut = cut._replace(mask=cut.mask[place.positions], lam=cut.lam[place.positions])
    cut = cut._replace(partner=mixing.partner)
    return switch(switch_key, vicinity.cutmix_probability, cut, mixing.lam)


def _inputs(draw: _Draw, sides: list[Batch]) -> Array:
    inputs = [side.inputs for side in sides]
    if draw.cut is not None:
        own, theirs = inputs
        return blend(own, theirs, draw.cut.mask)
    return combine(inputs, shares(draw.mixing))


def _targets(vicinity: Vicinity, draw: _Draw, sides: list[Batch]) -> Array:
    targets = [side.targets for side in sides]
    if vicinity.target == "own":
        return targets[0]
    choose = closest if vicinity.target == "closer" else combine
    # Past an example its share is negative, and with a negative target cross-entropy
    # has no lower bound.
    weights = [jnp.clip(share, 0, 1) for share in shares(draw.mixing)]
    return choose(targets, weights)


def _mix_features(stage: int, mixing: Mixing) -> BeforeStage:
    def before_stage(k: int, x: Shaped[Array, "b ..."]) -> Shaped[Array, "b ..."]:
        if k != stage:
            return x
        theirs = [fetch(x, places, axis_name=AXIS) for places in sources(mixing)]
        return combine([x, *theirs], shares(mixing))

    return before_stage
