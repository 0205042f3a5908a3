"""What a deployment comes to: the resources of a Bicep file, and of a template in JSON, worked out with the
same parameters. Knows the words that k8s/azure uses, and fails at any other."""

import json
import re

import tree_sitter
import tree_sitter_bicep

GROUP = {"id": "/subscriptions/s/resourceGroups/g", "location": "westeurope"}
FUNCTIONS = {
    "resourceGroup": lambda: GROUP,
    "union": lambda *objects: {key: value for one in objects for key, value in one.items()},
    "empty": lambda value: len(value) == 0,
    "contains": lambda container, value: value in container,
    "guid": lambda *parts: f"guid({', '.join(parts)})",
    "not": lambda value: not value,
    "if": lambda condition, then, other: then if condition else other,
    "length": len,
    "string": lambda value: json.dumps(value),
    "createArray": lambda *values: list(values),
    "format": lambda text, *values: text.format(*values),
}


class Bicep:
    """Evaluates a file. `resources` are as a deployment would send them."""

    def __init__(self, path, parameters):
        self.directory = path.parent
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))
        root = parser.parse(path.read_bytes()).root_node
        assert not root.has_error, f"{path.name} is not Bicep"
        self.names, self.resources, self.declared = dict(parameters), [], set()
        for node in root.named_children:
            take = getattr(self, f"take_{node.type}", None)
            if take:
                take(node)
        assert set(parameters) <= self.declared

    def take_parameter_declaration(self, node):
        name, _, *default = node.named_children
        self.declared.add(text(name))
        if text(name) not in self.names:
            assert default, f"{text(name)} has to be given"
            self.names[text(name)] = self.value(default[0])

    def take_variable_declaration(self, node):
        name, value = node.named_children
        self.names[text(name)] = self.value(value)

    def take_resource_declaration(self, node):
        _, kind, body = node.named_children
        made_type, version = self.value(kind).split("@")
        many = body.type == "for_statement"
        for made in self.value(body) if many else [self.value(body)]:
            self.resources.append({"type": made_type, "apiVersion": version, **made})

    def value(self, node):
        children = node.named_children
        match node.type:
            case "string":
                return "".join(text(one) if one.type == "string_content" else str(self.value(one)) for one in children)
            case "interpolation" | "parenthesized_expression":
                return self.value(children[0])
            case "boolean":
                return text(node) == "true"
            case "number":
                return int(text(node))
            case "identifier":
                return self.names[text(node)]
            case "array":
                return [self.value(one) for one in children]
            case "object":
                pairs = [one.named_children for one in children]
                return {text(key): self.value(value) for key, value in pairs}
            case "member_expression":
                return self.value(children[0])[text(children[1])]
            case "subscript_expression":
                return self.value(children[0])[self.value(children[1])]
            case "unary_expression":
                assert text(node).startswith("!")
                return not self.value(children[0])
            case "ternary_expression":
                condition, then, other = children
                return self.value(then) if self.value(condition) else self.value(other)
            case "call_expression":
                return self.call(*children)
            case "for_statement":
                return self.each(*children)
        raise AssertionError(f"not known here: {node.type}: {text(node)}")

    def call(self, function, arguments):
        values = [self.value(one) for one in arguments.named_children]
        if text(function) in ("loadTextContent", "loadJsonContent"):
            loaded = (self.directory / values[0]).read_text()
            return loaded if text(function) == "loadTextContent" else json.loads(loaded)
        return FUNCTIONS[text(function)](*values)

    def each(self, name, items, body):
        made = []
        for item in self.value(items):
            self.names[text(name)] = item
            made.append(self.value(body))
        del self.names[text(name)]
        return made


def text(node):
    return node.text.decode()


class Template:
    """The same for JSON."""

    TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(\d+)|(\w+)|([()\[\].,]))")

    def __init__(self, path, parameters):
        template = json.loads(path.read_text())
        assert template["$schema"].endswith("/2019-04-01/deploymentTemplate.json#")
        assert set(parameters) <= set(template["parameters"])
        self.index = 0
        self.parameters, self.variables = {}, {}
        for name, declared in template["parameters"].items():
            self.parameters[name] = parameters.get(name, self.value(declared.get("defaultValue")))
        for name, value in template["variables"].items():
            self.variables[name] = self.value(value)
        self.resources = []
        for resource in template["resources"]:
            body = {key: value for key, value in resource.items() if key != "copy"}
            for index in range(self.value(resource["copy"]["count"]) if "copy" in resource else 1):
                self.index = index
                self.resources.append(self.value(body))

    def value(self, written):
        if isinstance(written, dict):
            return {key: self.value(one) for key, one in written.items()}
        if isinstance(written, list):
            return [self.value(one) for one in written]
        if not isinstance(written, str) or not written.startswith("["):
            return written
        if written.startswith("[["):
            return written[1:]
        if not written.endswith("]"):
            return written
        tokens = [match for match in self.TOKEN.finditer(written[1:-1])]
        assert "".join(match[0] for match in tokens) == written[1:-1], written
        self.tokens = [
            ("text", match[1].replace("''", "'")) if match[1] is not None else match[match.lastindex]
            for match in tokens
        ]
        made = self.expression()
        assert not self.tokens, written
        return made

    def expression(self):
        token = self.tokens.pop(0)
        if isinstance(token, tuple):
            made = token[1]
        elif token.isdigit():
            made = int(token)
        else:
            made = self.apply(token, self.arguments())
        while self.tokens and self.tokens[0] in (".", "["):
            if self.tokens.pop(0) == ".":
                made = made[self.tokens.pop(0)]
            else:
                made = made[self.expression()]
                assert self.tokens.pop(0) == "]"
        return made

    def arguments(self):
        assert self.tokens.pop(0) == "("
        values = []
        while self.tokens[0] != ")":
            values.append(self.expression())
            if self.tokens[0] == ",":
                self.tokens.pop(0)
        self.tokens.pop(0)
        return values

    def apply(self, function, values):
        match function:
            case "parameters":
                return self.parameters[values[0]]
            case "variables":
                return self.variables[values[0]]
            case "copyIndex":
                return self.index
        return FUNCTIONS[function](*values)
