#!/usr/bin/env python3
"""Writes an agent's inventory: the newest versions that are at least a week old, with the sha256 of each wheel that matters.

    tools/agent-inventory.py ddtrace > buildpacks/apm/src/vendors/datadog/inventory.toml

Needs uv in the path, and Python 3.11 or newer. Where a package has a wheel without machine code, that one is taken alone:
it is smaller and fits every base. Else those for CPython 3.10 to 3.14 and glibc on x86_64 and aarch64.
"""

import re
import subprocess
import sys
import tomllib

MATTERS = re.compile(r"-(cp31[0-4]-cp31[0-4]|cp3\d+-abi3)-manylinux[^-]*_(x86_64|aarch64)\.whl$")

HEAD = """\
# The set that is taken where it fits the app, written by tools/agent-inventory.py: each wheel with its sha256.
# What is missing here, or what an app's own pins force, is resolved at build time, and only among versions that are at
# least a week old.
"""


def main(packages):
    command = ["uv", "pip", "compile", "--quiet", "--no-header", "--format", "pylock.toml", "--only-binary", ":all:"]
    # Universal, since uv leaves out the wheels of other Pythons otherwise.
    command += ["--exclude-newer", "7 days", "--universal", "--python-version", "3.10", "-"]
    lines = "".join(f"{it}\n" for it in packages)
    answer = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
    print(HEAD, end="")
    # Of a package with another version for an older Python the newest counts: the older Python is asked for at build.
    newest = {it["name"]: it for it in tomllib.loads(answer)["packages"]}
    for package in sorted(newest.values(), key=lambda it: it["name"]):
        wheels = {it["url"].rpartition("/")[2]: it["hashes"]["sha256"] for it in package["wheels"]}
        taken = [it for it in wheels if it.endswith("-none-any.whl")] or [it for it in wheels if MATTERS.search(it)]
        if not taken:
            sys.exit(f"{package['name']} has no wheel that matters")
        sha256 = sorted(wheels[it] for it in taken)
        print(f'\n[[package]]\nname = "{package["name"]}"\nversion = "{package["version"]}"')
        if len(sha256) == 1:
            print(f'sha256 = ["{sha256[0]}"]')
        else:
            print("sha256 = [\n" + "".join(f'    "{it}",\n' for it in sha256) + "]")


main(sys.argv[1:] or sys.exit(__doc__))
