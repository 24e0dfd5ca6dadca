"""Settings of the documentation: `make docs`, warnings are errors."""

import re
import warnings
from importlib.metadata import version as installed_version

project = "plateaux"
author = "The plateaux authors"
project_copyright = author
version = release = installed_version("plateaux")

extensions = [
    "myst_nb",  # MyST, and notebooks
    "sphinx_gallery.gen_gallery",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "gallery", "_gallery/**.ipynb"]
html_theme = "furo"
html_title = "plateaux"
html_static_path = []
html_extra_path = ["reports"]  # pages of finished sweeps, as they were written
smartquotes = False
default_role = "code"  # in the gallery, which is reStructuredText

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Notebooks are run again; an error, or a word on standard error, fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 280
nb_output_stderr = "warn"
nb_merge_streams = True


FILTERS = warnings.filters[:]


def _like_new(gallery_conf, script, when):
    """Every example sets its own precision, and its warnings are errors."""
    import jax  # here: the tests import this file for its examples

    jax.config.update("jax_enable_x64", False)
    if when == "before":
        warnings.simplefilter("error")
    else:
        warnings.resetwarnings()
        warnings.filters[:] = FILTERS


SECTIONS = "runs flow cells statistics stages ranks depth problems".split()
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "_gallery",
    "filename_pattern": r"\.py$",
    "subsection_order": [f"gallery/{name}" for name in SECTIONS],
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib", _like_new),
    "reset_modules_order": "both",
    "image_srcset": ["2x"],
    "thumbnail_size": (400, 300),
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 3600,  # the time of a busy machine says nothing
    "capture_repr": (),
    "write_computation_times": False,
    "backreferences_dir": None,
    "remove_config_comments": True,
}
suppress_warnings = ["config.cache"]  # a function among the settings

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
napoleon_use_rtype = False


def _to_rst(lines: list[str]) -> list[str]:
    """Docstrings keep a few habits of Markdown; give Sphinx its own spelling.

    `code` becomes ``code``, a lone | is escaped, and a table of pipes becomes a list
    table. Examples (from >>> to the next blank line) stay as they are.
    """
    out, rows, example = [], [], False
    for line in [*lines, ""]:
        text = line.strip()
        example = text.startswith(">>>") or (example and bool(text))
        if text.startswith("|") and text.endswith("|") and not example:
            rows.append([_inline(cell) for cell in _cells(text)])
            continue
        if rows:
            out += _list_table(rows)
            rows = []
        out.append(line if example else _inline(line))
    return out[:-1]


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def _inline(text: str) -> str:
    text = re.sub(r"(?<![`:])`([^`]+)`(?!`)", r"``\1``", text)
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def _list_table(rows: list[list[str]]) -> list[str]:
    body = [row for row in rows if not all(set(cell) <= set("-: ") for cell in row)]
    out = ["", ".. list-table::", "   :header-rows: 1", ""]
    for row in body:
        out += [
            f"   {'-' if i else '* -'} {cell}".rstrip() if i == 0 else f"     - {cell}"
            for i, cell in enumerate(row)
        ]
    return [*out, ""]


def setup(app):
    """Register the changes of spelling, before napoleon reads the docstrings."""

    def respell(app, what, name, obj, options, lines):
        lines[:] = _to_rst(lines)

    def shorten(app, what, name, obj, options, signature, returns):
        short = lambda text: (
            text and re.sub(r"\bjax(lib)?\.[\w.]*\bArray\b", "Array", text)
        )
        return short(signature), short(returns)

    app.connect("autodoc-process-docstring", respell, priority=1)
    app.connect("autodoc-process-signature", shorten)
