import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.evaluation import predict

KEY = jax.random.key(0)


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_chunks_cover_every_row_once_and_all_have_the_same_size(size):
    seen = []

    def double(rows, places):
        seen.append(len(rows))
        return {"twice": jnp.asarray(rows) * 2, "place": places}

    rows = np.arange(14.0).reshape(7, 2)
    got = predict.in_chunks(double, rows, np.arange(7), chunk_size=size)
    np.testing.assert_array_equal(got["twice"], rows * 2)
    np.testing.assert_array_equal(got["place"], np.arange(7))
    assert seen == [size] * -(-7 // size)


@pytest.mark.parametrize(
    ("arrays", "size", "words"),
    [
        ((np.ones(3), np.ones(2)), 2, r"equal lengths, not 0: \[2, 3\]"),
        ((np.ones(0),), 2, "equal lengths, not 0"),
        ((np.ones(3),), 0, "chunk_size must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_gone_over_is_refused(arrays, size, words):
    with pytest.raises(ValueError, match=words):
        predict.in_chunks(lambda *rows: rows, *arrays, chunk_size=size)


def test_logits_are_widened_and_never_narrowed():
    half = predict.logits_of(lambda x: x.astype(jnp.bfloat16), jnp.ones((2, 3)))
    assert half.dtype == jnp.float32
    # JAX has no float64 unless asked.
    assert predict.wide_dtype(np.ones(2, np.float64)) == np.float32
    with jax.enable_x64(True):
        assert predict.wide_dtype(np.ones(2, np.float64)) == np.float64
    assert predict.wide_dtype(jnp.ones(2, jnp.bfloat16)) == jnp.float32


def test_bytes_are_refused():
    with pytest.raises(ValueError, match="dtype uint8; convert them to float"):
        predict.wide_dtype(np.ones(2, np.uint8))


def test_classes_are_counted_without_running_the_network():
    def network(x):
        assert isinstance(x, jax.core.Tracer)
        return x @ jnp.ones((3, 7))

    assert predict.count_classes(network, np.ones((4, 3), np.float32)) == 7


def test_a_network_that_gives_no_logits_is_refused():
    with pytest.raises(ValueError, match=r"must return \[4, K\], got shape \(4,\)"):
        predict.count_classes(lambda x: x.sum(axis=1), jnp.ones((4, 3)))
    with pytest.raises(ValueError, match=r"must return \[4, K\], got shape \(1, 3\)"):
        predict.count_classes(lambda x: x[:1], jnp.ones((4, 3)))


@pytest.mark.parametrize(
    ("labels", "words"), [([0, 3], "0 .. 3"), ([-1, 2], "-1 .. 2")]
)
def test_labels_that_are_no_class_are_refused(labels, words):
    with pytest.raises(ValueError, match=rf"in 0 \.\. 2, got {words}"):
        predict.check_labels(jnp.array(labels), 3, len(labels))
    predict.check_labels(jnp.array([0, 2]), 3, 2)


def test_no_labels_are_refused():
    with pytest.raises(ValueError, match="no examples"):
        predict.check_labels(jnp.zeros(0, jnp.int32), 3, 0)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (jnp.zeros(3), r"class ids \[3\], got float32 \(3,\); .*argmax"),
        (jnp.eye(3), r"got float32 \(3, 3\)"),
        (jnp.zeros(1, jnp.int32), "1 labels do not fit 3 examples"),
    ],
)
def test_what_is_no_label_of_each_example_is_refused(labels, words, untyped):
    with pytest.raises(ValueError, match=words):
        predict.check_labels(labels, 3, 3)
