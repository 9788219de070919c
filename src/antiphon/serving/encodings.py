"""Compressed request bodies (RFC 9110, 8.4): gzip, deflate and zstd, never decompressed beyond the size limit of a request."""

import io
import zlib

import zstandard

from antiphon.serving.refused import RefusedError

_WINDOW = 2**27  # bytes that zstd may look back, as `zstd --long` allows by default


def unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """The decompressed body; `encoding` is the header `Content-Encoding`, which lists encodings in the order in which they were applied.

    Raises RefusedError when it is none, when it is damaged, and when there is more in it than `most` bytes.
    """
    for name in reversed([one.strip().lower() for one in encoding.split(",")]):
        if name in ("", "identity"):
            continue
        if name not in ("gzip", "x-gzip", "deflate", "zstd"):
            raise RefusedError(415, f"A body may be packed with gzip, deflate or zstd, but this one is with {name[:40]}.")
        try:
            body = _zstd(body, most) if name == "zstd" else _zlib(body, name, most)
        except (EOFError, zlib.error, zstandard.ZstdError) as error:
            raise RefusedError(400, f"The body is said to be packed with {name}, but cannot be unpacked.") from error
        if len(body) > most:
            raise RefusedError(413, f"A request may have {most:,} bytes, but this one has more when it is unpacked.")
    return body


def _zstd(body: bytes, most: int) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(io.BytesIO(body), read_across_frames=True)
    return reader.read(most + 1)


def _zlib(body: bytes, name: str, most: int) -> bytes:
    """Decompress gzip of one or several members, or deflate with the zlib header, as the standard has it, or without, as some clients send
    it."""
    if name == "deflate" and (len(body) < 2 or body[0] & 15 != 8 or int.from_bytes(body[:2], "big") % 31):
        return _part(zlib.decompressobj(-zlib.MAX_WBITS), body, most)[0]
    found, window = bytearray(), zlib.MAX_WBITS if name == "deflate" else zlib.MAX_WBITS + 16
    while body and len(found) <= most:
        part, body = _part(zlib.decompressobj(window), body, most - len(found))
        found += part
    return bytes(found)


def _part(unpacker: "zlib._Decompress", body: bytes, most: int) -> tuple[bytes, bytes]:
    part = unpacker.decompress(body, most + 1)
    if not unpacker.eof and len(part) <= most:
        raise EOFError
    return part, unpacker.unused_data
