import mixup_jax


def test_the_public_names_are_those_promised():
    promised = """
        Batch CutMixing Mixing Neighbours Vicinity apply_cutmix apply_mixing
        apply_mixing_across apply_switched blend closer closest combine cutmix
        draw_cutmix draw_mixing gaussian_noise mix_loss mix_real_with_fake
        mix_sequences mix_shuffled mixup nearest_neighbours pair_lambda sample_boxes
        sample_class_partners sample_dirichlet sample_lambda sample_matching
        sample_neighbours sample_partners sample_partners_by_distance
        shuffle_together smooth_labels soft_cross_entropy switch
        two_target_cross_entropy
    """
    assert sorted(mixup_jax.__all__) == promised.split()
    assert all(hasattr(mixup_jax, name) for name in mixup_jax.__all__)
