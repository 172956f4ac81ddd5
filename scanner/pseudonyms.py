"""Keyed pseudonyms: rows of one patient stay linked, the identifier stays in the hospital."""

import contextlib
import hashlib
import hmac
import logging
import os
import secrets
import stat
import tempfile
from pathlib import Path

from platformdirs import user_config_path

from scanner.errors import SetupError

KEY_BYTES = 32
# 64 bits: with a million patients the chance that any two share a pseudonym is about 3e-8.
PSEUDONYM_HEX_DIGITS = 16

logger = logging.getLogger("scanner")


def key_path() -> Path:
    """Return where the key of this user lies."""
    return user_config_path("cxr-scan") / "pseudonym.key"


def load_key(path: Path | None = None) -> bytes:
    """Return the site's secret key, made on first use with mode 0600 in the user's config folder.

    One that others may read is taken from them, with a warning. Raises `SetupError` if that cannot
    be done, or the key can be neither read nor made.
    """
    path = path or key_path()
    try:
        if not path.exists():
            _create_key(path)
        _keep_to_owner(path)
        key = path.read_bytes()
    except OSError as error:
        raise SetupError(
            f"The key for pseudonyms at {path} can be neither read nor made ({error.strerror}): "
            "make that folder writable for this user, or set XDG_CONFIG_HOME to one that is."
        ) from error
    if len(key) != KEY_BYTES:
        raise SetupError(
            f"The key for pseudonyms at {path} has {len(key)} bytes where {KEY_BYTES} are "
            "expected: restore it from a backup, or delete it to begin with new pseudonyms."
        )
    return key


def _create_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Two first scans at once must end with one key: write aside, then link, which never replaces.
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(secrets.token_bytes(KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()


def _keep_to_owner(path: Path) -> None:
    """Take from others what an archive or a copy of the configuration gave them."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name != "posix" or not mode & 0o077:
        return
    try:
        path.chmod(0o600)
    except OSError as error:
        raise SetupError(
            f"The key for pseudonyms at {path} has mode {mode:04o}, so others can undo them, and "
            f"that cannot be changed ({error.strerror}): give it to the user who scans, with "
            "chmod 600."
        ) from error
    logger.warning(
        "the key for pseudonyms at %s had mode %04o, others could read it: it is 0600 now",
        path,
        mode,
    )


def pseudonym(key: bytes, kind: str, identifier: str) -> str:
    """Return 16 hexadecimal digits of HMAC-SHA256 over `kind` and `identifier`; empty for empty."""
    if not identifier:
        return ""
    message = f"{kind}\0{identifier}".encode("utf-8", "surrogatepass")
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:PSEUDONYM_HEX_DIGITS]
