"""Writes the cases that tools' schemas are tested with, judged by an implementation of JSON Schema that is not ours.

    python Tests/Interop/tool_schema_cases.py > Tests/PatchbayConfigTests/Fixtures/Tools/schema-cases.jsonl

One case a line: schema, value, whether it fits. Formats are left out: ours are judged leniently, and have a table of their own.
"""

import json
import random

from jsonschema import Draft202012Validator

SEED = 20260131
PER_SCHEMA = 12

SCHEMAS = [
    {"type": "object", "properties": {"party": {"type": "integer", "minimum": 1, "maximum": 12}}, "required": ["party"]},
    {"type": "object", "properties": {"a": {"type": "string", "minLength": 2, "maxLength": 4}}, "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "boolean"}}, "required": ["a", "b"]},
    {"type": "object", "properties": {"a": {"enum": ["x", 1, None, {"b": [1]}]}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"const": [1, {"b": 2}]}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 3}}},
    {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}},
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 2},
    {"type": "object", "properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[a-c]+$"}]}}},
    {"type": "object", "properties": {"a": {"oneOf": [{"type": "integer", "multipleOf": 2}, {"type": "number", "minimum": 3}]}}},
    {"type": "object", "properties": {"a": {"allOf": [{"type": "number"}, {"exclusiveMinimum": 0}, {"exclusiveMaximum": 5}]}}},
    {"type": "object", "properties": {"a": {"not": {"type": "string"}}}, "required": ["a"]},
    {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/node"}},
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}, "required": ["n"]}},
    },
    {"type": "object", "properties": {"a": {"type": "string", "pattern": "^\\d{3}-[A-Z]+$"}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "number", "multipleOf": 0.1}}},
    {"type": "object", "properties": {"a": True, "b": False}},
    {
        "type": "object",
        "properties": {
            "guests": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0}},
                    "required": ["name"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["guests"],
    },
]

TEXTS = ["", "x", "ab", "abc", "abcde", "123-AB", "12-AB", "äöü", "a" * 9]
NUMBERS = [-1, 0, 1, 2, 3, 4, 5, 12, 13, 1.0, 2.5, 0.3, 0.35, 1e3]


def value(rng, depth=0):
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind == 0:
        return None
    if kind == 1:
        return rng.choice([True, False])
    if kind in (2, 3):
        return rng.choice(NUMBERS)
    if kind in (4, 5):
        return rng.choice(TEXTS)
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(["a", "b", "n", "next", "name", "age"]): value(rng, depth + 1) for _ in range(rng.randrange(3))}


def like(rng, schema, root):
    """A value that probably fits."""
    if schema is True:
        return value(rng)
    if schema is False:
        return 1
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].split("/")[-1]]
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return like(rng, rng.choice(schema[word]), root)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    types = schema.get("type", "string")
    kind = rng.choice(types) if isinstance(types, list) else types
    if kind == "object":
        result = {}
        for name, inner in schema.get("properties", {}).items():
            if name in schema.get("required", []) or rng.random() < 0.5:
                result[name] = like(rng, inner, root)
        if isinstance(schema.get("additionalProperties"), dict):
            for name in rng.sample(["p", "q", "r"], rng.randrange(4)):
                result[name] = like(rng, schema["additionalProperties"], root)
        return result
    if kind == "array":
        return [like(rng, schema.get("items", True), root) for _ in range(rng.randrange(1, 4))]
    if kind == "integer":
        return rng.choice([n for n in NUMBERS if n == int(n)])
    if kind == "number":
        return rng.choice(NUMBERS)
    if kind == "boolean":
        return rng.choice([True, False])
    if kind == "null":
        return None
    return rng.choice(TEXTS)


def spoiled(rng, found):
    """The same with one thing changed somewhere."""
    if isinstance(found, dict) and found and rng.random() < 0.8:
        result = dict(found)
        key = rng.choice(list(result))
        action = rng.randrange(4)
        if action == 0:
            del result[key]
        elif action == 1:
            result[rng.choice(["x", "party ", "B"])] = value(rng)
        else:
            result[key] = spoiled(rng, result[key])
        return result
    if isinstance(found, list) and found and rng.random() < 0.7:
        result = list(found)
        index = rng.randrange(len(result))
        result[index] = spoiled(rng, result[index])
        return result
    return value(rng)


def same_for_all(found):
    """0.35 is no multiple of 0.1 by any count; but what binary fractions make of 0.3 differs between implementations."""
    return "0.3" not in json.dumps(found)


def main():
    rng = random.Random(SEED)
    for schema in SCHEMAS:
        validator = Draft202012Validator(schema)
        for index in range(PER_SCHEMA * 2):
            found = like(rng, schema, schema)
            if index % 2:
                found = spoiled(rng, found)
            if not same_for_all(found):
                continue
            case = {"schema": schema, "value": found, "fits": validator.is_valid(found)}
            print(json.dumps(case, ensure_ascii=False, sort_keys=True))


if __name__ == "__main__":
    main()
