"""State dicts of PyTorch to our variables and back, by name and shape."""

import jax
import numpy as np
import pytest

from mixup_jax import models
from mixup_jax.errors import UsageError
from mixup_jax.models import convert
from mixup_jax.models.torch_names import styles

SMALL = {
    "preact_resnet18": {"depth": 18, "width": 2},
    "preact_resnet18_official": {"depth": 18, "width": 2},
    "wide_resnet28_10": {"depth": 16, "width": 1},
    "densenet_bc190_40": {"depth": 16, "growth": 2},
    "resnet101": {"depth": 26, "width": 4},
    "resnext101_64x4d": {"depth": 26, "width": 16, "cardinality": 2},
    "speech_lenet": {"width": 2, "hidden": 3},
    "speech_vgg11": {"width": 2, "hidden": 3},
    "mlp": {"width": 3},
    "gan_generator": {"width": 3},
    "gan_discriminator": {"width": 3},
}


def _network(name):
    network = models.create(name, 4, **SMALL[name])
    shapes = models.shapes(network, models.BUILDERS[name].inputs)
    rng = np.random.default_rng(0)
    return network, jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes
    )


@pytest.mark.parametrize("name", SMALL)
def test_every_style_goes_there_and_back(name):
    network, variables = _network(name)
    for style in styles(network):
        tensors = convert.to_torch(network, variables, style=style)
        assert len(tensors) == len(jax.tree.leaves(variables))
        back = convert.from_torch(network, tensors, variables)
        jax.tree.map(np.testing.assert_array_equal, back, variables)


def test_kernels_are_turned_not_only_reshaped():
    network, variables = _network("speech_lenet")
    tensors = convert.to_torch(network, variables)
    kernel = variables["params"]["conv2"]["kernel"]
    assert tensors["conv2.weight"].shape == (2, 2, 5, 5)
    assert tensors["conv2.weight"][1, 0, 2, 3] == kernel[2, 3, 0, 1]
    dense = variables["params"]["classifier"]["kernel"]
    assert tensors["fc2.weight"][3, 2] == dense[2, 3]


# Names as they stand in the published files.
@pytest.mark.parametrize(
    ("name", "style", "some"),
    [
        ("preact_resnet18", "pytorch-cifar", "layer2.0.shortcut.0.weight"),
        ("preact_resnet18_official", "pytorch-cifar", "bn1.running_var"),
        ("wide_resnet28_10", "xternalz", "block2.layer.0.convShortcut.weight"),
        ("wide_resnet28_10", "szagoruyko", "group1.block1.conv0"),
        ("wide_resnet28_10", "szagoruyko", "group2.block0.bn1.running_mean"),
        ("wide_resnet28_10", "pytorchcv", "features.stage1.unit2.body.conv1.bn.bias"),
        ("densenet_bc190_40", "veit", "block3.layer.1.conv2.weight"),
        ("densenet_bc190_40", "veit", "trans2.bn1.weight"),
        ("densenet_bc190_40", "pytorchcv", "features.stage2.trans2.conv.conv.weight"),
        ("densenet_bc190_40", "pytorchcv", "features.stage3.trans3.conv.bn.weight"),
        ("resnet101", "torchvision", "layer4.0.downsample.1.running_mean"),
        ("resnet101", "pytorchcv", "features.stage4.unit1.identity_conv.bn.bias"),
        ("speech_vgg11", "gcommands", "features.25.bias"),
        ("gan_generator", "net", "net.6.weight"),
        ("mlp", "plain", "4.bias"),
    ],
)
def test_names_are_those_of_the_published_files(name, style, some):
    network, variables = _network(name)
    assert some in convert.to_torch(network, variables, style=style)


def test_counters_and_the_prefix_of_data_parallel_are_passed_over():
    network, variables = _network("preact_resnet18")
    tensors = {
        f"module.{name}": tensor
        for name, tensor in convert.to_torch(network, variables).items()
    }
    tensors["module.layer1.0.bn1.num_batches_tracked"] = np.array(3)
    back = convert.from_torch(network, tensors, variables)
    jax.tree.map(np.testing.assert_array_equal, back, variables)


def test_every_misfit_is_listed_by_name():
    network, variables = _network("wide_resnet28_10")
    tensors = convert.to_torch(network, variables)
    del tensors["block1.layer.0.bn1.bias"], tensors["conv1.weight"]
    tensors["block9.conv.weight"] = np.zeros(3)
    tensors["fc.weight"] = np.zeros((5, 64))
    with pytest.raises(UsageError) as caught:
        convert.from_torch(network, tensors, variables)
    assert sorted(str(caught.value).splitlines()[1:]) == [
        "missing: block1.layer.0.bn1.bias",
        "missing: conv1.weight",
        "unknown: block9.conv.weight",
        "wrong shape: fc.weight is (5, 64), should be (4, 64)",
    ]


def test_weights_of_one_variant_do_not_pass_as_the_other():
    official, variables = _network("preact_resnet18_official")
    liu, shapes = _network("preact_resnet18")
    with pytest.raises(UsageError, match=r"unknown: bn1\.weight"):
        convert.from_torch(liu, convert.to_torch(official, variables), shapes)


def test_unknown_styles_are_refused():
    network, variables = _network("mlp")
    with pytest.raises(UsageError, match="unknown style"):
        convert.to_torch(network, variables, style="nett")


def test_imported_weights_share_no_memory_with_their_source():
    network, variables = _network("mlp")
    tensors = convert.to_torch(network, variables)
    # JAX takes over memory that starts at a multiple of 64 bytes, and only that.
    room = np.zeros(64, np.float32)
    start = -room.ctypes.data % 64 // 4
    bias = room[start : start + 4]
    tensors["net.4.bias"] = bias
    back = convert.from_torch(network, tensors, variables)
    bias += 1
    assert not np.asarray(back["params"]["classifier"]["bias"]).any()
