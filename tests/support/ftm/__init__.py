"""What every test that drives a real php-fpm or php-ftm binary needs: Python's standard library and nothing else.

    fcgi     a FastCGI client down to the single byte
    server   starts a binary on a generated configuration, reads its log, stops it and checks what is left
    load     bounded load with counted failures
    front    nginx in front
    http     a small HTTP client for what comes through a front
    redis    a Redis server on loopback
    proc     /proc, seen by a test
    case     unittest.TestCase with the above wired up, and the marks @ftm_only, @root_only …
    runner   finds and runs such tests and ends in 'N passed, N failed'
"""
