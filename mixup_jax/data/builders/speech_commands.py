"""Builder of tensorflow-datasets for Google's speech commands v0.01.

Its own speech_commands is of v0.02, with 12 classes, and not what the paper used.
"""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from mixup_jax.data import manual_files
from mixup_jax.data.builders import speech_files
from mixup_jax.data.builders.speech_files import SAMPLES, WORDS, Release
from mixup_jax.data.dataset import Split
from mixup_jax.errors import UsageError

_LOG = logging.getLogger(__name__)
SPLITS = ("train", "validation", "test")
_TITLE = "Google speech commands v0.01"


class SpeechCommands(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """30 words, each a second of sound at 16 kHz; shorter ones end in zeros."""

    name = "speech_commands_v001"
    VERSION = tfds.core.Version("1.0.0")
    url_infos: ClassVar[dict[str, Any]] = {}

    def __init__(self, release: Release, extracted: Path | None = None, **options: Any):
        archive = release.archive
        self.release, self.extracted = release, extracted
        self.url_infos = {  # pyrefly: ignore
            release.address: tfds.core.download.checksums.UrlInfo(
                archive.size, archive.checksum, archive.filename
            )
        }
        super().__init__(**options)

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{_TITLE}, in the splits of its two lists.",
            features=tfds.features.FeaturesDict(
                {
                    "audio": tfds.features.Tensor(shape=(SAMPLES,), dtype=np.int16),
                    "label": tfds.features.ClassLabel(names=list(WORDS)),
                }
            ),
            supervised_keys=("audio", "label"),
            homepage="https://arxiv.org/abs/1804.03209",
            license="CC BY 4.0",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        source = self.extracted or Path(dl_manager.download(self.release.address))
        survey = speech_files.survey(source, self.release.counts)
        _LOG.warning(
            "%s of %s sounds are shorter than a second; zeros follow them",
            f"{survey.short:,}",
            f"{sum(self.release.counts.values()):,}",
        )
        return {
            split: self._generate_examples(source, survey.splits[split])
            for split in SPLITS
        }

    def _generate_examples(
        self, source: Path, paths: frozenset[str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for path, read in speech_files.contents(source):
            if path in paths:
                sound = speech_files.decode(path, read())
                audio = np.pad(sound, (0, SAMPLES - len(sound)))
                yield path, {"audio": audio, "label": speech_files.label_of(path)}


def prepare(
    data_dir: Path, manual_dir: Path | None, release: Release
) -> dict[str, Split]:
    """Returns the three splits, preparing them on disk if they have to be.

    Args:
      data_dir: Prepared sets are kept there.
      manual_dir: Where the archive, or what is in it, may be; looked into first.
      release: What is known of the archive in advance.

    Returns:
      int16 sounds [N, 16000, 1] and labels, by the name of the split.

    Raises:
      UsageError: If the archive can be neither found nor downloaded or is not the
        published one, its files are not as they should be (see
        `speech_files.survey`), or the disk cannot be written to.
    """
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    extracted = speech_files.find_extracted(manual_dir, release)
    builder = SpeechCommands(
        release, extracted, data_dir=data_dir, file_format="array_record"
    )
    if not builder.data_path.exists():
        _write(builder, manual_dir)
    return {split: _read(builder, split) for split in SPLITS}


def _write(builder: SpeechCommands, manual_dir: Path | None) -> None:
    import requests  # comes with tensorflow-datasets
    from tensorflow_datasets.core.download import download_manager

    release = builder.release
    downloads = Path(builder.data_dir).parents[1] / "downloads"
    absent: manual_files.Files = {}
    if builder.extracted is None:
        files = {release.address: release.archive}
        have = manual_files.downloaded(downloads / builder.name)
        absent = manual_files.missing(manual_dir, files)
        absent = {url: file for url, file in absent.items() if url not in have}
        manual_files.check_reachable(_TITLE, absent)
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    try:
        builder.download_and_prepare(download_dir=downloads, download_config=config)
    except (
        requests.exceptions.RequestException,
        tfds.download.DownloadError,
        download_manager.NonMatchingChecksumError,
    ) as error:
        raise manual_files.unavailable(_TITLE, absent, error) from error
    except OSError as error:
        raise UsageError(
            f"cannot prepare {_TITLE} in {builder.data_dir}: {error}"
        ) from error


def _read(builder: SpeechCommands, split: str) -> Split:
    source: Any = builder.as_data_source(split=split)
    # Filled in place: as a list first, the training sounds would take twice 1.6 GB.
    inputs = np.empty((len(source), SAMPLES, 1), np.int16)
    labels = np.empty(len(source), np.int32)
    for index, example in enumerate(source):
        inputs[index, :, 0], labels[index] = example["audio"], example["label"]
    return Split(inputs, labels)
