"""NIST P-256 in plain integers, so that published vectors run through the code for secp256k1."""

from flchain.crypto.curves import Curve, Point, find_root

# SP 800-186 section 3.2.1.3.
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
A = -3
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
GENERATOR = Point(
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add(left, right):
    if left is None or right is None:
        return left or right
    if left.x == right.x and (left.y + right.y) % P == 0:
        return None
    if left == right:
        slope = (3 * left.x**2 + A) * pow(2 * left.y, -1, P)
    else:
        slope = (right.y - left.y) * pow(right.x - left.x, -1, P)
    x = (slope**2 - left.x - right.x) % P
    return Point(x, (slope * (left.x - x) - left.y) % P)


def multiply(point, scalar):
    total = None
    for bit in f"{scalar:b}":
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def lift_x(x, parity):
    root = find_root(x**3 + A * x + B, P) if x < P else None
    return None if root is None else Point(x, root if root % 2 == parity else P - root)


P256 = Curve(
    name="P-256",
    field=P,
    a=A,
    b=B,
    order=N,
    generator=GENERATOR,
    multiply_generator=lambda scalar: multiply(GENERATOR, scalar),
    multiply=multiply,
    add=add,
    lift_x=lift_x,
)
