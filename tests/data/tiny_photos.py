"""A set of tensorflow-datasets for tests: 30 + 10 JPEG images of several sizes."""

import os
import signal
import sys

import numpy as np
import tensorflow_datasets as tfds

from tests.data.pictures import encode, picture

COUNTS = {"train": 30, "validation": 10}
CLASSES = ["cat", "dog", "owl"]


def pixels_of(split, i):
    return picture((split == "validation") * 1000 + i, 16 + i, 20 + i % 4)


class TinyPhotos(tfds.core.GeneratorBasedBuilder):
    """Registered under its name, tiny_photos; KILL_AT ends the process half-way."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(names=CLASSES),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in COUNTS}

    def _generate_examples(self, split):
        import io

        for i in range(COUNTS[split]):
            if os.environ.get("KILL_AT") == f"{split} {i}":
                os.kill(os.getpid(), signal.SIGKILL)
            content = encode(pixels_of(split, i), quality=95)
            yield i, {"image": io.BytesIO(content), "label": i % 3}


class TinyNumbers(tfds.core.GeneratorBasedBuilder):
    """No images."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {"x": tfds.features.Tensor(shape=(), dtype=np.float32)}
            ),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples() for split in ("train", "test")}

    def _generate_examples(self):
        yield 0, {"x": 0.0}


class TinyTest(TinyPhotos):
    """Nothing to train on."""

    def _split_generators(self, dl_manager):
        return {"test": self._generate_examples("validation")}


if __name__ == "__main__":  # prepares it in the folder given
    from mixup_jax import data
    from mixup_jax.errors import UsageError

    try:
        got = data.load("tfds:tiny_photos", data_dir=sys.argv[1])
    except UsageError as error:
        sys.exit(f"usage: {error}")
    print(len(got.train.labels), len(got.test.labels))
