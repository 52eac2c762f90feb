"""Sphinx's settings. The pages about single functions are written by `_ext/catalogue_pages.py` while the docs build."""

import sys
from pathlib import Path

import rectified

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "tools")]

project = "rectified"
author = "The rectified developers"
project_copyright = f"2026, {author}"
version = release = rectified.__version__

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "catalogue_pages",
    "command_line",
    "figure_tables",
    "formula_role",
]
default_role = "py:obj"
exclude_patterns = ["_build"]
toc_object_entries = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = f"rectified {version}"
html_static_path = ["_static"]
html_css_files = ["rectified.css"]
html_show_sourcelink = False
html_sidebars = {
    "index": [],
    "functions/index": [],
    "api": [],
    "tutorial": [],
    "conventions": [],
    "is_it_relu": [],
    "health": [],
    "speed": [],
    "accuracy": [],
    "how_it_works": [],
}
html_theme_options = {
    "logo": {"text": "rectified"},
    "header_links_before_dropdown": 7,
    "navbar_persistent": [],
    "navbar_align": "left",
    "navbar_end": ["search-button", "theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_prev_next": False,
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
