"""The certificate on disk, read again as it changes: new connections get the new one, old ones keep theirs."""

import ssl
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from dpd_router.tls.expiry import not_after


class Certificates:
    """A certificate chain and its key, both in PEM. `context` is None until there was a pair that fits.

    `ends` is when the certificate in use does, as a Unix time; None without one.
    """

    def __init__(self, certificate: Path, key: Path, tell: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self._files = (certificate, key)
        self._tell = tell
        self._warn = warn
        self._seen = b""
        self._trouble = ""
        self.context: ssl.SSLContext | None = None
        self.ends: float | None = None

    def reload(self) -> None:
        """Take the pair that is there now; one that cannot be used leaves the last one in use, and is told once.

        A pair is replaced in two steps at worst: whoever reads between them finds halves that do not fit, and the whole
        the next time.
        """
        try:
            seen = sha256(b"".join(sha256(path.read_bytes()).digest() for path in self._files)).digest()
            if seen == self._seen:
                return
            context = _context(*self._files)
        except ssl.SSLError as error:
            self._complain(
                f"{self._files[0]} and {self._files[1].name}: {error.reason or error}; mount a pair that fits"
            )
        except OSError as error:
            self._complain(f"{error.filename}: {error.strerror}; mount the Secret there")
        else:
            self.context, self._seen, self._trouble = context, seen, ""
            self.ends = self._end()
            self._tell(f"TLS: certificate {self._files[0]} is in use")

    def _end(self) -> float | None:
        try:
            return not_after(self._files[0].read_text(errors="replace"))
        except (OSError, ValueError) as error:
            self._warn(f"TLS: {self._files[0]}: when it ends is not known, and no alert can warn of it: {error}")
            return None

    def _complain(self, text: str) -> None:
        if text != self._trouble:
            kept = "the last certificate stays in use" if self.context else "there is no certificate"
            self._warn(f"TLS: {kept}: {text}")
        self._trouble = text


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    # A key that asks for a password must not ask the terminal for it.
    context.load_cert_chain(certificate, key, password=lambda: "")
    return context
