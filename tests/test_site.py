"""Links and pictures of the documentation, and the site that is built of it."""

import html.parser
import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
from urllib.parse import unquote

import pytest

import mixup_jax
from experiments import fields
from mixup_jax import data, runs, testing
from tests.blocks import ROOT

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
REFERENCE = "\n".join(p.read_text() for p in ROOT.glob("docs/reference/*.md"))
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _BROWSERS)), None)
# Of the largest picture, and of all; a phone loads them.
LARGEST, ALTOGETHER = 120_000, 600_000


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def prose_of(page):
    """A page without its code."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`", "`code`", text)


def anchors_of(page):
    """Of the headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_of_a_page_are_there(page):
    broken = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose_of(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES[1:], ids=name_of)
def test_pages_stay_within_docs_and_are_listed(page):
    # What lies outside of docs/ is not on the site.
    assert not re.search(r"\]\((\.\./)+(README|experiments|mixup_jax)", prose_of(page))
    listed = re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text())
    assert page.relative_to(ROOT / "docs").as_posix() in listed


def test_pictures_are_small_and_shown():
    sizes = {name_of(p): p.stat().st_size for p in ROOT.glob("docs/**/*.png")}
    assert max(sizes.values()) < LARGEST and sum(sizes.values()) < ALTOGETHER
    text = "".join(page.read_text() for page in PAGES)
    assert [name for name in sizes if name.split("/", 1)[1] not in text] == []


def test_the_reference_has_every_public_name_once():
    shown = re.findall(r"^::: (\S+)$", REFERENCE, re.MULTILINE)
    assert len(set(shown)) == len(shown)
    for module in (mixup_jax, testing, data, runs):
        names = {f"{module.__name__}.{name}" for name in module.__all__}
        # Types of arguments and tables of names are no functions to be called.
        names -= {"mixup_jax.testing.Mix"}
        names -= {"mixup_jax.data.SOURCES", "mixup_jax.data.KINDS"}
        assert names - set(shown) == set()
    for path in shown:
        where, name = path.rsplit(".", 1)
        assert getattr(importlib.import_module(where), name).__doc__


def test_the_page_of_flags_is_the_one_that_the_program_prints():
    page = (ROOT / "docs" / "reference" / "flags.md").read_text()
    again = "python -m experiments.fields > docs/reference/flags.md"
    assert page == f"{fields.page()}\n", again


class Html(html.parser.HTMLParser):
    """What a page has and needs."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.heads, self.images = [], []
        self.feed(path if isinstance(path, str) else path.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in ("img", "script", "iframe") and found.get("src"):
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(found["href"])
        if tag == "h1":
            self.heads.append(found)
        if tag == "img":
            self.images.append(found)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; the generator keeps its cache beside the config."""
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("needs the site's generator: pip install 'mixup-jax[docs]'")
    folder = tmp_path_factory.mktemp("site")
    config = (ROOT / "mkdocs.yml").read_text()
    config = config.replace("paths: [.]", f"paths: [{ROOT}]")
    shutil.copytree(ROOT / "docs", folder / "docs")
    (folder / "mkdocs.yml").write_text(config)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_the_site_has_every_page_and_no_broken_link(site):
    pages = {path: Html(path) for path in site.glob("**/*.html")}
    for page in PAGES[1:]:
        path = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert site / path.replace("README", "index") in pages
    pages.pop(site / "404.html")  # its links are from the root of a server
    broken = []
    for path, found in pages.items():
        for link in [*found.links, *found.loaded]:
            if re.match(r"https?:|mailto:|data:|javascript:", link):
                continue
            where, _, anchor = unquote(link).partition("#")
            target = (path.parent / where).resolve() if where else path
            there = target / "index.html" if target.is_dir() else target
            ids = pages[there].ids if there in pages else None
            if not there.exists() or (anchor and ids is not None and anchor not in ids):
                broken.append((path.name, link))
    assert broken == []


def test_the_site_fetches_nothing_from_elsewhere(site):
    for path in site.glob("**/*.html"):
        elsewhere = [x for x in Html(path).loaded if re.match(r"(https?:)?//", x)]
        assert elsewhere == [], path.name
    for path in site.glob("**/*.css"):
        assert not re.search(r"url\(['\"]?https?:", path.read_text()), path.name


def test_the_reference_shows_signatures_and_docstrings(site):
    page = (site / "reference" / "mixup_jax.html").read_text()
    assert 'id="mixup_jax.mixup"' in page
    assert "figure 1a" in page  # the source of its docstring
    text = re.sub(r"<[^>]+>", "", page)
    assert re.search(r"mixup\(\s*key: Key, batch: PyTree, \*, alpha: ArrayLike", text)


# What a browser makes of headings and pictures is written onto them.
PROBE = """<script>addEventListener("load", () => {
  for (const x of document.querySelectorAll("h1"))
    x.dataset.height = x.getBoundingClientRect().height
  for (const x of document.querySelectorAll("article img")) {
    x.dataset.width = x.naturalWidth
    x.dataset.beyond = x.getBoundingClientRect().right > innerWidth
  }
  document.body.dataset.beyond = document.documentElement.scrollWidth > innerWidth
})</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs the browser Chromium")
@pytest.mark.parametrize("name", ["index", "idea", "gallery"])
def test_a_browser_shows_headings_and_pictures(site, name, tmp_path):
    page = site / f"probe_{name}.html"
    text = (site / f"{name}.html").read_text()
    page.write_text(text.replace("</body>", f"{PROBE}</body>"))
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"),
        *(f"--user-data-dir={tmp_path}", "--window-size=500,900", "--dump-dom"),
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    page.unlink()
    shown = Html(done.stdout)
    assert float(shown.heads[0]["data-height"]) > 10
    widths = [image for image in shown.images if "data-width" in image]
    assert widths and all(int(each["data-width"]) > 100 for each in widths)
    # A narrow window needs no scrolling sideways.
    assert all(each["data-beyond"] == "false" for each in widths)
    assert 'data-beyond="false"' in re.search(r"<body[^>]*>", done.stdout)[0]
