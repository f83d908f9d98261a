import os
import struct

import numpy as np
import pytest
import speech_case

from mixup_jax.data.builders import speech_files
from mixup_jax.errors import UsageError


def _survey(folder, counts=speech_case.COUNTS, **replaced):
    content = speech_case.files(replaced.items())
    return speech_files.survey(speech_case.extract(folder, content), counts)


def test_the_published_set_is_the_papers():
    assert len(speech_files.WORDS) == 30
    assert list(speech_files.WORDS) == sorted(set(speech_files.WORDS))
    counts = speech_files.V001.counts
    assert counts == {"train": 51_088, "validation": 6_798, "test": 6_835}
    assert sum(counts.values()) == 64_727 - 6  # less the files of noise


def test_the_two_lists_decide_the_splits_and_noise_is_in_none(tmp_path):
    got = _survey(tmp_path)
    assert got.splits["test"] == {"bed/b.wav", "zero/a.wav"}
    assert got.splits["validation"] == {"cat/a.wav"}
    assert got.splits["train"] == {
        "bed/a.wav",
        "cat/b.wav",
        "zero/b.wav",
        "zero/c.wav",
    }


def test_sounds_shorter_than_a_second_are_counted(tmp_path):
    assert _survey(tmp_path).short == 2


def test_an_archive_holds_what_its_folder_does(tmp_path):
    content = speech_case.files()
    speech_case.pack(tmp_path, content)
    folder = speech_case.extract(tmp_path / "folder", content)
    packed = speech_files.contents(tmp_path / speech_case.NAME)
    assert {path: read() for path, read in packed} == content
    assert {path: read() for path, read in speech_files.contents(folder)} == content


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.001, 0])
def test_a_truncated_archive_is_named(kept, tmp_path):
    speech_case.pack(tmp_path, speech_case.files())
    path = tmp_path / speech_case.NAME
    os.truncate(path, int(kept * path.stat().st_size))
    with pytest.raises(UsageError, match=r"v0\.01\.tar\.gz cannot be read to its end"):
        speech_files.survey(path, speech_case.COUNTS)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({path: None for path in speech_case.SOUNDS}, "holds no sounds"),
        ({"testing_list.txt": None}, r"has no testing_list\.txt"),
        ({"validation_list.txt": None}, r"has no validation_list\.txt"),
        ({"bed/a.wav": None}, "3 train"),
        ({"bed/b.wav": None}, r"testing_list.*names 1 .*bed/b\.wav \(not there"),
        (
            {"testing_list.txt": b"tree/x.wav\nbackward/a.wav\n"},
            r"names 2 .*tree/x\.wav \(not there\); backward/a\.wav \('backward' is",
        ),
        (
            {"validation_list.txt": b"bed/b.wav\n"},
            r"validation_list.*bed/b\.wav \(in both lists",
        ),
        (
            {"backward/a.wav": speech_case.wav(speech_case.sound(0))},
            r"1 of the 8 sounds .*backward/a\.wav: 'backward' is none of the 30",
        ),
    ],
    ids=[
        "empty",
        "no test list",
        "no validation list",
        "count",
        "missing sound",
        "unknown in a list",
        "both lists",
        "unknown folder",
    ],
)
def test_a_set_that_is_not_whole_is_refused_and_says_why(replaced, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        _survey(tmp_path, **replaced)


def _float_format(content):
    # Format 3 is floating point; the number stands 20 bytes into the header.
    return content[:20] + struct.pack("<H", 3) + content[22:]


_GOOD = speech_case.wav(speech_case.sound(0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a WAV file"),
        (b"RIFF and so on, but no sound", "is not a WAV file"),
        (_float_format(_GOOD), "is not a WAV file"),
        (_GOOD[:30], "is not a WAV file"),
        (_GOOD[:-1000], "ends after 15500 of 16000 samples"),
        (speech_case.wav(speech_case.sound(0), rate=22_050), "at 22,050 Hz"),
        (speech_case.wav(speech_case.sound(0), channels=2), "2 channels"),
        (speech_case.wav(speech_case.sound(0), width=1), "8 bits"),
        (speech_case.wav(speech_case.sound(0, 16_001)), "16,001 samples"),
        (speech_case.wav([]), "0 samples"),
    ],
    ids=[
        "no bytes",
        "text",
        "float",
        "header cut",
        "cut",
        "rate",
        "stereo",
        "8 bit",
        "longer",
        "silent",
    ],
)
def test_a_sound_that_cannot_be_used_is_named(content, message):
    with pytest.raises(UsageError, match=rf"bed/a\.wav.*{message}"):
        speech_files.decode("bed/a.wav", content)


def test_unusable_sounds_are_counted_and_the_first_of_them_named(tmp_path):
    bad = {path: b"" for path in list(speech_case.SOUNDS)[:5]}
    with pytest.raises(UsageError) as caught:
        _survey(tmp_path, **bad)
    assert "5 of the 7 sounds" in str(caught.value)
    assert "bed/a.wav" in str(caught.value)
    assert str(caught.value).endswith("and 2 more")


def test_samples_are_those_of_the_file():
    for path, samples in speech_case.SOUNDS.items():
        got = speech_files.decode(path, speech_case.wav(samples))
        assert got.dtype == np.int16
        np.testing.assert_array_equal(got, samples)
