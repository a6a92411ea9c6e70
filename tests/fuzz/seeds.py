#!/usr/bin/env python3
"""Write the fuzzers' seed corpora: seeds.py DIR makes a folder per fuzzer in DIR."""
import os
import struct
import sys

BEGIN, ABORT, PARAMS, STDIN, DATA, GET_VALUES = 1, 2, 4, 5, 8, 9


def record(kind, request, content=b"", padding=0, version=1):
    return struct.pack(">BBHHBB", version, kind, request, len(content), padding, 0) + content + b"\0" * padding


def begin(request, role=1, keep=1):
    return record(BEGIN, request, struct.pack(">HB5x", role, keep))


def length(n):
    return bytes([n]) if n < 128 else struct.pack(">I", n | 0x80000000)


def pair(name, value):
    return length(len(name)) + length(len(value)) + name + value


def get(request, block):
    return begin(request) + record(PARAMS, request, block) + record(PARAMS, request) + record(STDIN, request)


NGINX = b"".join(pair(n, v) for n, v in [
    (b"QUERY_STRING", b"a=1&b=2"), (b"REQUEST_METHOD", b"GET"), (b"CONTENT_TYPE", b""), (b"CONTENT_LENGTH", b""),
    (b"SCRIPT_NAME", b"/index.php"), (b"REQUEST_URI", b"/index.php?a=1&b=2"), (b"DOCUMENT_ROOT", b"/srv/www"),
    (b"SERVER_PROTOCOL", b"HTTP/1.1"), (b"SCRIPT_FILENAME", b"/srv/www/index.php"), (b"HTTP_COOKIE", b"c" * 300)])
POST = (begin(1) + record(PARAMS, 1, NGINX[:40], 3) + record(PARAMS, 1, NGINX[40:], 7) + record(PARAMS, 1)
        + record(STDIN, 1, b"body " * 20, 4) + record(STDIN, 1, b"end") + record(STDIN, 1, b"", 8))

MIXED = (begin(1) + begin(3) + record(PARAMS, 3, NGINX[:70], 2) + begin(65535) + record(PARAMS, 1, NGINX) + record(PARAMS, 3, NGINX[70:])
         + record(PARAMS, 1) + record(PARAMS, 65535) + record(STDIN, 1, b"one", 5) + record(PARAMS, 3) + record(STDIN, 65535, b"x" * 300)
         + record(STDIN, 3, b"three") + record(STDIN, 1) + get(1, b"") + record(STDIN, 65535) + record(ABORT, 3) + begin(5) + record(STDIN, 3))

# Each starts with the plan byte(s) that fuzz_connection_machine.cpp takes: 0x80 large limit, 0x40 end when blocked, 0x10 end
# when whole (as the second byte's bits say), 0x08 hold new requests, 0x07 how many may be open besides the first.
CONNECTIONS = {
    "get": b"\x80\x01" + get(1, NGINX),
    "post": b"\x80\x02" + POST,
    "pipelined": b"\xc0\x03" + get(1, NGINX) + get(1, NGINX) + get(2, b""),
    "interleaved": b"\xc1\x04" + begin(1) + begin(2, 2, 0) + record(PARAMS, 2, b"x") + record(PARAMS, 1)
                   + record(STDIN, 1, b"1") + record(PARAMS, 2) + record(STDIN, 2) + record(STDIN, 1),
    "mixed": b"\x87\x0d" + MIXED,
    "mixed_that_end": b"\xd7\xa5" + MIXED,
    "mixed_and_held": b"\xcf\x0e" + MIXED,
    "too_many": b"\x80\x05" + begin(1) + begin(2) + begin(3, 1, 0),
    "abort": b"\xc0\x06" + begin(1) + record(ABORT, 1) + begin(2) + record(PARAMS, 2, NGINX) + record(ABORT, 2),
    "values": b"\x80\x07" + record(GET_VALUES, 0, pair(b"FCGI_MAX_CONNS", b"") + pair(b"FCGI_MPXS_CONNS", b""), 2)
              + record(77, 0, b"what", 1) + get(1, b""),
    "filter": b"\x80\x08" + begin(1, 3) + record(PARAMS, 1) + record(STDIN, 1) + record(DATA, 1, b"d" * 9, 7)
              + record(DATA, 1),
    "unknown_role": b"\x80\x09" + begin(9, 7, 0) + record(PARAMS, 9, b"x") + record(77, 9),
    "params_limit": b"\x00\x10\x0a" + begin(1) + record(PARAMS, 1, b"x" * 16) + record(PARAMS, 1, b"y"),
    "duplicate": b"\x80\x0b" + begin(1) + begin(1),
    "version": b"\x80\x0c" + record(BEGIN, 1, b"\0\1\0\0\0\0\0\0", 0, 0),
}
BLOCKS = {
    "nginx": NGINX,
    "empty_pairs": b"\0\0" * 5,
    "long": pair(b"n" * 200, b"v" * 300) + pair(b"n" * 200, b""),
    "repeated": pair(b"A", b"1") * 3 + pair(b"B", b"2"),
    "many": b"".join(pair(b"%d" % i, b"") for i in range(200)),
    "cut": NGINX[:-1],
    "huge_lengths": b"\xff" * 8,
}

# Each starts with the byte that says how fuzz_http_request.cpp cuts it.
POST_HTTP = b"POST / HTTP/1.1\r\nHost: x\r\n"
HTTP = {
    "get": b"\x01GET /a/%2e%2e/b?c HTTP/1.1\r\nHost: x:80\r\nConnection: keep-alive, x\r\n\r\n",
    "two": b"\x07GET / HTTP/1.1\r\nHost: x\r\n\r\nHEAD http://x/y HTTP/1.1\r\nHost: x\r\n\r\n",
    "post": b"\x10" + POST_HTTP + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
    "chunked": b"\x22" + POST_HTTP + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "both": b"\x33" + POST_HTTP + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded": b"\x44GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "proxy_1": b"\x55PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n",
    "proxy_2": b"\x66\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb",
    "answer": b"\x77Status: 404 Not Found\r\nContent-Length: 3\r\nConnection: close\r\nX: y\r\n\r\nabcdef",
}


def write(folder, seeds):
    os.makedirs(folder, exist_ok=True)
    for name, content in seeds.items():
        with open(os.path.join(folder, "seed_" + name), "wb") as out:
            out.write(content)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(os.path.join(sys.argv[1], "connection_machine"), CONNECTIONS)
    write(os.path.join(sys.argv[1], "params"), BLOCKS)
    write(os.path.join(sys.argv[1], "http_request"), HTTP)
