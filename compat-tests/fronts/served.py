"""A php-ftm with some pages behind one of the fronts."""

import os

from ftm.server import Binary, Pool, Server, free_port


def serve(test, setup, pages, children=8, settings=(), **options):
    """The server and the front before it, both started and ended by the test."""
    http = setup.transport == 'http'
    pool = Pool(children=children, listen='tcp' if http else setup.transport, settings=settings)
    server = Server([pool], binary=Binary(os.environ['FTM_BINARY']), **options).prepare()
    address = pool.address
    if http:
        address = ('127.0.0.1', free_port())
        pool.settings += [('http.listen', '%s:%d' % address), ('http.root', server.docroot), ('http.trusted_proxies', '127.0.0.1'), *setup.pool]
        server.write_conf()
    for name, text in pages.items():
        server.script(name, text)
    server.start()
    test.addCleanup(server.stop)
    front = setup.make(setup, address, server.docroot, free_port())
    test.enterContext(front)
    return server, front
