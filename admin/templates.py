"""Templates of pages and letters, read when the process starts.

What is installed over a running admin is another version's: its templates ask for values that the code in
memory does not have. They count from the next start on, as that code does.
"""

from jinja2 import Environment, FunctionLoader, PackageLoader, StrictUndefined


def environment(package: str, *, autoescape: bool) -> Environment:
    """Return what makes texts of the templates in a package's folder `templates`, as they are now.

    Each is compiled when it is first used.
    """
    made = Environment(
        autoescape=autoescape,  # noqa: S701 - False for text, as in mail
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    on_disk = PackageLoader(package, "templates")
    read = {name: on_disk.get_source(made, name) for name in on_disk.list_templates()}
    made.loader = FunctionLoader(read.get)
    return made
