"""Builders of tensorflow-datasets for the six UCI sets.

They are not in its registry: construct the class. Their names begin with uci_, for it
has an iris of its own. Files of ArrayRecord need no TensorFlow to be written or read.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from mixup_jax.data.builders import files
from mixup_jax.data.builders.parsing import read_part
from mixup_jax.data.builders.tables import LICENCE, TABLES, Table
from mixup_jax.data.dataset import Split
from mixup_jax.errors import UsageError

VERSION = "1.0.0"  # of what is prepared; change it with the rows or their order


class _Uci(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version(VERSION)
    MANUAL_DOWNLOAD_INSTRUCTIONS = "The repository's archive, or what is in it."

    @property
    def table(self) -> Table:
        """What is known of the set."""
        return TABLES[self.name.removeprefix("uci_")]

    def _info(self) -> Any:
        table = self.table
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{table.title}, UCI Machine Learning Repository, {LICENCE}.",
            features=tfds.features.FeaturesDict(
                {
                    "features": tfds.features.Tensor(
                        shape=(table.columns,), dtype=np.float32
                    ),
                    "label": tfds.features.ClassLabel(names=list(table.classes)),
                }
            ),
            supervised_keys=("features", "label"),
            homepage=table.page,
            citation=f"{table.citation}. https://doi.org/{table.doi}",
            license=LICENCE,
            disable_shuffling=True,  # rows stay in the order of the file
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        contents = files.from_folder(self.table, _manual(dl_manager))
        if contents is None:
            contents = _download(self.table, dl_manager)
        # All parts are read before the first is written.
        parts = {
            part: read_part(self.table, part, contents) for part in self.table.parts
        }
        return {part: self._generate_examples(rows) for part, rows in parts.items()}

    def _generate_examples(self, rows: Split) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, (features, label) in enumerate(zip(*rows, strict=True)):
            yield index, {"features": features, "label": int(label)}


class Abalone(_Uci, skip_registration=True):
    """Rings of abalones from eight measures."""

    name = "uci_abalone"


class Arcene(_Uci, skip_registration=True):
    """Cancer from mass spectra; the labelled two of its three parts."""

    name = "uci_arcene"


class Arrhythmia(_Uci, skip_registration=True):
    """Kinds of arrhythmia from electrocardiograms; missing cells are NaN."""

    name = "uci_arrhythmia"


class Htru2(_Uci, skip_registration=True):
    """Pulsars among candidates."""

    name = "uci_htru2"


class Phishing(_Uci, skip_registration=True):
    """Phishing, suspicious and legitimate websites."""

    name = "uci_phishing"


class Iris(_Uci, skip_registration=True):
    """Fisher's irises, with the repository's errata worked in."""

    name = "uci_iris"


BUILDERS: dict[str, type[_Uci]] = {
    builder.name.removeprefix("uci_"): builder
    for builder in (Abalone, Arcene, Arrhythmia, Htru2, Phishing, Iris)
}


def prepare(name: str, data_dir: Path, manual_dir: Path | None) -> Split:
    """Returns all rows of a set, preparing it on disk if it has to be.

    Args:
      name: A key of `BUILDERS`.
      data_dir: Prepared sets are kept there.
      manual_dir: Files that were downloaded by hand, looked for first.

    Returns:
      float32 features [N, C], missing cells NaN, and labels, part after part.

    Raises:
      UsageError: If the files can be neither found nor downloaded, are not the
        published ones, or the disk cannot be written to.
    """
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    builder = BUILDERS[name](data_dir=data_dir, file_format="array_record")
    if not builder.data_path.exists():
        files.check_folder(manual_dir)
        config = tfds.download.DownloadConfig(
            manual_dir=manual_dir, try_download_gcs=False
        )
        try:
            builder.download_and_prepare(
                download_dir=data_dir / "downloads", download_config=config
            )
        except OSError as error:
            raise UsageError(
                f"cannot prepare {builder.table.title} in {builder.data_dir}: {error}"
            ) from error
    parts = [_read(builder, part) for part in builder.table.parts]
    return Split(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _read(builder: _Uci, part: str) -> Split:
    source: Any = builder.as_data_source(split=part)
    rows = source.__getitems__(range(len(source)))
    features = np.stack([row["features"] for row in rows])
    return Split(features, np.array([row["label"] for row in rows], np.int32))


def _manual(dl_manager: Any) -> Path | None:
    try:
        return Path(dl_manager.manual_dir)
    except AssertionError:  # not given, or empty
        return None


def _download(table: Table, dl_manager: Any) -> files.Contents:
    import requests
    from tensorflow_datasets.core.download import download_manager

    files.check_reachable(table)
    try:
        path = Path(dl_manager.download(table.address))
    except (
        requests.exceptions.RequestException,
        tfds.download.DownloadError,
        download_manager.NonMatchingChecksumError,
    ) as error:
        raise files.unavailable(table, error) from error
    try:
        return files.from_archive(table, path)
    except UsageError:
        # Kept, it would be taken for the archive by every later run.
        for file in (path, Path(f"{path}.INFO")):
            file.unlink(missing_ok=True)
        raise
