"""Read YAML files that users and other programs may have written."""

from typing import Any

import yaml


def parse_yaml(text: str | bytes) -> Any:
    """Return the value of a YAML text, as `yaml.safe_load` does.

    Raises yaml.YAMLError for every invalid text, also where PyYAML raises ValueError (a date or an
    integer that Python cannot represent) or RecursionError (deep nesting).
    """
    try:
        return yaml.safe_load(text)
    except RecursionError as error:
        raise yaml.YAMLError("nested too deeply") from error
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from error
