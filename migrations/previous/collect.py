#!/usr/bin/env python3
"""Lists the statements of a release: every SQL text in core-api/src at a commit.

    migrations/previous/collect.py COMMIT > migrations/previous/statements.sql

Texts with `{name}` in them are filled in from the constants and the arms of the same file, one
statement for each way to fill them; one that can't be filled is named on standard error.
"""
import itertools
import re
import subprocess
import sys

commit = sys.argv[1]
SQL = re.compile(r"^\s*(WITH|SELECT|INSERT|UPDATE|DELETE)\b", re.S)
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)


def git(*args):
    return subprocess.run(["git", *args], check=True, capture_output=True, text=True).stdout


def plain(text):
    text = re.sub(r"\\\n\s*", "", text).replace('\\"', '"')
    return " ".join(text.split())


def fillings(source):
    """What a name may stand for: constants, and the texts of functions of that name."""
    found = {}
    for name, text in re.findall(r'const (\w+): &str =\s*"((?:[^"\\]|\\.)*)"', source, re.S):
        found.setdefault(name, []).append(plain(text))
    # `let lock = patience.sql()`: every text of `fn sql`.
    for name, function in re.findall(r"let (\w+) = [\w.]+\.(\w+)\(\);", source):
        body = re.search(r"fn %s\(.*?\n    }\n" % function, source, re.S)
        for text in STRING.findall(body.group(0)) if body else []:
            found.setdefault(name, []).append(plain(text))
    return found


statements = {}
for path in git("ls-tree", "-r", "--name-only", commit, "core-api/src").split():
    if not path.endswith(".rs"):
        continue
    source = git("show", f"{commit}:{path}")
    source = re.sub(r"^\s*//.*$", "", source, flags=re.M)
    known = fillings(source)
    for literal in STRING.findall(source):
        if not SQL.match(literal):
            continue
        text = plain(literal)
        if any(text in texts for texts in known.values()):
            continue  # a part of others
        # Not what is quoted in SQL: a path in JSON.
        names = sorted(set(re.findall(r"(?<!')\{(\w*)\}", text)))
        choices = [known.get(name) for name in names]
        if any(choice is None for choice in choices):
            print(f"{path}: can't fill {names} in: {text[:80]}", file=sys.stderr)
            continue
        for combination in itertools.product(*choices):
            filled = text
            for name, value in zip(names, combination):
                filled = filled.replace("{%s}" % name, value)
            if re.search(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM) ", filled):
                statements.setdefault(filled, path)

print(f"-- The statements of {git('rev-parse', '--short', commit).strip()}. Made by collect.py; do not edit.")
for text, path in statements.items():
    print(f"\n-- {path}\n{text};")
