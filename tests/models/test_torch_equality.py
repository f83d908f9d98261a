"""Every family equals an independent PyTorch network with the same weights.

Logits, and one training step's loss, gradients and batch statistics, in float32.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from experiments.benchmarks import torch_networks as reference  # noqa: E402
from mixup_jax import models  # noqa: E402
from mixup_jax.models import convert  # noqa: E402
from mixup_jax.models.dropout import Dropout  # noqa: E402
from tests.models import comparison  # noqa: E402

TOLERANCE = 1e-4


def _pair(name, member):
    theirs = reference.randomise(member.torch(member.classes))
    ours = models.create(name, member.classes, **member.overrides)
    tensors = {k: v.numpy() for k, v in theirs.state_dict().items()}
    like = models.shapes(ours, member.inputs)
    return ours, convert.from_torch(ours, tensors, like), theirs


@pytest.mark.parametrize("name", comparison.SMALL)
def test_one_step_is_that_of_pytorch(name):
    differences = comparison.compare(name)
    assert max(differences) < TOLERANCE, differences


# Stages of each network, counted on the reference's parts after the stem.
STAGED = {
    "preact_resnet18": 5,
    "preact_resnet18_official": 5,
    "wide_resnet28_10": 4,
    "densenet_bc190_40": 4,
    "resnet50": 5,
    "speech_lenet": 3,
    "speech_vgg11": 6,
    "mlp": 3,
}


@pytest.mark.parametrize(("name", "stages"), STAGED.items())
def test_changing_the_input_of_a_stage_is_a_run_in_two_parts(name, stages):
    member = comparison.SMALL[name]
    ours, variables, theirs = _pair(name, member)
    x, _ = comparison.batch(member.inputs, member.classes, size=4)

    def latent_mixup(chosen):
        def before_stage(stage, h):
            mixed = 0.3 * h + 0.7 * h[::-1]
            return jnp.where(stage == chosen, mixed, h)

        inputs = jnp.asarray(x)
        return ours.apply(variables, inputs, train=False, before_stage=before_stage)

    compiled = comparison.compiled_quickly(latent_mixup, jnp.int32(0))
    got = [compiled(jnp.int32(chosen)) for chosen in range(1, stages + 1)]
    assert ours.num_stages == stages
    parts = theirs.eval().parts()
    assert len(parts) == stages + 1
    h = torch.from_numpy(x.transpose(0, 3, 1, 2).copy() if x.ndim == 4 else x)
    with torch.no_grad():
        for stage, part in enumerate(parts[:-1], start=1):
            h = part(h)
            want = 0.3 * h + 0.7 * h.flip(0)
            for later in parts[stage:]:
                want = later(want)
            assert (
                comparison.relative(np.asarray(got[stage - 1]), want.numpy())
                < TOLERANCE
            )


DROPPING = {
    "preact_resnet18": {"dropout": 0.3},
    "wide_resnet28_10": {"dropout": 0.3},
    "densenet_bc190_40": {"dropout": 0.3},
    "speech_lenet": {"dropout": 0.5},
}


class _Given(torch.nn.Module):
    """Dropout with a given result: its zeros, and the others scaled."""

    def __init__(self, result, rate):
        super().__init__()
        axes = (0, 3, 1, 2) if result.ndim == 4 else (0, 1)
        kept = np.transpose(np.asarray(result) != 0, axes).astype(np.float32)
        self.mask = torch.from_numpy(np.ascontiguousarray(kept)) / (1 - rate)

    def forward(self, x):
        return x * self.mask


@pytest.mark.parametrize(("name", "options"), DROPPING.items())
def test_dropout_stands_where_the_reference_has_it(name, options):
    member = comparison.SMALL[name]
    member = member._replace(overrides={**member.overrides, **options})
    ours, variables, theirs = _pair(name, member)
    x, _ = comparison.batch(member.inputs, member.classes, size=4)

    def train(x):
        return ours.apply(
            variables,
            x,
            train=True,
            dropout_keys=jax.random.split(jax.random.key(1), 4),
            capture_intermediates=lambda module, _: isinstance(module, Dropout),
            mutable=["batch_stats", "intermediates"],
        )

    logits, state = comparison.quickly(train, jnp.asarray(x))
    # In the order of names, which here is that of use: no count reaches ten.
    results = jax.tree.leaves(state["intermediates"])
    holes = [
        (module, child)
        for module in theirs.modules()
        for child, value in module.named_children()
        if isinstance(value, torch.nn.Dropout | torch.nn.Dropout2d)
    ]
    assert len(holes) == len(results)
    for (module, child), result in zip(holes, results, strict=True):
        setattr(module, child, _Given(result, options["dropout"]))
    with torch.no_grad():
        want = theirs.train()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    assert comparison.relative(np.asarray(logits), want.numpy()) < TOLERANCE
