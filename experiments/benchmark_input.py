r"""How many images a core decodes, cuts and resizes: ours, TensorFlow, PyTorch.

  python -m experiments.benchmark_input --json=input.json

Two photographs that come with scikit-learn, 500 x 375 pixels as JPEG files; of each a
random part becomes 224 x 224 pixels, half of them mirrored. All sides run in turns in
one process. Images per second of a core's time are what a host is planned by: they
depend little on how busy the machine is. Sides that are not installed are left out.
"""

import io
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments import common, markdown
from mixup_jax import runtime
from mixup_jax.data.images.boxes import Crop, random_box
from mixup_jax.data.images.images import PackedImages
from mixup_jax.data.images.stream import ImageStream
from mixup_jax.errors import UsageError, install
from mixup_jax.randomness import Purpose, host_uniforms
from mixup_jax.runs.environment import environment
from mixup_jax.runs.statistics import mean_interval
from mixup_jax.types import Request

_HEIGHT, _WIDTH, _SIZE = 375, 500, 224
Batches = Callable[[list[Request]], Iterator[np.ndarray]]


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    flags.DEFINE_integer("images", 1000, "in a batch", **here)
    flags.DEFINE_integer("rounds", 7, "of all sides, at least 3", **here)
    flags.DEFINE_integer("quality", 95, "of the JPEG files", **here)
    flags.DEFINE_integer("workers", 0, "threads of ours; 0: all processors", **here)
    flags.DEFINE_string("json", None, "file for all figures", **here)
    if common.parse(values, __doc__ or "", argv):
        return
    for name, least in (("rounds", 3), ("images", 1), ("quality", 1), ("workers", 0)):
        given: Any = values[name].value
        if given < least:
            raise UsageError(f"{name} must be at least {least}, got {given}")
    if values.quality > 100:
        raise UsageError(f"quality must be at most 100, got {values.quality}")
    common.check_file("json", values.json)
    print(runtime.start(), file=sys.stderr)
    files = photographs(values.quality)
    rows = measure(available(files, values.workers), values.images, values.rounds)
    kilobytes = np.mean([len(file) for file in files]) / 1000
    print(table(rows))
    print(f"\nJPEG files of {kilobytes:.0f} kB on average; {environment()['machine']}")
    if values.json:
        content = {"environment": environment(), "kilobytes": kilobytes, "sides": rows}
        Path(values.json).write_text(json.dumps(content, indent=2) + "\n")


def photographs(quality: int) -> list[bytes]:
    """Returns JPEG files of parts of two photographs, 500 x 375 pixels."""
    try:
        from PIL import Image
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise UsageError(
            f"the photographs come with scikit-learn: {install('test')} ({error})"
        ) from error
    rng, files = np.random.default_rng(0), []
    for i in range(64):
        whole = Image.fromarray(load_sample_images().images[i % 2])
        width = int(rng.integers(420, 560))
        left = int(rng.integers(0, 640 - width + 1))
        top = int(rng.integers(0, 427 - width * 3 // 4 + 1))
        box = (left, top, left + width, top + width * 3 // 4)
        file = io.BytesIO()
        whole.resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC, box).save(
            file, "JPEG", quality=quality
        )
        files.append(file.getvalue())
    return files


def available(files: list[bytes], workers: int) -> dict[str, Batches]:
    """Returns the sides whose packages are installed."""
    sides: dict[str, Batches] = {"mixup-jax": ours(files, workers)}
    others = {
        "Pillow in torch DataLoader": pillow_in_torch,
        "tf.data, decode_and_crop": tf_data,
    }
    for name, make in others.items():
        try:
            sides[name] = make(files)
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return sides


def ours(files: list[bytes], workers: int) -> Batches:
    """The stream that training reads."""
    bounds = np.cumsum([0, *map(len, files)])
    images = PackedImages(
        "photographs",
        np.frombuffer(b"".join(files), np.uint8),
        np.stack([bounds[:-1], bounds[1:]], axis=1),
        sizes=np.tile(np.array([_HEIGHT, _WIDTH], np.int32), (len(files), 1)),
    )
    return ImageStream(images, Crop(size=_SIZE), seed=0, workers=workers)


def box_of(step: int, index: int) -> tuple[tuple[int, int, int, int], bool]:
    """The part that ours cuts out, and whether it is mirrored: the same for all."""
    numbers = host_uniforms(0, Purpose.AUGMENT, step, index, 51)
    return random_box(numbers[1:], _HEIGHT, _WIDTH), bool(numbers[0] < 0.5)


def pillow_in_torch(files: list[bytes]) -> Batches:
    """What torchvision's ImageFolder and RandomResizedCrop do, in this process."""
    import torch
    from PIL import Image

    class Photographs(torch.utils.data.Dataset):
        def __init__(self, request: Request):
            self.request = request

        def __len__(self):
            return len(self.request.indices)

        def __getitem__(self, index):
            index = int(self.request.indices[index])
            (top, left, height, width), mirrored = box_of(self.request.step, index)
            image = Image.open(io.BytesIO(files[index])).convert("RGB")
            box = (left, top, left + width, top + height)
            image = image.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC, box)
            pixels = np.asarray(image)
            return torch.from_numpy(
                pixels[:, ::-1].copy() if mirrored else pixels.copy()
            )

    def batches(requests: list[Request]) -> Iterator[np.ndarray]:
        for request in requests:
            loader = torch.utils.data.DataLoader(
                Photographs(request), batch_size=len(request.indices)
            )
            (batch,) = loader
            yield batch.numpy()

    return batches


def tf_data(files: list[bytes]) -> Batches:
    """tf.data with the fused decode-and-crop and cubic interpolation, bytes out."""
    from mixup_jax.data.tfds_source import import_tensorflow

    tf = import_tensorflow()

    def one(content, box, mirrored):
        image = tf.image.decode_and_crop_jpeg(content, box, channels=3)
        image = tf.image.resize(image, (_SIZE, _SIZE), method="bicubic")
        image = tf.cond(mirrored, lambda: image[:, ::-1], lambda: image)
        return tf.saturate_cast(image + 0.5, tf.uint8)

    def batches(requests: list[Request]) -> Iterator[np.ndarray]:
        for request in requests:
            drawn = [box_of(request.step, int(i)) for i in request.indices]
            columns: Any = (
                [files[i] for i in request.indices],
                np.array([box for box, _ in drawn], np.int32),
                np.array([mirrored for _, mirrored in drawn]),
            )
            data = tf.data.Dataset.from_tensor_slices(columns)
            data = data.map(one, num_parallel_calls=tf.data.AUTOTUNE)
            (batch,) = data.batch(len(drawn)).as_numpy_iterator()
            yield batch

    return batches


def measure(
    sides: dict[str, Batches], images: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Returns images per second, of a core's time and of the clock's."""
    rng = np.random.default_rng(1)
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        indices = rng.integers(0, 64, images).astype(np.int32)
        names = list(sides) if turn % 2 else list(sides)[::-1]
        for name in names:
            wall, core = time.perf_counter(), time.process_time()
            for _ in sides[name]([Request(turn, indices)]):
                pass
            wall, core = time.perf_counter() - wall, time.process_time() - core
            if turn:  # the first warms up
                rates[name].append((images / core, images / wall))
    rows = {}
    for name, pairs in rates.items():
        core, half = mean_interval([rate for rate, _ in pairs])
        rows[name] = {
            "per_core_second": core,
            "interval": half,
            "per_second": float(np.median([rate for _, rate in pairs])),
        }
    return rows


def table(rows: dict[str, dict[str, float]]) -> str:
    """Returns the figures as Markdown."""
    first = rows["mixup-jax"]["per_core_second"]
    cells = [
        [
            name,
            f"{row['per_core_second']:.0f} ± {row['interval']:.0f}",
            f"{row['per_second']:.0f}",
            f"{first / row['per_core_second']:.2f}",
        ]
        for name, row in rows.items()
    ]
    head = ["side", "images per core second", "per second, all cores", "ours / it"]
    return markdown.table(head, cells)


if __name__ == "__main__":
    common.main(main)
