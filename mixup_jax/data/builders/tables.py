"""What is known in advance of the six UCI sets of the paper's table 4."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Lines(NamedTuple):
    """How a text file is known again: by its lines, see `files.digest`.

    Attributes:
      count: Lines that are not empty.
      digests: SHA-256 in hexadecimal; the first is of what the repository serves, more
        are of copies in circulation that hold the same table.
    """

    count: int
    digests: tuple[str, ...]


class Table(NamedTuple):
    """One data set of the UCI Machine Learning Repository.

    Attributes:
      name: As in `mixup_jax.data.SOURCES`.
      title: As the repository calls it.
      number: Of the set in the repository.
      doi: Of the set.
      citation: Whom to cite.
      files: What is read, by file name.
      parts: File names by part: the rows with their labels in the last column, or the
        rows and, in a second file, their labels.
      columns: Features.
      classes: Labels as written in the file; their order is that of 0 to K - 1.
      separator: Between cells; None is any run of blanks.
      header: The line after which rows begin, in any case; empty: no header.
      missing: What stands for a missing cell; empty: no cell is missing.
      codes: Numbers for the words of nominal columns, by column.
      errata: Rows as they should be, by number from 1.
    """

    name: str
    title: str
    number: int
    doi: str
    citation: str
    files: Mapping[str, Lines]
    parts: Mapping[str, tuple[str, ...]]
    columns: int
    classes: tuple[str, ...]
    separator: str | None = ","
    header: str = ""
    missing: str = ""
    codes: Mapping[int, Mapping[str, float]] = MappingProxyType({})
    errata: Mapping[int, str] = MappingProxyType({})

    @property
    def archive(self) -> str:
        """Name of the zip archive that the repository serves."""
        return f"{self.title.lower().replace(' ', '+')}.zip"

    @property
    def address(self) -> str:
        """Where the archive is served."""
        return f"https://archive.ics.uci.edu/static/public/{self.number}/{self.archive}"

    @property
    def page(self) -> str:
        """The set's home."""
        return f"https://archive.ics.uci.edu/dataset/{self.number}"


LICENCE = "CC BY 4.0"  # of all six, https://creativecommons.org/licenses/by/4.0/

_ABALONE = Table(
    name="abalone",
    title="Abalone",
    number=1,
    doi="10.24432/C55C7W",
    citation="Nash, Sellers, Talbot, Cawthorn, Ford (1994)",
    files={
        "abalone.data": Lines(
            4177,
            ("eb2de13be807e9bb9ec4128b9c89b98ab23d7739121cfd17b7dde69b46ba7bf6",),
        )
    },
    parts={"train": ("abalone.data",)},
    columns=8,
    # Rings; nobody counted 28.
    classes=(*map(str, range(1, 28)), "29"),
    # Male, female, infant. One column as the paper's "8 features"; its error of 74.0 is
    # what an MLP reaches with it. The order puts the adults side by side.
    codes={0: {"M": 0.0, "F": 1.0, "I": 2.0}},
)

_ARCENE = Table(
    name="arcene",
    title="Arcene",
    number=167,
    doi="10.24432/C58P55",
    citation="Guyon, Gunn, Ben-Hur, Dror (2004)",
    files={
        "arcene_train.data": Lines(
            100,
            ("0d2bb8d545c139c33b1496c28e148e276b5973069c7b8b531087d09f66d8dcba",),
        ),
        "arcene_train.labels": Lines(
            100,
            ("41195b75a2972fa13eca4f4b2eaeaa3a4a8bbb5d15f91839d9a73f8871a38a67",),
        ),
        "arcene_valid.data": Lines(
            100,
            ("b10c67fcf7a73155fc4c9997a75aa085bb2e5d389d3eeea04e2d4621ba8822a7",),
        ),
        "arcene_valid.labels": Lines(
            100,
            ("81d2808d24f0a59257f3309847cb9577612b8e7c06c6beeebfa5fea5457ac5e2",),
        ),
    },
    # The labels of the challenge's third part, 700 rows, were never published.
    parts={
        "train": ("arcene_train.data", "arcene_train.labels"),
        "valid": ("arcene_valid.data", "arcene_valid.labels"),
    },
    columns=10_000,
    classes=("-1", "1"),
    separator=None,
)

_ARRHYTHMIA = Table(
    name="arrhythmia",
    title="Arrhythmia",
    number=5,
    doi="10.24432/C5BS32",
    citation="Guvenir, Acar, Muderrisoglu, Quinlan (1997)",
    files={
        "arrhythmia.data": Lines(
            452,
            ("88a322de582e716202b975026c63764a451f4ade4502af8bacdb3872f56ee2f2",),
        )
    },
    parts={"train": ("arrhythmia.data",)},
    columns=279,
    # Of the 16 that are defined, 11 to 13 have no rows.
    classes=(*map(str, range(1, 11)), "14", "15", "16"),
    missing="?",
)

_HTRU2 = Table(
    name="htru2",
    title="HTRU2",
    number=372,
    doi="10.24432/C5DK6R",
    citation="Lyon, Stappers, Cooper, Brooke, Knowles (2016)",
    files={
        # The second is of copies that write 9.8E-05 for the original's 9.80E-05.
        "HTRU_2.csv": Lines(
            17_898,
            (
                "770932f2a324cb5f0b5ef2a33854fa8e4f47b9cd784b9f7fe60903fa63c8c294",
                "87994ed948b0a3941dc0667e3b82397286761090bb3e6dd8f7888d4be50d062a",
            ),
        )
    },
    parts={"train": ("HTRU_2.csv",)},
    columns=8,
    classes=("0", "1"),
)

_PHISHING = Table(
    name="phishing",
    title="Website Phishing",
    number=379,
    doi="10.24432/C5B301",
    citation="Abdelhamid, Ayesh, Thabtah (2014)",
    files={
        "PhishingData.arff": Lines(
            1365,
            ("01b6c0d6e06fc9a54c95afe960c314c3130bedb89167cd7c27db4aada311243d",),
        )
    },
    parts={"train": ("PhishingData.arff",)},
    columns=9,
    classes=("-1", "0", "1"),  # phishing, suspicious, legitimate
    header="@data",
)

_IRIS = Table(
    name="iris",
    title="Iris",
    number=53,
    doi="10.24432/C56C76",
    citation="Fisher (1936)",
    files={
        # The second is of copies with the errata worked in, as in scikit-learn.
        "iris.data": Lines(
            150,
            (
                "f5d0c11e5c78a69a20dbb80baf2b24703f59a6687595752abb397d23732647c5",
                "1091a0dfd033acb7733af503637b2c7db8818ebe67ec8ccd5a4d4d5e57f5914f",
            ),
        )
    },
    parts={"train": ("iris.data",)},
    columns=4,
    classes=("Iris-setosa", "Iris-versicolor", "Iris-virginica"),
    # Two rows differ from Fisher's article, says the repository's iris.names.
    errata={35: "4.9,3.1,1.5,0.2,Iris-setosa", 38: "4.9,3.6,1.4,0.1,Iris-setosa"},
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (_ABALONE, _ARCENE, _ARRHYTHMIA, _HTRU2, _PHISHING, _IRIS)
}
