"""Fill the templates in templates.json, from which every random document of the sandbox is made.

A text "$NAME ARGUMENT ..." is a value drawn at each filling, such as "$uuid" or "$int 1 8" (`_DRAWS`);
"@SECTION/NAME" is another template, and {NAME} inside a text is what the name stands for. An object with
one of these keys is drawn as a whole:

    {"$one_of": [T, ...]}             one of several
    {"$if": [CONDITION, T, OTHER]}    one of two
    {"$list": [LOW, HIGH, T]}         LOW to HIGH elements; inside, `previous` names the element before
    {"$for": [NAME, CONDITION, T]}    an element for each `item` of a named list that meets the condition
    {"$each": [NAME, T]}              a field for each `key` in a named list, at a `place` counted from 1

In any other object "..." adds the fields of its value, "$let" draws values that names stand for from then
on, and "?" holds rows of [CONDITION, FIELDS] that are added where the condition holds. A condition is a
chance from 0 to 1, or a name that stands for something true.

Values are drawn in the order of the template: a field that is moved changes every seeded account.
"""

import json
import random
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from scalesync.sandbox.json_codec import Doc

Names = dict[str, Any]
"""The values of the names in a template, for one filling."""

Filler = Callable[[random.Random, Names], Any]

TEMPLATES: Doc = json.loads(Path(__file__).with_name("templates.json").read_text("utf-8"))


def fill(path: str, rng: random.Random, names: Names | None = None) -> Any:
    """Return the template SECTION/NAME filled by `rng`; raises KeyError for an unknown one.

    Constant parts are the same objects each time: change nothing but the outermost object.
    """
    return _template(path)(rng, {} if names is None else names)


@cache
def _template(path: str) -> Filler:
    section, _, name = path.partition("/")
    return _compiled(TEMPLATES[section][name])


def _compiled(template: Any) -> Filler:
    """Return a function that fills the template; it does not inspect its structure again, which is slow."""
    # Constant parts are not copied at each filling: params of a task are mostly constant.
    if not _varies(template):
        return lambda _rng, _names: template
    if isinstance(template, str):
        return _compiled_text(template)
    if isinstance(template, list):
        return partial(_elements, [_compiled(part) for part in template])
    (key, parts), *others = template.items()
    if others or key not in _OPERATORS:
        return _compiled_object(template)
    operator, plain = _OPERATORS[key]
    return partial(operator, *parts[:plain], *map(_compiled, parts[plain:]))


def _varies(template: Any) -> bool:
    if isinstance(template, dict):
        return any(key[0] in "$?." or _varies(part) for key, part in template.items())
    if isinstance(template, list):
        return any(map(_varies, template))
    return isinstance(template, str) and (template[:1] in {"$", "@"} or "{" in template)


def _compiled_text(text: str) -> Filler:
    if text[0] == "@":
        return _template(text[1:])
    if text[0] != "$":
        return lambda _rng, names: text.format_map(names)
    name, *arguments = text[1:].split(" ")
    return partial(
        _DRAWS[name], *(json.loads(word) if word[0] in "-0123456789" else word for word in arguments)
    )


def _compiled_object(template: Doc) -> Filler:
    steps: list[tuple[str, Filler]] = []
    for key, part in template.items():
        if key == "?":
            steps.append(("", partial(_rows, [(condition, _compiled(fields)) for condition, fields in part])))
        elif key == "$let":
            steps.append(("", partial(_let, _compiled(part))))
        else:
            steps.append(("" if key.startswith("...") else key, _compiled(part)))
    return partial(_object, steps)


def _object(steps: list[tuple[str, Filler]], rng: random.Random, names: Names) -> Doc:
    made: Doc = {}
    for key, part in steps:
        # A step without a key draws fields to merge: a spread, the rows of "?", or nothing for "$let".
        if key:
            made[key] = part(rng, names)
        else:
            made.update(part(rng, names))
    return made


def _let(drawn: Filler, rng: random.Random, names: Names) -> Doc:
    names.update(drawn(rng, names))
    return {}


def _rows(rows: list[tuple[float | str, Filler]], rng: random.Random, names: Names) -> Doc:
    made: Doc = {}
    for condition, fields in rows:
        if _holds(condition, rng, names):
            made.update(fields(rng, names))
    return made


def _holds(condition: float | str, rng: random.Random, names: Names) -> bool:
    return bool(names[condition]) if isinstance(condition, str) else rng.random() < condition


def _elements(elements: list[Filler], rng: random.Random, names: Names) -> list[Any]:
    return [element(rng, names) for element in elements]


def _one_of(*parts: Any) -> Any:
    *fillers, rng, names = parts
    return rng.choice(fillers)(rng, names)


def _if(condition: float | str, one: Filler, other: Filler, rng: random.Random, names: Names) -> Any:
    return (one if _holds(condition, rng, names) else other)(rng, names)


def _list(low: int, high: int, element: Filler, rng: random.Random, names: Names) -> list[Any]:
    made: list[Any] = []
    for _ in range(rng.randint(low, high)):
        # Set anew before each element, because a list inside the element before used the name too.
        names["previous"] = made[-1] if made else None
        made.append(element(rng, names))
    return made


def _for(name: str, condition: float | str, element: Filler, rng: random.Random, names: Names) -> list[Any]:
    return [element(rng, names) for names["item"] in names[name] if _holds(condition, rng, names)]


def _each(name: str, part: Filler, rng: random.Random, names: Names) -> Doc:
    made: Doc = {}
    for place, key in enumerate(names[name], start=1):
        names.update(key=key, place=place, first=place == 1)
        made[key] = part(rng, names)
    return made


def _edges(_rng: random.Random, names: Names) -> list[Doc]:
    """Return the edges that connect each of the `vertices` with the next."""
    return [
        {"x1": one["x"], "y1": one["y"], "x2": two["x"], "y2": two["y"], "type": "edge"}
        for one, two in pairwise(names["vertices"])
    ]


def new_uuid(rng: random.Random) -> str:
    """Return a random version 4 UUID."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def number(top: float, rng: random.Random, _names: Names | None = None) -> float:
    """Return a coordinate below `top`: half of them whole, half of them long floats (recorded)."""
    value = rng.random() * top
    return int(value) if value % 1 < 0.5 else value


def words(count: int, rng: random.Random, _names: Names | None = None) -> str:
    """Return a text of `count` words, separated by blanks."""
    return " ".join(rng.choices(TEMPLATES["words"], k=count))


_OPERATORS: dict[str, tuple[Callable[..., Any], int]] = {
    "$one_of": (_one_of, 0),
    "$if": (_if, 1),
    "$list": (_list, 2),
    "$for": (_for, 2),
    "$each": (_each, 1),
}
"""The function for an object with that key, and how many of its parts are not templates themselves."""

_DRAWS: dict[str, Callable[..., Any]] = {
    "get": lambda name, _, names: names[name],
    "choice": lambda name, rng, names: rng.choice(names[name]),
    "template": lambda section, name, rng, names: _template(f"{section}/{names[name]}")(rng, names),
    "sample": lambda name, size, rng, _: rng.sample(TEMPLATES[name], size),
    "some": lambda name, rng, _: rng.sample(TEMPLATES[name], rng.randint(1, 3)),
    "choices": lambda below, count, rng, _: rng.choices(range(below), k=count),
    "words": words,
    "uuid": lambda rng, _: new_uuid(rng),
    "url": lambda folder, rng, _: folder + new_uuid(rng),
    "hex": lambda bits, pattern, rng, _: pattern.format(f"{rng.getrandbits(bits):0{bits // 4}x}"),
    "int": lambda low, high, rng, _: rng.randint(low, high),
    "random": lambda rng, _: rng.random(),
    "float": lambda low, high, rng, _: rng.uniform(low, high),
    "number": number,
    "point": lambda rng, _: {"x": number(1920, rng), "y": number(1080, rng)},
    "edges": _edges,
}
"""The function for a text of that name; it takes the arguments in the text, then `rng` and the names."""
