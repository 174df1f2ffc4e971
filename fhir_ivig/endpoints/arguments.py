"""What an endpoint of the study file gives a kind's parameters, each checked by the type that the kind wrote there.

| Type of the parameter                  | What may stand under its key                                           |
|----------------------------------------|------------------------------------------------------------------------|
| `Population`, `Measure`, `Visit`       | the name of one                                                        |
| `tuple[Population, ...]`, `[Measure]`, `[Visit]` | a name, or a list of different names                         |
| `Decimal`                              | a number of 0 or more                                                  |
| `str`                                  | a word                                                                 |
| `tuple[str, ...]`                      | a word, or a list of words                                             |
| `Literal["a", "b"]`                    | one of these words                                                     |
| `Mapping[str, Any]`                    | keys with values of any depth, plain dicts, lists and texts            |
| one of these `| None`                  | the same; leave the key out for None                                   |

A parameter with a default may be left out. `from` is the parameter `from_`. A parameter of type `CoreSet` or
`Definition` is no key of an endpoint: it gets the study's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from inspect import Parameter, signature
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fhir_ivig.endpoints.definition import CoreSet, Definition, Measure, Population, Visit, fault
from fhir_ivig.endpoints.quantities import decimal, texts
from fhir_ivig.endpoints.terms import Plan
from fhir_ivig.issue import Issue

COMMON = ("kind", "label", "missing", "published")
MISSING = ("complete", "locf", "worst", "baseline", "multiple_imputation")


def arguments(
    kind: Callable[..., Any], entry: Mapping[str, Any], path: str, definition: Definition
) -> tuple[dict[str, Any], list[Issue]]:
    """What the parameters of a kind get from an endpoint at `path`, and an Issue for every key that is wrong."""
    types = get_type_hints(kind)
    parameters = {key.rstrip("_"): parameter for key, parameter in signature(kind).parameters.items()}
    del parameters["tables"]
    found: dict[str, Any] = {}
    issues: list[Issue] = []
    for key in [key for key, parameter in parameters.items() if types[parameter.name] in (CoreSet, Definition)]:
        parameter = parameters.pop(key)
        found[parameter.name] = definition if types[parameter.name] is Definition else definition.core_set
        if found[parameter.name] is None:
            said = f"Kind {entry['kind']} needs the core set: name its measures at the top of the study file."
            issues.append(fault("required", said, "core_set"))
    for key in entry.keys() - parameters.keys() - set(COMMON):
        said = f"Kind {entry['kind']} has no key `{key}`: it has {', '.join([*parameters, *COMMON])}."
        issues.append(fault("not-supported", said, f"{path}.{key}"))
    for key, parameter in parameters.items():
        if key in entry:
            value, issue = _argument(types[parameter.name], entry[key], f"{path}.{key}", definition)
            found[parameter.name] = value
            issues += [issue] if issue else []
        elif parameter.default is Parameter.empty:
            said = f"Kind {entry['kind']} needs the key `{key}`: add it."
            issues.append(fault("required", said, f"{path}.{key}"))
    return found, [*issues, *_backwards(found, path)]


def _backwards(found: Mapping[str, Any], path: str) -> Iterator[Issue]:
    """An Issue where a change would be counted from a later visit to an earlier one."""
    first = found.get("from_")
    for key in ("to", "at"):
        last = found.get(key)
        if not isinstance(first, Visit) or not isinstance(last, Visit):
            continue
        later = first.day is not None and last.day is not None and first.day > last.day
        if later or (key == "to" and first.name == last.name):
            said = f"`{last.name}` does not come after `{first.name}`, which stands under from: exchange them."
            yield fault("value", said, f"{path}.{key}")


def plan(entry: Mapping[str, Any], path: str, definition: Definition) -> tuple[Plan, list[Issue]]:
    """How an endpoint reads values: `missing` is a rule of carrying.py, or `{rule, seed, imputations}`."""
    given, path = entry.get("missing", "complete"), f"{path}.missing"
    keys = given if isinstance(given, dict) else {"rule": given}
    issues = []
    for key in keys.keys() - {"rule", "seed", "imputations"}:
        said = f"There is no `{key}` here: there are rule, seed and imputations."
        issues.append(fault("not-supported", said, f"{path}.{key}"))
    rule = keys.get("rule")
    if rule not in MISSING:
        issues.append(fault("code-invalid", f"`{rule or ''}` is none of {', '.join(MISSING)}.", path))
    wholes = {}
    for key, least in (("seed", 0), ("imputations", 2)):
        text = keys.get(key, "20" if key == "imputations" else None)
        if isinstance(text, str) and text.isascii() and text.isdigit() and least <= int(text) < 2**32:
            wholes[key] = int(text)
        elif key in keys or rule == "multiple_imputation":
            said = f"Multiple imputation needs a whole number as `{key}`, {least} or more, to be the same every time."
            issues.append(fault("required", said, f"{path}.{key}"))
    visits = tuple(definition.visits.values())
    return Plan(visits, definition.baseline, str(rule), wholes.get("seed", 0), wholes.get("imputations", 0)), issues


def _argument(wanted: Any, value: Any, path: str, definition: Definition) -> tuple[Any, Issue | None]:
    if get_origin(wanted) in (Union, UnionType):
        wanted = next(each for each in get_args(wanted) if each is not NoneType)
    if get_origin(wanted) not in (None, tuple, Literal):  # Mapping[str, Any]
        good = isinstance(value, dict) and all(isinstance(key, str) for key in value)
        return value, None if good else fault("structure", "This must be keys with values.", path)
    words = texts(value)
    several = get_origin(wanted) is tuple
    if words is None or (len(words) > 1 and not several):
        return None, fault("value", "This must be a word; put numbers in quotes.", path)
    if len(set(words)) < len(words):
        return None, fault("duplicate", "A word stands here twice: keep one.", path)
    made = [_word(get_args(wanted)[0] if several else wanted, word, path, definition) for word in words]
    issue = next((issue for _, issue in made if issue), None)
    return tuple(value for value, _ in made) if several else made[0][0], issue


def _word(wanted: Any, word: str, path: str, definition: Definition) -> tuple[Any, Issue | None]:
    """One word as the type wants it, or an Issue."""
    if wanted is Decimal:
        number = decimal(word)
        bad = number is None or number < 0
        return number, fault("value", f"`{word}` is not a number of 0 or more.", path) if bad else None
    if get_origin(wanted) is Literal:
        said = f"`{word}` is none of {', '.join(get_args(wanted))}."
        return word, None if word in get_args(wanted) else fault("code-invalid", said, path)
    named: dict[Any, Mapping[str, Any]] = {
        Population: definition.populations,
        Measure: definition.measures,
        Visit: definition.visits,
    }
    if wanted in named:
        known = named[wanted]
        said = f"There is no {wanted.__name__.lower()} `{word}`: there are {', '.join(known) or 'none'}."
        return known.get(word), None if word in known else fault("not-found", said, path)
    return word, None
