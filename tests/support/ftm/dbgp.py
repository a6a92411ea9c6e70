"""A debugger as Xdebug sees one: a small DBGp client (https://xdebug.org/docs/dbgp)."""

import socket
from xml.etree import ElementTree

from .proc import time_scale

NAMES = {'': 'urn:debugger_protocol_v1', 'xdebug': 'https://xdebug.org/dbgp/xdebug'}


class Debugger:
    """Listens; `with debugger.accept() as session: session.command('run')`."""

    def __init__(self, timeout=60):
        self.timeout = timeout * time_scale()
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.listener.settimeout(self.timeout)
        self.port = self.listener.getsockname()[1]

    def accept(self):
        connection, _ = self.listener.accept()
        connection.settimeout(self.timeout)
        return Session(connection)

    def close(self):
        self.listener.close()


class Session:
    def __init__(self, connection):
        self.connection = connection
        self.buffer = b''
        self.transaction = 0
        self.init = self._packet()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def _until_nul(self):
        while b'\0' not in self.buffer:
            data = self.connection.recv(65536)
            if not data:
                raise ConnectionError('Xdebug has closed the connection')
            self.buffer += data
        text, self.buffer = self.buffer.split(b'\0', 1)
        return text

    def _packet(self):
        size = int(self._until_nul())
        text = self._until_nul()
        assert len(text) == size
        return ElementTree.fromstring(text)

    def command(self, name, **arguments):
        """The response to a command whose options are given by their letters."""
        self.transaction += 1
        options = ''.join(f' -{key} {value}' for key, value in arguments.items())
        self.connection.sendall(f'{name} -i {self.transaction}{options}'.encode() + b'\0')
        while True:
            answer = self._packet()
            if answer.get('transaction_id') == str(self.transaction):
                return answer

    def where(self, answer):
        """(status, file, line) after a command that makes the script go on."""
        message = answer.find('xdebug:message', NAMES)
        if message is None:
            return answer.get('status'), None, None
        return answer.get('status'), message.get('filename'), int(message.get('lineno'))
