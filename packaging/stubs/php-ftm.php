<?php

/**
 * Functions of php-ftm's worker pools, for IDEs and static analysis; never loaded. They are FrankenPHP's: an application
 * written for its worker mode runs unmodified. They exist only in pools with worker.script, so that
 * function_exists('frankenphp_handle_request') tells the mode; headers_send() in all pools without early_hints = off.
 */

/** Levels of frankenphp_log(). */
const FRANKENPHP_LOG_LEVEL_DEBUG = -4;
const FRANKENPHP_LOG_LEVEL_INFO = 0;
const FRANKENPHP_LOG_LEVEL_WARN = 4;
const FRANKENPHP_LOG_LEVEL_ERROR = 8;

/**
 * Waits for a request, makes its superglobals, and calls $callback.
 *
 * @return bool true when a request was served, also if $callback threw; false: leave the loop (reload, stop, recycling)
 * @throws RuntimeException outside of a worker script, or inside of $callback
 */
function frankenphp_handle_request(callable $callback): bool {}

/**
 * With 1xx an interim answer of the Link and Content-Security-Policy headers set so far, where the front has been declared
 * to relay it; all headers stay for the final answer. Returns 1 if it was sent, else 0. Other than 1xx: the headers are sent now.
 */
function headers_send(int $status = 200): int {}

/** Ends the answer for the client; the script goes on. False: it had ended already. */
function frankenphp_finish_request(): bool {}

/** @return array<string, string> */
function frankenphp_request_headers(): array {}

/** The headers set so far. @return array<string, string> */
function frankenphp_response_headers(): array {}

/** A line in the error log. @throws RuntimeException when $context cannot be written as JSON */
function frankenphp_log(string $message, int $level = FRANKENPHP_LOG_LEVEL_INFO, array $context = []): void {}
