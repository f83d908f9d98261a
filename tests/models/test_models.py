"""Names, sizes, options and precision of every network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax import models
from mixup_jax.errors import UsageError
from mixup_jax.models import cost
from mixup_jax.models.layers import Layers

# (name, classes, parameters, multiply-adds of one example), counted on the reference
# code or by its formula.
SIZES = [
    ("preact_resnet18", 10, 11_171_146, 555_422_720),
    ("preact_resnet18", 100, 11_217_316, None),
    ("preact_resnet18_official", 10, 11_171_274, 555_422_720),
    ("preact_resnet18_official", 100, 11_217_444, None),
    ("wide_resnet28_10", 10, 36_479_194, 5_243_328_768),
    ("wide_resnet28_10", 100, 36_536_884, None),
    ("densenet_bc190_40", 10, 25_624_430, 9_301_945_740),
    ("densenet_bc190_40", 100, 25_821_620, None),
    ("resnet50", 1000, 25_557_032, 4_089_184_256),
    ("resnet101", 1000, 44_549_160, 7_801_405_440),
    ("resnext101_32x4d", 1000, 44_177_704, 7_969_996_800),
    ("resnext101_64x4d", 1000, 83_455_272, 15_460_270_080),
    ("speech_lenet", 30, 16_321_570, 56_484_500),
    ("speech_vgg11", 30, 13_172_894, 2_325_423_936),
    ("gan_generator", 2, 527_874, None),
    ("gan_discriminator", 1, 527_361, None),
]
SMALL = {
    "preact_resnet18": {"depth": 10, "width": 4},
    "preact_resnet18_official": {"depth": 10, "width": 4},
    "wide_resnet28_10": {"depth": 10, "width": 1},
    "densenet_bc190_40": {"depth": 10, "growth": 4},
    "resnet50": {"depth": 14, "width": 4},
    "resnet101": {"depth": 14, "width": 4},
    "resnext101_32x4d": {"depth": 14, "width": 16, "cardinality": 2},
    "resnext101_64x4d": {"depth": 14, "width": 16, "cardinality": 2},
    "speech_lenet": {"width": 4, "hidden": 8},
    "speech_vgg11": {"width": 4, "hidden": 8},
    "mlp": {"width": 8},
    "gan_generator": {"width": 8},
    "gan_discriminator": {"width": 8},
}


def _abstract_call(name, train, **options):
    network = models.create(name, 3, **SMALL[name], **options)
    inputs = models.BUILDERS[name].inputs
    variables = models.shapes(network, inputs)
    x = jax.ShapeDtypeStruct((4, *inputs), jnp.float32)
    keys = jax.ShapeDtypeStruct((4,), jax.random.key(0).dtype)

    def call(variables, x, keys):
        return network.apply(
            variables,
            x,
            train=train,
            dropout_keys=keys,
            mutable=["batch_stats"] if train else False,
        )

    return call, (variables, x, keys)


@pytest.mark.parametrize(("name", "classes", "parameters", "macs"), SIZES)
def test_sizes_are_those_of_the_reference(name, classes, parameters, macs):
    network = models.create(name, classes)
    inputs = models.BUILDERS[name].inputs
    assert cost.parameters(network, inputs) == parameters
    if macs is not None:
        assert cost.multiply_adds(network, inputs) == macs


# Inputs of the paper's tabular sets and their classes.
@pytest.mark.parametrize(
    ("features", "classes", "parameters"),
    [(8, 28, 21_276), (10_000, 2, 1_296_898), (4, 3, 17_539), (30, 2, 20_738)],
)
def test_mlp_sizes_follow_the_data(features, classes, parameters):
    assert cost.parameters(models.create("mlp", classes), (features,)) == parameters


def test_paper_numbers_of_classes_are_the_defaults():
    assert models.create("resnet50").num_classes == 1000
    assert models.create("gan_generator").num_classes == 2
    assert models.create("gan_discriminator").num_classes == 1
    with pytest.raises(UsageError, match="mlp needs num_classes"):
        models.create("mlp")


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", models.BUILDERS)
def test_every_network_is_called_alike(name, train):
    call, args = _abstract_call(name, train)
    result = jax.eval_shape(call, *args)
    logits = result[0] if train else result
    assert logits.shape == (4, 3)
    assert logits.dtype == jnp.float32
    if train:
        stats = args[0].get("batch_stats", {})
        assert jax.tree.structure(result[1].get("batch_stats", {})) == (
            jax.tree.structure(stats)
        )


@pytest.mark.parametrize("name", models.BUILDERS)
def test_bfloat16_is_for_computing_only(name, monkeypatch):
    # On a CPU, batch norm's exact sums are products too.
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    call, args = _abstract_call(name, True, dtype="bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(args[0])} == {jnp.dtype("float32")}
    logits, updated = jax.eval_shape(call, *args)
    assert logits.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(updated)} <= {jnp.dtype("float32")}
    jaxpr = jax.make_jaxpr(call)(*args)
    products = [
        equation.invars[0].aval.dtype
        for equation in cost._equations(jaxpr.jaxpr)
        if equation.primitive.name in ("conv_general_dilated", "dot_general")
    ]
    # The classifier comes last and is exact.
    assert set(products[:-1]) == {jnp.dtype("bfloat16")}
    assert products[-1] == jnp.float32


def test_bfloat16_logits_stay_near_those_of_float32():
    def logits(dtype):
        network = models.create("preact_resnet18", 3, dtype=dtype, depth=10, width=4)
        variables = models.initialise(network, jax.random.key(0), (16, 16, 3))
        x = jax.random.normal(jax.random.key(1), (4, 16, 16, 3))
        return jax.jit(lambda x: network.apply(variables, x, train=False))(x)

    exact = logits("float32")
    # 8 bits of mantissa and a dozen layers.
    assert jnp.abs(logits("bfloat16") - exact).max() < 0.05 * jnp.abs(exact).max()
    assert not jnp.array_equal(logits("bfloat16"), exact)


def test_initialise_draws_every_layer_apart_and_by_the_key():
    network = models.create("wide_resnet28_10", 3, depth=10, width=1)
    first, again, other = (
        models.initialise(network, jax.random.key(seed), (8, 8, 3))
        for seed in (3, 3, 4)
    )
    expected = models.shapes(network, (8, 8, 3))
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), first) == (
        jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), expected)
    )
    jax.tree.map(np.testing.assert_array_equal, first, again)
    kernels = [leaf.ravel() for leaf in jax.tree.leaves(first) if leaf.ndim == 4]
    others = [leaf.ravel() for leaf in jax.tree.leaves(other) if leaf.ndim == 4]
    # Of one standard deviation each, and no stretch of numbers dealt out twice.
    heads = np.array([k[:100] / k.std() for k in [*kernels, *others]])
    correlations = np.abs(np.corrcoef(heads) - np.eye(len(heads)))
    assert correlations.max() < 0.5
    stem = first["params"]["stem"]["kernel"]
    # 432 draws: 4 sigma of a standard deviation are 14 %.
    np.testing.assert_allclose(stem.std(), (2 / 27) ** 0.5, rtol=0.14)
    gamma = first["params"]["norm"]["scale"]
    assert 0 <= gamma.min() < gamma.max() <= 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("preact_resnet", {}, "Did you mean 'preact_resnet18'"),
        ("preact_resnet18", {"widht": 4}, "Did you mean 'width'"),
        ("preact_resnet18", {"layers": 4}, "unknown option"),
        ("preact_resnet18", {"width": 0}, "width must be a whole number from 1"),
        ("preact_resnet18", {"width": 1.5}, "got 1.5"),
        ("preact_resnet18", {"init": "torch2016"}, "Did you mean 'torch2017'"),
        ("preact_resnet18", {"num_classes": 0}, "num_classes must be"),
        ("preact_resnet18", {"dtype": "float31"}, "unknown dtype 'float31'"),
        ("preact_resnet18", {"dtype": "bfloat"}, "Known: bfloat16, float32, float64"),
        ("preact_resnet18", {"dtype": jnp.int32}, "unknown dtype 'int32'"),
        ("preact_resnet18", {"ghost": -1}, "ghost must be at least 0"),
        ("preact_resnet18", {"ghost": 8, "axis_name": "batch"}, "choose one"),
    ],
)
def test_creating_refuses_what_it_does_not_know(name, options, message):
    options = {"num_classes": 10, **options}
    with pytest.raises(UsageError, match=message):
        models.create(name, **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("preact_resnet18", {"depth": 20}, "depth must be 10, 18, 26"),
        ("preact_resnet18", {"variant": "lui"}, "Did you mean 'liu'"),
        ("preact_resnet18", {"dropout": 1.0}, "below 1, got 1.0"),
        ("wide_resnet28_10", {"depth": 27}, "got 27"),
        ("densenet_bc190_40", {"depth": 7}, "got 7"),
        ("resnet50", {"depth": 51}, "got 51"),
        ("resnet50", {"width": 4, "group_width": 4}, "at least 64"),
    ],
)
def test_networks_refuse_impossible_architectures(name, options, message):
    inputs = models.BUILDERS[name].inputs
    with pytest.raises(UsageError, match=message):
        models.shapes(models.create(name, 10, **options), inputs)


def test_networks_default_to_the_initialisation_of_their_reference():
    inits = {name: models.create(name, 10).layers.init for name in models.BUILDERS}
    assert inits["preact_resnet18"] == inits["speech_vgg11"] == inits["mlp"]
    assert inits["mlp"] == inits["gan_generator"] == "torch2017"
    assert inits["wide_resnet28_10"] == "wrn_lua"
    assert inits["densenet_bc190_40"] == "fan_out"
    assert inits["resnet50"] == inits["resnext101_64x4d"] == "goyal"
    assert models.create("resnet50", init="torch").layers == Layers(init="torch")
