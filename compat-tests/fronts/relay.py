"""What mod_fcgid starts: accepts on descriptor 0, as FastCGI programs do, and passes every byte on to ADDRESS and back."""

import os
import signal
import socket
import sys
import threading


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client, address):
    with client, socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as server:
        server.connect(address)
        # mod_fcgid never shuts down its sending side before it has the answer.
        threading.Thread(target=copy, args=(client, server), daemon=True).start()
        copy(server, client)


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
target = sys.argv[1]
if not target.startswith('/'):
    host, _, port = target.rpartition(':')
    target = (host, int(port))
listener = socket.socket(fileno=0)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0], target), daemon=True).start()
