#!/usr/bin/env python3
"""Computes the frozen vectors beside this file, from the descriptions in domain/src and nothing else.

`python3 domain/tests/vectors/make.py` writes {draw,log,challenge,tickets}.json; with --check it compares.
Standard library only. Ed25519 as RFC 8032, 5.1 has it, in plain integers.
"""
import base64, hashlib, hmac, json, pathlib, sys

HERE = pathlib.Path(__file__).parent


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def be(value, size):
    return value.to_bytes(size, "big")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# --- the draw -----------------------------------------------------------------------------------

def draw_key(secret, room, epoch, count, beacon):
    info = be(len(room), 1) + room.encode() + be(epoch, 4) + be(count, 8)
    if beacon is None:
        info += b"\0"
    else:
        info += b"\1" + b"".join(be(len(text), 2) + text.encode() for text in beacon)
    return mac(mac(b"catraca-draw-v1", secret), info, b"\1")


def positions(key, count, numbers):
    width = max(4, -(-max(count - 1, 0).bit_length() // 2))
    mask = (1 << width) - 1

    def network(value):
        left, right = value >> width, value & mask
        for turn in range(10):
            digest = sha256(key, be(turn, 1), be(right, 8))
            left, right = right, left ^ (int.from_bytes(digest[:8], "big") & mask)
        return left << width | right

    def position(number):
        if number > count:
            return number
        value = network(number - 1)
        while value >= count:
            value = network(value)
        return value + 1

    return [position(number) for number in numbers]


def draw_case(seed, room, epoch, count, beacon, numbers):
    secret = sha256(seed.encode())
    record = {"room": room, "epoch": epoch, "commitment": sha256(secret).hex(), "secret": secret.hex()}
    if beacon:
        record["beacon"] = {"source": beacon[0], "value": beacon[1]}
    record |= {"count": count, "algorithm": "catraca-feistel-sha256-v1"}
    key = draw_key(secret, room, epoch, count, beacon)
    return {"record": record, "numbers": numbers, "positions": positions(key, count, numbers)}


def draw_vectors():
    drand = ("drand/quicknet/12345678", "0f" * 32)
    million = [1, 2, 3, 1000, 123456, 500000, 999999, 1000000, 1000001, 2000000]
    return [
        draw_case("one", "a", 1, 1, None, [1, 2]),
        draw_case("two", "big-show-2026", 1, 2, None, [1, 2, 3]),
        draw_case("ten", "big-show-2026", 3, 10, drand, list(range(1, 12))),
        draw_case("256", "x-0", 7, 256, None, list(range(1, 257))),
        draw_case("257", "x-0", 7, 257, None, list(range(1, 258))),
        draw_case("none", "empty", 4294967295, 0, None, [1, 2]),
        draw_case("million", "big-show-2026", 1, 1000000, None, million),
        draw_case("million", "big-show-2026", 1, 1000000, drand, million),
        draw_case("all", "r" * 63, 1, 1 << 48, None, [1, 2, 1 << 48, (1 << 48) + 1]),
    ]


# --- Ed25519, RFC 8032 --------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    c, d = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    e, f = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    g, h, i, j = d - c, f - e, f + e, d + c
    return (g * h % P, i * j % P, h * i % P, g * j % P)


def times(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def base_point():
    y = 4 * pow(5, P - 2, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x & 1:
        x = P - x
    return (x, y, 1, x * y % P)


def encode(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def ed25519(seed, message):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
    public = encode(times(scalar, base_point()))
    nonce = int.from_bytes(hashlib.sha512(digest[32:] + message).digest(), "little") % L
    commit = encode(times(nonce, base_point()))
    hashed = int.from_bytes(hashlib.sha512(commit + public + message).digest(), "little") % L
    return public, commit + ((nonce + hashed * scalar) % L).to_bytes(32, "little")


# --- the admission log --------------------------------------------------------------------------

def log_vectors():
    seed = sha256(b"log key")
    entries = []
    log = {"room": "big-show-2026", "epoch": 3, "draw": sha256(sha256(b"ten")).hex()}
    chain = sha256(b"catraca-log-v1\0", be(len(log["room"]), 1), log["room"].encode(), be(3, 4),
                   b"\1", bytes.fromhex(log["draw"]))
    genesis, heads = chain, [chain.hex()]
    at = 1767225600000
    draw = draw_vectors()[2]
    order = sorted(range(10), key=lambda at: draw["positions"][at])
    jtis = []
    for index, which in enumerate(order, 1):
        number, lane = draw["numbers"][which], "partner:acme" if index == 4 else "standard"
        jti = be(number, 6) + b"\x80" + sha256(be(number, 8))[:1] + b"\x80" + sha256(be(number, 8))[1:8]
        frontier, at_ms = min(10, (index + 2) // 3 * 3), at + 250 * index
        hashed = sha256(b"catraca-jti-v1\0", jti)
        chain = sha256(b"catraca-log-v1\1", chain, be(index, 8), be(number, 8), be(len(lane), 1),
                       lane.encode(), be(at_ms, 8), hashed, be(frontier, 8))
        entries.append({"index": index, "number": number, "lane": lane, "at_ms": at_ms,
                        "jti_hash": hashed.hex(), "frontier": frontier})
        heads.append(chain.hex())
        text = jti.hex()
        jtis.append("-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])))
    signed_at = at + 60000
    public, signature = ed25519(seed, b"catraca-log-head-v1\0" + genesis + be(10, 8) + chain + be(signed_at, 8))
    head = {"index": 10, "head": chain.hex(), "at_ms": signed_at, "kid": "l1", "signature": signature.hex()}
    return {"seed": seed.hex(), "public": public.hex(), "jtis": jtis, "heads": heads, "draw": draw["record"],
            "page": {"log": log, "entries": entries, "head": head}}


# --- the challenge ------------------------------------------------------------------------------

def challenge_vectors():
    key = bytes(range(32))
    cases = []
    for room, difficulty, issued in (("big-show-2026", 14, 1767225600123), ("x", 15, 0)):
        payload = be(difficulty, 1) + be(issued, 8) + sha256(room.encode())[:16]
        tag = mac(key, b"catraca-challenge-v1\0", room.encode(), b"\0", payload)
        puzzle = f"c1.a1.{b64(payload)}.{b64(tag)}"
        seed, solution = sha256(puzzle.encode()), b""
        for part in range(16):
            counter = 0
            while int.from_bytes(sha256(seed, be(part, 1), be(counter, 4))[:4], "big") >> (32 - difficulty + 4):
                counter += 1
            solution += be(counter, 4)
        cases.append({"room": room, "difficulty": difficulty, "issued_at_ms": issued,
                      "nonce": payload[9:].hex(), "puzzle": puzzle, "solution": b64(solution)})
    return {"keys": [{"kid": "a1", "secret": b64(key)}], "cases": cases}


# --- the code on a ticket -----------------------------------------------------------------------

def ticket_vectors():
    seeds = [sha256(name) for name in (b"last year's key", b"this year's key", b"nobody's key")]
    publics = [b64(ed25519(seed, b"")[0]) for seed in seeds]
    members = [f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}' for x in publics]
    kids = [b64(sha256(text.encode()))[:8] for text in members]

    def code(version, seed, kid, payload):
        text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False) if isinstance(payload, dict) else payload
        signed = ".".join([version, *([kid] if version == "T2" else []), b64(text.encode())])
        return signed + "." + b64(ed25519(seed, signed.encode())[1])

    def ticket(last, **more):
        return {"e": "big-show-2026", "t": f"00000001-0000-8000-8000-{last:012x}", **more}

    seat = ticket(1, s="Platéia", r="C", n="7")
    lawn = ticket(2, s="Lawn")
    good = code("T2", seeds[1], kids[1], seat)
    head, body, tail = good.rsplit(".", 2)
    moved = b64(json.dumps(ticket(1, s="Platéia", r="A", n="1"), separators=(",", ":"), ensure_ascii=False).encode())
    cases = [
        {"name": "a seat", "code": good, "verdict": "genuine", "payload": seat},
        {"name": "general admission", "code": code("T2", seeds[1], kids[1], lawn), "verdict": "genuine", "payload": lawn},
        {"name": "last year's key", "code": code("T2", seeds[0], kids[0], seat), "verdict": "genuine", "payload": seat},
        {"name": "printed before keys had names", "code": code("T1", seeds[0], "", lawn), "verdict": "genuine", "payload": lawn},
        {"name": "unnamed, by nobody's key", "code": code("T1", seeds[2], "", lawn), "verdict": "forged"},
        {"name": "a key that is not published", "code": code("T2", seeds[2], kids[2], seat), "verdict": "unknown_key"},
        {"name": "nobody's key under our key's name", "code": code("T2", seeds[2], kids[1], seat), "verdict": "forged"},
        {"name": "another of our keys' name", "code": code("T2", seeds[0], kids[1], seat), "verdict": "forged"},
        {"name": "another seat on a genuine signature", "code": f"{head}.{moved}.{tail}", "verdict": "forged"},
        {"name": "signed, and not a ticket", "code": code("T2", seeds[1], kids[1], ticket(1)), "verdict": "malformed"},
        {"name": "signed, with something more", "code": code("T2", seeds[1], kids[1], seat | {"x": 1}), "verdict": "malformed"},
        {"name": "signed, and not JSON", "code": code("T2", seeds[1], kids[1], "?"), "verdict": "malformed"},
        {"name": "an unknown version", "code": "T3" + good[2:], "verdict": "malformed"},
        {"name": "cut short", "code": good[:-1], "verdict": "malformed"},
        {"name": "an address", "code": "https://example.com/", "verdict": "malformed"},
        {"name": "nothing", "code": "", "verdict": "malformed"},
    ]
    keys = [{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x, "use": "sig", "alg": "EdDSA"}
            for kid, x in zip(kids[:2], publics)]
    return {"seeds": [seed.hex() for seed in seeds], "jwks": {"keys": keys}, "cases": cases}


def main():
    for name, vectors in (("draw", draw_vectors()), ("log", log_vectors()), ("challenge", challenge_vectors()),
                          ("tickets", ticket_vectors())):
        path, text = HERE / f"{name}.json", json.dumps(vectors, indent=1) + "\n"
        if "--check" not in sys.argv:
            path.write_text(text)
        elif path.read_text() != text:
            sys.exit(f"{path} differs")


main()
