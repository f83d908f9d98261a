"""State dicts of networks that others wrote and packaged: pytorchcv's.

Small members of its families, built by its own classes, with its names of tensors,
go through the command that users run.
"""

import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pytorchcv")

from pytorchcv.models.densenet_cifar import CIFARDenseNet  # noqa: E402
from pytorchcv.models.resnet import ResNet  # noqa: E402
from pytorchcv.models.resnext import ResNeXt  # noqa: E402
from pytorchcv.models.wrn_cifar import CIFARWRN  # noqa: E402

from experiments import import_weights  # noqa: E402
from experiments.benchmarks.torch_networks import randomise  # noqa: E402
from mixup_jax import models  # noqa: E402
from mixup_jax.models import weights  # noqa: E402
from tests.models import comparison  # noqa: E402

CASES = {
    "wide_resnet28_10": (
        {"depth": 16, "width": 2},
        lambda: CIFARWRN([[32, 32], [64, 64], [128, 128]], 16, num_classes=5),
    ),
    "densenet_bc190_40": (
        {"depth": 16, "growth": 4},
        lambda: CIFARDenseNet(3 * [[12, 16]], 8, True, num_classes=5),
    ),
    "resnet50": (
        {"depth": 26, "width": 8},
        lambda: ResNet(
            [2 * [32 << stage] for stage in range(4)], 8, True, False, num_classes=5
        ),
    ),
    "resnext101_32x4d": (
        {"depth": 14, "width": 16, "cardinality": 4, "group_width": 8},
        lambda: ResNeXt([[64 << stage] for stage in range(4)], 16, 4, 8, num_classes=5),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_weights_give_the_same_logits_and_go_back(name, tmp_path):
    overrides, build = CASES[name]
    theirs = randomise(build()).eval()
    torch.save(theirs.state_dict(), tmp_path / "in.pth")
    fields = [f"--option={field}={value}" for field, value in overrides.items()]
    command = ["", f"--model={name}", "--num_classes=5", *fields]
    files = [f"--input={tmp_path}/in.pth", f"--output={tmp_path}/ours.npz"]
    import_weights.main([*command, *files])

    ours = models.create(name, 5, **overrides)
    inputs = models.BUILDERS[name].inputs
    variables = weights.load(tmp_path / "ours.npz", models.shapes(ours, inputs))
    x, _ = comparison.batch(inputs, 5, size=2)
    with torch.no_grad():
        want = theirs(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    got = comparison.quickly(
        lambda x: ours.apply(variables, x, train=False), jnp.asarray(x)
    )
    assert comparison.relative(np.asarray(got), want) < 1e-4

    files = [f"--input={tmp_path}/ours.npz", f"--output={tmp_path}/out.pth"]
    import_weights.main([*command, "--export", "--style=pytorchcv", *files])
    again = build()
    again.load_state_dict(torch.load(tmp_path / "out.pth", weights_only=True))
    for tensor, copy in zip(
        theirs.state_dict().values(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(tensor, copy)
