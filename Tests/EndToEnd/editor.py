"""What an editor does with a configuration and its JSON Schema."""

import functools
import json
import re

import jsonschema
import yaml

from gateway import patchbay


class _Core(yaml.SafeLoader):
    """YAML 1.2's core schema, as editors read it: `no` is text, and so is a date."""

    yaml_implicit_resolvers = {}


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("int", r"[-+]?[0-9]+", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
):
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


@functools.cache
def schema(binary, *options) -> dict:
    """The schema that a program prints, which is one."""
    printed = patchbay("schema", *options, binary=binary)
    assert printed.returncode == 0, printed.stderr
    found = json.loads(printed.stdout)
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def read(text: str):
    """What a text of YAML is."""
    return yaml.load(text, _Core)


def complaint(schema: dict, text: str) -> str | None:
    """What it underlines first; nothing where it is content."""
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(read(text)))
    return error and f"{error.json_path}: {error.message}"
