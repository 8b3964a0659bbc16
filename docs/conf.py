"""The documentation, made by ``python -m sphinx -W --keep-going -b html docs docs/_build/html``.

Nothing is read from the network, neither now nor by the pages.
"""
import importlib.metadata
import os
import pathlib
import subprocess
import sys

project = "levinv"
author = "The levinv developers"
copyright = author
release = version = importlib.metadata.version("levinv")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
nitpicky = True
nitpick_ignore = [("py:class", "scipy.optimize.OptimizeResult")]      # would need the network
nitpick_ignore_regex = [("py:obj", "[a-z_]+")]      # attributes that are properties, in tables

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"                       # numpydoc says it in words
numpydoc_show_class_members = False              # the template of classes lists them

copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "doc_module": ("levinv",),
    "backreferences_dir": None,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 3600,
    "image_srcset": ["2x"],
}

html_theme = "pydata_sphinx_theme"
html_title = "levinv"
html_static_path = ["_static"]
html_css_files = ["levinv.css"]
html_show_sourcelink = False
html_sidebars = {page: [] for page in ("index", "quickstart", "statistical_models", "fitted")}
html_theme_options = {
    "logo": {"text": "levinv"},
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "show_toc_level": 2,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}


def _write_help(app):
    """What ``levinv --help`` prints, for reference/command-line.md."""
    folder = pathlib.Path(app.srcdir, "reference", "generated")
    folder.mkdir(parents=True, exist_ok=True)
    for command in ("", "demo", "scores", "invert", "audit"):
        shown = subprocess.run([sys.executable, "-m", "levinv", *command.split(), "--help"],
                               env=os.environ | {"COLUMNS": "90", "NO_COLOR": "1"},
                               capture_output=True, text=True, check=True)
        (folder / f"help-{command or 'levinv'}.txt").write_text(shown.stdout, encoding="utf-8")


def _draw(app):
    """The pictures of pages, from the tables of the comparison."""
    import matplotlib.pyplot as plt
    sys.path.insert(0, str(app.srcdir))
    import pictures

    plt.switch_backend("Agg")
    pictures.draw(pathlib.Path(app.srcdir, "generated"))


def _close_blocks(app, docname, source):
    """Doctest wants an empty line before the fence that ends a block, a reader does not."""
    source[0] = source[0].replace("\n\n```\n", "\n```\n")


def setup(app):
    app.connect("builder-inited", _write_help)
    app.connect("builder-inited", _draw)
    app.connect("source-read", _close_blocks)
