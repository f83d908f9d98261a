import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mixup_jax.vicinity import mix

KEY = jax.random.key(0)


def test_blend_matches_hand_computed_rows():
    rows = jnp.array([[0.0, 4.0], [8.0, 0.0]])
    got = mix.apply_mixing(mix.Mixing(jnp.float32(0.25), jnp.array([1, 0])), rows)
    np.testing.assert_allclose(got, [[6.0, 1.0], [2.0, 3.0]])


def test_blend_takes_a_lambda_per_example():
    first, other = jnp.array([[4.0], [8.0]]), jnp.array([[0.0], [0.0]])
    np.testing.assert_allclose(
        mix.blend(first, other, jnp.array([0.25, 0.5])), [[1.0], [4.0]]
    )


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(1, 9),
    alpha=st.sampled_from([0.0, 0.2, 1.0, 8.0]),
    seed=st.integers(0, 2**31 - 1),
)
def test_inputs_and_targets_are_mixed_by_the_same_draw(size, alpha, seed):
    # Odd and single-example batches included. Row i of the inputs is i, so the mixed
    # row tells lambda * i + (1 - lambda) * partner, and the targets must agree.
    values = jnp.arange(size, dtype=jnp.float32)
    batch = {"x": values[:, None], "y": jax.nn.one_hot(jnp.arange(size), size)}
    mixed = mix.mixup(jax.random.key(seed), batch, alpha=alpha)
    np.testing.assert_allclose(mixed["y"].sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(
        mixed["x"][:, 0], mixed["y"] @ values, rtol=1e-5, atol=1e-5
    )


def test_mixup_equals_its_two_halves():
    batch = {"x": jax.random.normal(KEY, (7, 3, 2)), "y": jnp.eye(7)}
    halves = mix.apply_mixing(mix.draw_mixing(KEY, 7, alpha=0.4), batch)
    whole = mix.mixup(KEY, batch, alpha=0.4)
    jax.tree.map(np.testing.assert_array_equal, whole, halves)


def test_mixup_at_alpha_zero_returns_the_batch_bit_for_bit():
    batch = {"x": jax.random.normal(KEY, (5, 3)), "y": jnp.eye(5, dtype=jnp.bfloat16)}
    mixed = mix.mixup(jax.random.key(3), batch, alpha=0.0)
    jax.tree.map(np.testing.assert_array_equal, mixed, batch)


def test_mixup_keeps_the_mean_of_the_batch():
    # A permutation uses every example once as a partner.
    x = jax.random.normal(KEY, (32, 5))
    mixed = mix.mixup(KEY, x, alpha=1.0)
    np.testing.assert_allclose(mixed.mean(axis=0), x.mean(axis=0), atol=1e-6)


def test_every_partner_is_equally_likely():
    keys = jax.random.split(KEY, 6000)
    partners = jax.vmap(lambda key: mix.sample_partners(key, 5))(keys)
    assert (np.sort(partners, axis=1) == np.arange(5)).all()
    counts = np.bincount(np.asarray(partners[:, 0]), minlength=5)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_structure_dtypes_and_shapes_are_kept():
    batch = (jnp.ones((3, 2), jnp.bfloat16), [jnp.ones((3,)), np.ones((3, 1, 2))])
    mixed = mix.mixup(KEY, batch, alpha=1.0)
    assert jax.tree.structure(mixed) == jax.tree.structure(batch)
    shapes = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(mixed)]
    assert shapes == [
        ((3, 2), jnp.bfloat16),
        ((3,), jnp.float32),
        ((3, 1, 2), jnp.float32),
    ]


def test_bfloat16_is_mixed_in_float32_and_rounded_once():
    lam = jnp.float32(0.3)
    first, other = jnp.bfloat16(1.0).reshape(1), jnp.bfloat16(3.0).reshape(1)
    got = mix.blend(first, other, lam)
    assert got[0] == jnp.bfloat16(0.3 * 1 + 0.7 * 3)


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8, jnp.bool_])
def test_integer_leaves_are_refused(dtype):
    batch = {"x": jnp.ones((4, 2)), "label": jnp.ones((4,), dtype)}
    with pytest.raises(ValueError, match=r"\['label'\].*one-hot encode first"):
        mix.mixup(KEY, batch, alpha=1.0)


def test_unequal_leading_axes_are_refused():
    with pytest.raises(ValueError, match=r"\['y'\] has shape \(3, 2\)"):
        mix.mixup(KEY, {"x": jnp.ones((4, 2)), "y": jnp.ones((3, 2))}, alpha=1.0)
    with pytest.raises(ValueError, match=r"a key and then arrays .* got float32\[\]"):
        mix.mixup(KEY, jnp.float32(1.0), alpha=1.0)
    with pytest.raises(ValueError, match="leading batch axis"):
        mix.mixup(KEY, {}, alpha=1.0)
    with pytest.raises(ValueError, match="shapes differ"):
        mix.blend(jnp.ones((4, 2)), jnp.ones((2, 2)), jnp.float32(0.5))


def test_mixup_works_under_jit_vmap_and_grad():
    x = jax.random.normal(KEY, (4, 3))

    def run(key, x):
        return mix.mixup(key, x, alpha=0.5)

    np.testing.assert_allclose(jax.jit(run)(KEY, x), run(KEY, x), rtol=1e-6)
    keys = jax.random.split(KEY, 2)
    stacked = jax.vmap(run, (0, None))(keys, x)
    np.testing.assert_allclose(stacked[1], run(keys[1], x), rtol=1e-6)
    # Every example enters once with lam and once with 1 - lam.
    slope = jax.grad(lambda x: run(KEY, x).sum())(x)
    np.testing.assert_allclose(slope, np.ones((4, 3)), rtol=1e-6)


def test_mixup_takes_legacy_keys():
    x = jnp.arange(6.0).reshape(6, 1)
    old, new = jax.random.PRNGKey(5), jax.random.key(5)
    np.testing.assert_array_equal(
        mix.mixup(old, x, alpha=1.0), mix.mixup(new, x, alpha=1.0)
    )


@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_draws_do_not_depend_on_the_number_of_devices(devices):
    x = jax.random.normal(KEY, (16, 3))
    mesh = Mesh(np.array(jax.devices()[:devices]), ("batch",))
    split = jax.device_put(x, NamedSharding(mesh, PartitionSpec("batch")))
    mixed = jax.jit(lambda x: mix.mixup(KEY, x, alpha=1.0))(split)
    np.testing.assert_allclose(mixed, mix.mixup(KEY, x, alpha=1.0), atol=1e-6)


def test_a_lambda_per_example_is_drawn_for_each():
    draw = mix.draw_mixing(KEY, 200, alpha=1.0, lam_per="example")
    assert draw.lam.shape == (200,)
    assert scipy.stats.kstest(np.asarray(draw.lam), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_pairs_give_mirrored_virtual_examples(size):
    draw = mix.draw_mixing(KEY, size, alpha=1.0, lam_per="pair")
    partner = np.asarray(draw.partner)
    np.testing.assert_array_equal(partner[partner], np.arange(size))
    np.testing.assert_array_equal(draw.lam, draw.lam[draw.partner])
    x = jax.random.normal(KEY, (size, 3))
    both = mix.apply_mixing(draw, x)
    # The two virtual examples of a pair lie symmetrically between the real ones.
    np.testing.assert_allclose(
        both + both[partner], x + x[partner], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("lam_per", ["batch", "example"])
def test_three_examples_are_mixed_with_their_shares(lam_per):
    draw = mix.draw_mixing(KEY, 6, alpha=1.0, lam_per=lam_per, examples=3)
    got = mix.apply_mixing(draw, jnp.eye(6))
    lam = np.broadcast_to(np.asarray(draw.lam).reshape(3, -1), (3, 6))
    expected = np.zeros((6, 6))
    for row in range(6):
        expected[row, row] += lam[0, row]
        expected[row, draw.partner[0, row]] += lam[1, row]
        expected[row, draw.partner[1, row]] += lam[2, row]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-6)
    assert (draw.partner[0] != draw.partner[1]).any()


def test_a_lambda_for_every_pixel_mixes_pixel_by_pixel():
    mask = jnp.array([[[1.0, 0.0]]])
    got = mix.blend(jnp.full((1, 1, 2, 3), 5.0), jnp.full((1, 1, 2, 3), 7.0), mask)
    np.testing.assert_array_equal(got[0, 0], [[5.0] * 3, [7.0] * 3])


def test_impossible_draws_are_refused():
    with pytest.raises(ValueError, match="lam_per must be one of"):
        mix.draw_mixing(KEY, 4, alpha=1.0, lam_per="element")
    with pytest.raises(ValueError, match="a pair has 2 examples, not 3"):
        mix.draw_mixing(KEY, 4, alpha=1.0, lam_per="pair", examples=3)


def test_draws_that_do_not_fit_the_batch_are_refused():
    with pytest.raises(ValueError, match="at least 1 example, got 0"):
        mix.draw_mixing(KEY, 0, alpha=1.0)
    wrong = mix.Mixing(jnp.ones(3), jnp.arange(4))
    with pytest.raises(ValueError, match=r"lam has shape \(3,\).* 4 examples"):
        mix.apply_mixing(wrong, jnp.ones((4, 2)))
    with pytest.raises(
        ValueError, match=r"lam of shape \(3,\) .* axes of leaf, \(4, 2\)"
    ):
        mix.blend(jnp.ones((4, 2)), jnp.ones((4, 2)), jnp.ones(3))
    with pytest.raises(ValueError, match="2 trees need as many weights, got 1"):
        mix.combine([jnp.ones((4, 2))] * 2, [jnp.float32(1)])


@pytest.mark.parametrize(
    ("partner", "message"),
    [
        (jnp.array([0, 4]), r"places in the batch, 0 to 1, got \[0 4\]"),
        (jnp.array([-1, 0]), r"0 to 1, got \[-1  0\]"),
        (jnp.array([0.0, 1.0]), "partner must be whole numbers, got float32"),
    ],
)
def test_partners_that_are_no_rows_are_refused(partner, message, untyped):
    with pytest.raises(ValueError, match=message):
        mix.apply_mixing(mix.Mixing(jnp.float32(0.5), partner), jnp.ones((2, 3)))


def test_a_plain_number_will_do_for_lambda(untyped):
    got = mix.apply_mixing(
        mix.Mixing(0.25, jnp.array([1, 0])), jnp.array([[4.0], [0.0]])
    )
    np.testing.assert_array_equal(got, [[1.0], [3.0]])


@pytest.mark.parametrize("alpha", ["0.2", None, 1j])
def test_an_alpha_that_is_no_number_is_refused(alpha, untyped):
    with pytest.raises(ValueError, match="alpha must be a number of at least 0, got"):
        mix.mixup(KEY, jnp.ones((4, 2)), alpha=alpha)


def test_one_program_serves_a_grid_of_alphas():
    x = jax.random.normal(KEY, (8, 3))
    alphas = jnp.array([0.0, 0.2, 8.0])
    grid = jax.vmap(lambda alpha: mix.mixup(KEY, x, alpha=alpha))(alphas)
    np.testing.assert_array_equal(grid[0], x)
    for row, alpha in zip(grid, alphas, strict=True):
        np.testing.assert_allclose(row, mix.mixup(KEY, x, alpha=alpha), rtol=1e-6)
