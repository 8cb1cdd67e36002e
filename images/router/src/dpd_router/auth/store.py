"""Key files on disk, read again and again: a Secret that changes is in force within seconds.

Kubernetes replaces a mounted Secret by swapping one symbolic link, `..data`; names that begin with a dot are its own.
"""

from collections.abc import Callable
from pathlib import Path

from dpd_router.auth.keys import KeyInvalidError, Keyring, keyring

MAX_FILE_BYTES = 1024 * 1024


class KeyStore:
    """The keys in the files of a folder. `tell` takes a line for the log, `warn` one that someone should look at."""

    def __init__(self, folder: Path, tell: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell
        self._warn = warn
        self._files: dict[str, str] | None = None
        self._trouble = ""
        self.keyring = Keyring()

    def reload(self) -> None:
        """Take the keys that are there now; what cannot be read changes nothing, an empty folder shuts everyone out."""
        try:
            files = self._read()
            if files == self._files:
                return
            self.keyring = keyring(files)
        except (OSError, UnicodeDecodeError, KeyInvalidError) as error:
            self._complain(f"API keys stay as they are: {_words(error, self._folder)}")
            return
        self._files, self._trouble = files, ""
        if self.keyring.digests:
            self._tell(f"API keys: {len(self.keyring.digests)} under {len(self.keyring.names)} names")
        else:
            self._complain(f"API keys: {self._folder} holds none; every request is refused until it does")

    def _read(self) -> dict[str, str]:
        files: dict[str, str] = {}
        for path in self._folder.iterdir():
            if path.name.startswith(".") or not path.is_file():
                continue
            with path.open("rb") as file:
                files[path.name] = file.read(MAX_FILE_BYTES).decode()
        return files

    def _complain(self, text: str) -> None:
        if text != self._trouble:
            self._warn(text)
        self._trouble = text


def _words(error: Exception, folder: Path) -> str:
    match error:
        case KeyInvalidError():
            return str(error)
        case OSError():
            return f"{folder}: {error.strerror}; mount the Secret there"
        case _:
            return f"{folder}: a key is not text; write UTF-8"
