"""The description on PyPI is README.md, with links that work there; pyproject.toml has the rest."""

import sys
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "docs"))

from links import absolute, rewrite, source_url  # noqa: E402

readme = (ROOT / "README.md").read_text("utf-8")
setup(
    long_description=rewrite(readme, "", absolute(source_url())),
    long_description_content_type="text/markdown",
)
