"""Every error that cxr-scan raises on purpose; imports nothing, so that help stays instant."""


class CxrScanError(Exception):
    """The root of every error that cxr-scan raises on purpose."""


class SetupError(CxrScanError):
    """The run cannot start or go on; the message is one line that says what to do."""


class FileError(CxrScanError):
    """One file does not get judged: `reason` is a stable slug, `detail` a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class ReadError(FileError):
    """The file could not be read; its row is `failed`."""


class Rejection(FileError):  # noqa: N818 - a verdict on the file, not an error
    """The file was read, but is no radiograph we may judge; its row is `rejected`."""


def kind_of(error: BaseException) -> str:
    """Return what a row may say of a library's error: its class, for its text may quote the file.

    pydicom names the value it stumbled over, and after damage that may be a patient's name.
    """
    return type(error).__name__
