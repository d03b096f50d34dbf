/*
 * The names __wrap_X and __real_X are the linker's. OOM_TRACE in the environment shows where the failing allocation is: addresses for
 * addr2line.
 */
#include "tests/harness/oom.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

static _Atomic int scope_now;
static _Atomic long left = -1;          /* allocations that succeed before those that fail; negative: nothing is counted */
static _Atomic long to_fail, failed;
static pthread_t beginner;              /* written while `left` is negative */

void
oom_begin(oom_scope scope, long n, long count)
{
    atomic_store(&left, -1);
    beginner = pthread_self();
    atomic_store(&scope_now, (int)scope);
    atomic_store(&to_fail, count);
    atomic_store(&failed, 0);
    atomic_store(&left, n + 1);
}

bool
oom_end(void)
{
    atomic_store(&left, -1);
    return atomic_load(&failed) > 0;
}

static void
trace(void)
{
    void *frames[32];

    if (getenv("OOM_TRACE") != NULL)
        backtrace_symbols_fd(frames, backtrace(frames, 32), 2);
}

bool
oom_strikes(void)
{
    if (atomic_load(&left) < 0)
        return false;
    bool mine = pthread_equal(pthread_self(), beginner) != 0;
    int scope = atomic_load(&scope_now);
    if ((scope == OOM_THIS_THREAD && !mine) || (scope == OOM_OTHER_THREADS && mine))
        return false;
    long now = atomic_load(&left);
    while (now > 1 && !atomic_compare_exchange_weak(&left, &now, now - 1))
        continue;
    if (now != 1 || atomic_fetch_sub(&to_fail, 1) <= 0)
        return false;
    atomic_fetch_add(&failed, 1);
    trace();
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
int __wrap_asprintf(char **ret, const char *fmt, ...) HV_PRINTF(2, 3);

void *
__wrap_malloc(size_t size)
{
    return oom_strikes() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return oom_strikes() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
    return oom_strikes() ? NULL : __real_realloc(old, size);
}

void *
__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return oom_strikes() ? NULL : __real_reallocarray(old, count, size);
}

char *
__wrap_strdup(const char *text)
{
    return oom_strikes() ? NULL : __real_strdup(text);
}

char *
__wrap_strndup(const char *text, size_t len)
{
    return oom_strikes() ? NULL : __real_strndup(text, len);
}

int
__wrap_asprintf(char **ret, const char *fmt, ...)
{
    va_list args;

    if (oom_strikes())
        return -1;
    va_start(args, fmt);
    int len = vasprintf(ret, fmt, args);
    va_end(args);
    return len;
}
