"""Fetches a standalone Python: argv = URL, directory, sha256. Nothing is unpacked before the digest is right.

Proxies and certificates come from the environment, as for every program of Python's own library.
"""

import hashlib
import os
import shutil
import sys
import tarfile
import urllib.request

url, directory, wanted = sys.argv[1:]
archive = os.path.join(directory, "archive.tar.gz")
try:
    with urllib.request.urlopen(url, timeout=60) as answer, open(archive, "wb") as file:
        shutil.copyfileobj(answer, file)
except OSError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
digest = hashlib.sha256()
with open(archive, "rb") as file:
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
if digest.hexdigest() != wanted:
    print(digest.hexdigest(), file=sys.stderr)
    sys.exit(4)
# Links and modes as they are; the filter is missing in Pythons before its security fix.
how = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
with tarfile.open(archive) as tar:
    for member in tar:
        # All is below `python/`, which is taken off.
        member.name = member.name.partition("/")[2]
        if member.islnk():
            member.linkname = member.linkname.partition("/")[2]
        if member.name:
            tar.extract(member, directory, **how)
os.remove(archive)
