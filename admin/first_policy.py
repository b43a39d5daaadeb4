"""The policy a town begins with: commented for whoever is its only IT person."""

import json
from collections.abc import Sequence
from importlib import resources
from string import Template


def first_policy(
    town_name: str,
    timezone: str,
    networks: Sequence[str],
    administrator: str,
    administrator_name: str,
    administrator_mail: str = "",
) -> str:
    """Return a whole policy document: one department with these networks, one person with every role.

    `administrator` is the person's id. Nothing is checked here: `load_document` says what is wrong.
    """
    template = resources.files("admin").joinpath("first_policy.yaml").read_text("utf-8")
    return Template(template).substitute(
        town_name=" ".join(town_name.split()),
        town=_quoted(town_name),
        timezone=_quoted(timezone),
        networks=_quoted(list(networks)),
        administrator_id=administrator,
        administrator_name=_quoted(administrator_name),
        administrator_mail=f", mail: {_quoted(administrator_mail)}" if administrator_mail else "",
    )


def _quoted(value: str | list[str]) -> str:
    # JSON's strings and lists are YAML's too.
    return json.dumps(value, ensure_ascii=False)
