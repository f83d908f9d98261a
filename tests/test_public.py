"""The public API: a change here is one that users notice (see CONTRIBUTING.md)."""

import inspect
import subprocess
import sys

import pytest

import mixup_jax

# Name to parameters; the types among them may change.
PROMISED = {
    "Batch": "(inputs, targets)",
    "CutMixing": "(mask, lam, partner)",
    "Mixing": "(lam, partner)",
    "Neighbours": "(indices, counts)",
    "apply_cutmix": "(draw, images)",
    "apply_mixing": "(mixing, tree)",
    "apply_mixing_across": "(mixing, tree, positions, *, axis_name)",
    "apply_switched": "(draw, images)",
    "blend": "(first, other, lam)",
    "closer": "(mixing, tree)",
    "closest": "(trees, weights)",
    "combine": "(trees, weights)",
    "cutmix": "(key, images, targets, *, alpha, lam_per='batch')",
    "draw_cutmix": "(key, shape, *, alpha, lam_per='batch')",
    "draw_mixing": "(key, batch_size, *, alpha, lam_per='batch', examples=2, "
    "probability=1.0)",
    "gaussian_noise": "(key, inputs, *, sigma)",
    "mix_loss": "(loss, mixing, predictions, targets)",
    "mix_real_with_fake": "(key, real, fake, *, alpha)",
    "mix_sequences": "(mixing, embeddings, lengths)",
    "mix_shuffled": "(key, first, other, *, alpha)",
    "mixup": "(key, batch, *, alpha)",
    "nearest_neighbours": "(points, k, *, labels=None, block=1024)",
    "pair_lambda": "(lam, partner)",
    "sample_boxes": "(key, lam, height, width)",
    "sample_class_partners": "(key, labels)",
    "sample_dirichlet": "(key, alpha, examples, shape=(), *, probability=1.0)",
    "sample_lambda": "(key, alpha, shape=(), *, low=0.0, high=1.0, probability=1.0, "
    "fold=False)",
    "sample_matching": "(key, batch_size)",
    "sample_neighbours": "(key, neighbours, indices)",
    "sample_partners": "(key, batch_size)",
    "sample_partners_by_distance": "(key, targets, *, bandwidth)",
    "shuffle_together": "(key, real, fake)",
    "smooth_labels": "(targets, *, epsilon)",
    "soft_cross_entropy": "(logits, targets)",
    "switch": "(key, probability, draw, lam)",
    "two_target_cross_entropy": "(logits, labels, partner_labels, lam)",
}


def parameters(name):
    found = getattr(mixup_jax, name)
    if not (inspect.isfunction(found) or inspect.isclass(found)):
        return None
    kept = inspect.signature(found).parameters.values()
    return str(
        inspect.Signature(
            [each.replace(annotation=inspect.Parameter.empty) for each in kept]
        )
    )


def test_the_public_names_are_those_promised_and_take_what_was_promised():
    assert sorted(mixup_jax.__all__) == sorted([*PROMISED, "Vicinity"])
    assert {name: parameters(name) for name in PROMISED} == PROMISED


def test_the_fields_of_a_vicinity_are_those_promised_and_none_is_needed():
    promised = """
        alpha alpha_end pairing pairing_scope neighbours lam_per lam_low lam_high
        fold_lam mixed_examples mix_probability mix_from_epoch mix_until_epoch mix_at
        target label_smoothing noise cutmix_alpha cutmix_probability
    """
    fields = inspect.signature(mixup_jax.Vicinity).parameters
    assert list(fields) == promised.split()
    assert mixup_jax.Vicinity().alpha == 0


def test_packages_are_there_without_an_import_of_their_own_and_only_then_loaded():
    code = """
import sys, mixup_jax
assert "orbax.checkpoint" not in sys.modules
print(mixup_jax.runs.load_predictor.__module__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "mixup_jax.runs.trained")
    with pytest.raises(AttributeError, match="no attribute 'mixupp'"):
        mixup_jax.mixupp  # noqa: B018
