"""Requests that are refused, with an HTTP status; each protocol reports it in its own form."""

from antiphon.errors import AntiphonError


class RefusedError(AntiphonError):
    """A refused request: a sentence that says why, and the HTTP status.

    status        400 or 422 what is asked is wrong, 403 the key is, 404 there is no such model, 413 too much, 429 too many, 503 not now
    retry_after   seconds after which it may be tried again, where that helps
    """

    def __init__(self, status: int, message: str, retry_after: float | None = None):
        super().__init__(message)
        self.status, self.retry_after = status, retry_after
