import re
import shutil

import numpy as np
import pytest

from mixup_jax.data import speech_synthetic
from mixup_jax.data.builders.speech_files import WORDS
from mixup_jax.errors import UsageError

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="needs the program espeak-ng"
)


def test_no_voice_is_in_two_splits_and_each_says_every_word_twice():
    voices = {}
    for split, count in (("train", 44), ("validation", 8), ("test", 8)):
        takes = speech_synthetic.takes(split)
        voices[split] = {take.voice.split("+")[1] for take in takes}
        assert len(voices[split]) == count
        said = sorted(take.word for take in takes)
        assert said == sorted(2 * count * WORDS)
    assert len(set().union(*voices.values())) == 60


def test_takes_are_the_same_every_time_and_differ_from_each_other():
    takes = speech_synthetic.takes("test")
    assert takes == speech_synthetic.takes("test")
    assert len(set(takes)) == len(takes)


@needs_espeak
def test_a_word_is_a_second_of_sound_and_the_same_every_time():
    take = speech_synthetic.takes("test")[0]
    got = speech_synthetic.say(take)
    assert got.shape == (16_000,)
    assert got.dtype == np.int16
    np.testing.assert_array_equal(got, speech_synthetic.say(take))
    # The pause is silent, and parted as the take says.
    sounding = np.flatnonzero(got)
    before, after = sounding[0], 15_999 - sounding[-1]
    assert 1_000 < sounding[-1] - sounding[0] < 16_000
    assert before / (before + after) == pytest.approx(take.place, abs=0.01)


@needs_espeak
def test_a_higher_pitch_is_a_higher_pitch():
    # Resampling to a wrong rate would move it too: "no" by a male voice of the default
    # pitch is about 100 Hz.
    pitches = []
    for pitch in (30, 70):
        take = speech_synthetic.Take("en-us", "no", 160, pitch, 0.0)
        sound = speech_synthetic.say(take)[1_000:5_000].astype(np.float64)
        lags = np.correlate(sound, sound, "full")[4_000 - 1 :]
        pitches.append(16_000 / (60 + lags[60:200].argmax()))  # 80 to 267 Hz
    assert 80 < pitches[0] < pitches[1] < 200


@needs_espeak
def test_a_small_set_is_named_synthetic_and_kept(tmp_path, monkeypatch):
    whole = speech_synthetic.takes
    monkeypatch.setattr(speech_synthetic, "takes", lambda split: whole(split)[::100])
    got = speech_synthetic.load(data_dir=str(tmp_path))
    assert re.match(r"30 words synthesised by espeak-ng [\d.]+, 60 voices", got.title)
    words = [take.word for take in whole("train")[::100]]
    assert [WORDS[label] for label in got.train.labels] == words
    assert got.validation is not None
    monkeypatch.setattr(shutil, "which", lambda name: None)
    again = speech_synthetic.load(data_dir=str(tmp_path))
    assert again.title == got.title
    np.testing.assert_array_equal(again.train.inputs, got.train.inputs)


def test_without_espeak_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="apt-get install espeak-ng"):
        speech_synthetic.load(data_dir=str(tmp_path))
