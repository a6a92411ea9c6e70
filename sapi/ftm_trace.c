/* The backtrace of a slow request in php-fpm's layout: fpm_php_trace_dump(), which reads another process with ptrace.
 * Here it is either the calling thread itself, at an interrupt of its VM, or a neighbour that sits in a system call or
 * in C code. A neighbour may go on meanwhile, so its memory is read as the kernel reads it: what is not there is an
 * error, not a fault. */
#include "ftm_internal.h"

#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FRAMES_UP 100000 /* a chain that is being changed might lead in a circle */

typedef struct {
    const int *pipe; /* NULL: plain loads will do */
    char *out;
    size_t size, used;
} tracer;

/* All of it or nothing. The raw system calls: a sanitizer must not look at what is only tried. */
static bool read_memory(const tracer *t, const void *address, void *to, size_t size)
{
    if (!t->pipe) {
        memcpy(to, address, size);
        return true;
    }
    long written = syscall(SYS_write, t->pipe[1], address, size);
    if (written > 0 && syscall(SYS_read, t->pipe[0], to, (size_t)written) != written) {
        return false;
    }
    return written == (long)size;
}

static bool get_word(const tracer *t, const void *address, void *to)
{
    return ((uintptr_t)address & (sizeof(void *) - 1)) == 0 && read_memory(t, address, to, sizeof(void *));
}

/* A word never crosses a page. */
static bool get_string(const tracer *t, const char *address, char *to, size_t size)
{
    for (;;) {
        size_t offset = (uintptr_t)address & (sizeof(long) - 1);
        char word[sizeof(long)];
        if (!read_memory(t, address - offset, word, sizeof(word))) {
            return false;
        }
        for (; offset < sizeof(word); offset++, address++) {
            if (--size == 0 || word[offset] == '\0') {
                *to = '\0';
                return true;
            }
            *to++ = word[offset];
        }
    }
}

static void put(tracer *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->out + t->used, t->size - t->used, format, args);
    va_end(args);
    t->used += n < 0 ? 0 : MIN((size_t)n, t->size - t->used - 1);
}

static bool is_valid(const void *pointer)
{
    return pointer && ((uintptr_t)pointer & (sizeof(long) - 1)) == 0;
}

/* Of the caller: the next frame up that runs user code. */
static bool put_place(tracer *t, const zend_execute_data *prev)
{
    char file[1024] = "";
    uint32_t line = 0;
    for (int up = 0; prev && up < MAX_FRAMES_UP; up++) {
        const zend_function *function;
        uint64_t type = 0;
        if (!get_word(t, &prev->func, &function)) {
            return false;
        }
        if (!is_valid(function)) {
            break;
        }
        if (!read_memory(t, &function->type, &type, sizeof(function->type))) {
            return false;
        }
        if (ZEND_USER_CODE((zend_uchar)type)) {
            const zend_string *name;
            const zend_op *opline;
            if (!get_word(t, &function->op_array.filename, &name) || !get_string(t, ZSTR_VAL(name), file, sizeof(file)) ||
                !get_word(t, &prev->opline, &opline)) {
                return false;
            }
            if (is_valid(opline) && !read_memory(t, &opline->lineno, &line, sizeof(line))) {
                return false;
            }
            break;
        }
        if (!get_word(t, &prev->prev_execute_data, &prev)) {
            return false;
        }
    }
    put(t, " %s:%u\n", *file ? file : "unknown", line);
    return true;
}

static bool put_trace(tracer *t, const ftm_thread_handle *handle, int depth)
{
    char text[1024];
    const char *script;
    const zend_execute_data *frame;

    if (!get_word(t, handle->path_translated, &script) || !script || !get_string(t, script, text, sizeof(text))) {
        return false;
    }
    put(t, "script_filename = %s\n", text);
    if (!get_word(t, (const void *)handle->current_execute_data, &frame)) {
        return false;
    }
    while (frame) {
        const zend_function *function;
        const zend_string *name;
        const zend_execute_data *prev;

        if (!get_word(t, &frame->func, &function)) {
            return false;
        }
        strcpy(text, "???");
        if (is_valid(function)) {
            if (!get_word(t, &function->common.function_name, &name)) {
                return false;
            }
            if (name) {
                if (!get_string(t, ZSTR_VAL(name), text, sizeof(text))) {
                    return false;
                }
            } else {
                uint32_t call_info;
                if (!read_memory(t, &frame->This.u1.type_info, &call_info, sizeof(call_info))) {
                    return false;
                }
                if (ZEND_CALL_KIND_EX(call_info) == ZEND_CALL_TOP_CODE) {
                    return true;
                }
                strcpy(text, "[INCLUDE_OR_EVAL]");
            }
        }
        put(t, "[0x%016lx] %s()", (unsigned long)frame, text);
        if (!get_word(t, &frame->prev_execute_data, &prev) || !put_place(t, prev)) {
            return false;
        }
        frame = prev;
        if (--depth == 0) {
            break;
        }
    }
    return true;
}

size_t ftm_thread_trace(const ftm_thread_handle *handle, const int pipe[2], int depth, char *out, size_t size)
{
    tracer t = {.pipe = pipe, .out = out, .size = size, .used = 0};
    *out = '\0';
    if (!put_trace(&t, handle, depth)) {
        put(&t, "+++ dump failed\n");
    }
    return t.used;
}
