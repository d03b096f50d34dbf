/* The algorithm is fetched once: fetching per hash costs twice the hash of a small event (OpenSSL 3.0, EVP_MD_fetch(3)). */
#include "common/sha256.h"

#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

static EVP_MD *sha256;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

struct hv_sha256_run {
    EVP_MD_CTX *context;
};

static void
fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    assert(sha256 != NULL);
}

static void
must(int ok)
{
    assert(ok == 1);
    (void)ok;
}

void
hv_sha256(const hv_slice *parts, size_t count, unsigned char ret[HV_SHA256_SIZE])
{
    pthread_once(&fetched, fetch);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert(context != NULL);
    must(EVP_DigestInit_ex2(context, sha256, NULL));
    for (size_t i = 0; i < count; i++)
        must(EVP_DigestUpdate(context, parts[i].data, parts[i].len));
    must(EVP_DigestFinal_ex(context, ret, NULL));
    EVP_MD_CTX_free(context);
}

void
hv_sha256_each(unsigned char prefix, const unsigned char *from, size_t len, size_t count, unsigned char *to)
{
    unsigned char message[1 + HV_SHA256_EACH_MAX] = {prefix};

    assert(len <= HV_SHA256_EACH_MAX);
    pthread_once(&fetched, fetch);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert(context != NULL);
    for (size_t i = 0; i < count; i++) {
        memcpy(message + 1, from + i * len, len);
        must(EVP_DigestInit_ex2(context, sha256, NULL));
        must(EVP_DigestUpdate(context, message, len + 1));
        must(EVP_DigestFinal_ex(context, to + i * HV_SHA256_SIZE, NULL));
    }
    EVP_MD_CTX_free(context);
}

hv_rc
hv_sha256_new(hv_sha256_run **ret, hv_err *err)
{
    pthread_once(&fetched, fetch);
    hv_sha256_run *run = calloc(1, sizeof *run);
    if (run == NULL || (run->context = EVP_MD_CTX_new()) == NULL) {
        free(run);
        return hv_err_set(err, HV_NOMEM, "no memory for a SHA-256 context");
    }
    *ret = run;
    return HV_OK;
}

void
hv_sha256_start(hv_sha256_run *run)
{
    must(EVP_DigestInit_ex2(run->context, sha256, NULL));
}

void
hv_sha256_add(hv_sha256_run *run, const void *data, size_t len)
{
    must(EVP_DigestUpdate(run->context, data, len));
}

void
hv_sha256_end(hv_sha256_run *run, unsigned char ret[HV_SHA256_SIZE])
{
    must(EVP_DigestFinal_ex(run->context, ret, NULL));
}

void
hv_sha256_free(hv_sha256_run *run)
{
    if (run == NULL)
        return;
    EVP_MD_CTX_free(run->context);
    free(run);
}

void
hv_sha256_text(const unsigned char hash[HV_SHA256_SIZE], char ret[HV_SHA256_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < HV_SHA256_SIZE; i++) {
        ret[2 * i] = digits[hash[i] >> 4];
        ret[2 * i + 1] = digits[hash[i] & 15];
    }
    ret[HV_SHA256_TEXT_SIZE - 1] = '\0';
}

/* Value plus one, so that what is no digit is 0. A table, because digits of hashes are what no branch predicts, and the headers of a large
 * vault are mostly hashes. */
static const unsigned char digit_values[256] = {
    ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

bool
hv_sha256_parse(const char *text, unsigned char ret[HV_SHA256_SIZE])
{
    unsigned char hash[HV_SHA256_SIZE];

    for (size_t i = 0; i < HV_SHA256_SIZE; i++) {
        unsigned high = digit_values[(unsigned char)text[2 * i]];
        unsigned low = high == 0 ? 0 : digit_values[(unsigned char)text[2 * i + 1]];
        if (low == 0)
            return false;
        hash[i] = (unsigned char)((high - 1) << 4 | (low - 1));
    }
    if (text[2 * HV_SHA256_SIZE] != '\0')
        return false;
    memcpy(ret, hash, sizeof hash);
    return true;
}
