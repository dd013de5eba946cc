"""Bytes of a file, some of them changed."""

import random


def mutated(text: bytes, seed: int) -> bytes:
    """Some bytes changed, removed, repeated or moved."""
    rng = random.Random(seed)
    data = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        upto = at + rng.choice([1, 1, 2, 8, 40])
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at:upto]
            case 2:
                data[at:at] = data[at:upto]
            case 3:
                data[at:upto] = rng.choice([b"0", b"-1", b'"', b"[]", b"{}", b"null", b"1e999", b"9" * 80, b"\\u0000"])
        if not data:
            break
    return bytes(data)
