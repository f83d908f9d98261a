import logging
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import requests
import speech_case

from mixup_jax import data, mixup
from mixup_jax.data import array_cache, speech
from mixup_jax.data.builders import speech_files
from mixup_jax.data.builders.speech_files import WORDS
from mixup_jax.data.spectrogram import log_spectrogram
from mixup_jax.errors import UsageError

PREPARED = "speech_commands_v001"


def _load(root, release, manual):
    return speech.load(
        data_dir=str(root / "data"), manual_dir=str(manual), release=release
    )


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    """A set prepared from an archive: (root, its release, the set)."""
    root = tmp_path_factory.mktemp("speech")
    release = speech_case.pack(root / "manual", speech_case.files())
    return root, release, _load(root, release, root / "manual")


def _rows(split):
    return {(WORDS[y], x.tobytes()) for x, y in zip(*split, strict=True)}


def _expected(paths):
    return {
        (path.split("/")[0], np.pad(sound, (0, 16_000 - len(sound))).tobytes())
        for path, sound in speech_case.SOUNDS.items()
        if path in paths
    }


def test_every_sound_comes_with_its_word_and_zeros_up_to_a_second(miniature):
    got = miniature[2]
    listed = speech_case.LISTED
    assert _rows(got.test) == _expected(listed["test"])
    assert _rows(got.validation) == _expected(listed["validation"])
    both = [*listed["test"], *listed["validation"]]
    assert _rows(got.train) == _expected(set(speech_case.SOUNDS) - set(both))
    assert got.train.inputs.shape == (4, 16_000, 1)
    assert got.train.inputs.dtype == np.int16
    assert got.num_classes == 30


def test_the_title_says_what_is_tested_on(miniature):
    assert "v0.01" in miniature[2].title
    assert "testing_list.txt" in miniature[2].title


def test_a_second_load_reads_one_file_and_builds_nothing(miniature, monkeypatch):
    def never(*_):
        raise AssertionError("it was built again")

    root, _, want = miniature
    monkeypatch.setattr(speech, "_build", never)
    got = speech.load(data_dir=str(root / "data"))
    np.testing.assert_array_equal(got.train.labels, want.train.labels)
    np.testing.assert_array_equal(got.validation.inputs, want.validation.inputs)


def test_preparing_from_a_folder_needs_no_tensorflow_and_gives_the_same(
    miniature, tmp_path
):
    _, _, want = miniature
    speech_case.extract(tmp_path / "speech_commands_v0.01", speech_case.files())
    program = (
        "import sys;"
        "from mixup_jax.data import speech;"
        "from mixup_jax.data.builders.speech_files import V001;"
        "release = V001._replace(counts=dict(train=4, validation=1, test=2));"
        "speech.load(data_dir=sys.argv[1], manual_dir=sys.argv[2], release=release);"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
    got = speech.load(data_dir=str(tmp_path / "data"))
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(
            getattr(got, name).inputs, getattr(want, name).inputs
        )


@pytest.mark.parametrize("place", ["", "speech_commands_v0.01"])
def test_an_extracted_folder_is_found_where_users_put_it(place, tmp_path):
    folder = speech_case.extract(tmp_path / place, speech_case.files())
    found = speech_files.find_extracted(tmp_path, speech_files.V001)
    assert found == folder


def test_a_damaged_cache_is_made_anew_from_the_prepared_set(miniature, caplog):
    root, release, want = miniature
    cache = root / "data" / PREPARED / speech.CACHE_NAME
    os.truncate(cache, cache.stat().st_size // 2)
    with caplog.at_level(logging.WARNING):
        got = _load(root, release, root / "manual")
    assert "built anew" in caplog.text
    np.testing.assert_array_equal(got.train.inputs, want.train.inputs)
    assert array_cache.read(cache, speech._CONTENT, ["test_labels"]) is not None


def test_short_sounds_are_reported_while_preparing(tmp_path, caplog):
    release = speech_case.pack(tmp_path, speech_case.files())
    with caplog.at_level(logging.WARNING):
        _load(tmp_path, release, tmp_path)
    assert "2 of 7 sounds are shorter than a second" in caplog.text


# Preparations that cannot be.


def test_offline_the_archive_and_its_size_are_named(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise requests.exceptions.ConnectionError("name resolution failed")

    monkeypatch.setattr(requests, "get", offline)
    with pytest.raises(UsageError) as caught:
        speech.load(data_dir=str(tmp_path))
    assert "speech_commands_v0.01.tar.gz, 1,489,096,277 bytes" in str(caught.value)
    assert "https://storage.googleapis.com/" in str(caught.value)
    assert "--manual_dir" in str(caught.value)


def test_a_truncated_archive_is_refused_by_its_checksum(tmp_path):
    release = speech_case.pack(tmp_path, speech_case.files())
    os.truncate(tmp_path / speech_case.NAME, 1000)
    with pytest.raises(UsageError, match=r"v0\.01\.tar\.gz has 1,000 bytes .*SHA-256"):
        _load(tmp_path, release, tmp_path)


def test_after_a_failure_nothing_is_used_and_the_whole_archive_can_follow(tmp_path):
    bad = speech_case.files({"zero/c.wav": b""}.items())
    release = speech_case.pack(tmp_path, bad)
    with pytest.raises(UsageError, match=r"zero/c\.wav is not a WAV file"):
        _load(tmp_path, release, tmp_path)
    left = [path.name for path in (tmp_path / "data" / PREPARED).iterdir()]
    assert [name for name in left if name[0].isdigit()] == []
    release = speech_case.pack(tmp_path, speech_case.files())
    assert len(_load(tmp_path, release, tmp_path).train.labels) == 4


def test_a_full_disk_is_an_error_a_user_can_read(tmp_path, monkeypatch):
    from mixup_jax.data.builders import speech_commands

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    release = speech_case.pack(tmp_path, speech_case.files())
    monkeypatch.setattr(speech_commands.SpeechCommands, "_generate_examples", full)
    with pytest.raises(UsageError, match=r"cannot prepare .* No space left on device"):
        _load(tmp_path, release, tmp_path)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"--manual_dir does not exist: .*none"):
        _load(tmp_path, speech_files.V001, tmp_path / "none")


# What a network reads.


def test_int16_is_scaled_to_full_scale_1():
    inputs = jnp.array([[-32_768], [0], [16_384]], jnp.int16)[None]
    want = np.array([[-1.0], [0.0], [0.5]])[None]
    np.testing.assert_array_equal(speech.waveforms(inputs), want)
    np.testing.assert_array_equal(speech.waveforms(speech.waveforms(inputs)), want)


@pytest.mark.parametrize("options", [{}, {"bins": 160}, {"reflect": False}], ids=str)
def test_spectrograms_are_those_of_the_amplitudes(miniature, options):
    inputs = miniature[2].train.inputs
    want = log_spectrogram(jnp.asarray(inputs[..., 0] / 32_768, jnp.float32), **options)
    got = speech.spectrograms(jnp.asarray(inputs), **options)
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("samples", [8_000, 12_345])
def test_zeros_after_a_short_sound_change_two_frames_about_its_end(samples):
    sound = jnp.asarray(speech_case.sound(0, samples)[None] / 32_768, jnp.float32)
    second = jnp.pad(sound, ((0, 0), (0, 16_000 - samples)))
    short, padded = (log_spectrogram(x, normalise=False) for x in (sound, second))
    last = samples // 160
    changed = np.flatnonzero(np.abs(short - padded).max((0, 1, 3)) > 1e-5)
    assert set(changed.tolist()) <= {last, last + 1}
    assert last in changed


def test_sounds_can_be_mixed_before_their_spectrograms_and_after(miniature):
    inputs = jnp.asarray(miniature[2].train.inputs)

    @jax.jit
    def both(key, inputs):
        after = mixup(key, speech.spectrograms(inputs), alpha=1.0)
        before = speech.spectrograms(mixup(key, speech.waveforms(inputs), alpha=1.0))
        return after, before

    after, before = both(jax.random.key(0), inputs)
    assert after.shape == before.shape == (4, 161, 101, 1)
    assert not np.allclose(after, before, atol=0.1)
    # Sounds of full scale 1, mixed and then standardised.
    np.testing.assert_allclose(before.std((1, 2, 3)), 1, rtol=1e-3)


def test_it_is_a_source_by_name(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        data.load(
            "speech_commands", data_dir=str(tmp_path), manual_dir=str(tmp_path / "x")
        )
