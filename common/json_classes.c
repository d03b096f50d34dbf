/*
 * The two ways differ in width only. A comparison gives a byte of ones per match; what is kept is one bit of each.
 *
 * '[' and '{', and ']' and '}', differ in bit 5 alone, and with that bit set nothing else equals '{' and '}'.
 */
#include "common/json_classes.h"

#if defined __x86_64__

#include <immintrin.h>

__attribute__((target("avx512bw"))) static void
classify_avx512(const unsigned char *bytes, size_t count, hv_json_classes *ret)
{
    for (size_t i = 0; i < count; i++) {
        __m512i chunk = _mm512_loadu_si512((const void *)(bytes + i * HV_JSON_CHUNK));
        __m512i folded = _mm512_or_si512(chunk, _mm512_set1_epi8(0x20));
        ret[i] = (hv_json_classes){
            .quote = _mm512_cmpeq_epi8_mask(chunk, _mm512_set1_epi8('"')),
            .backslash = _mm512_cmpeq_epi8_mask(chunk, _mm512_set1_epi8('\\')),
            .control = _mm512_cmplt_epu8_mask(chunk, _mm512_set1_epi8(0x20)),
            .space = _mm512_cmpeq_epi8_mask(chunk, _mm512_set1_epi8(' ')),
            .high = _mm512_movepi8_mask(chunk),
            .open = _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8('{')),
            .close = _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8('}')),
            .colon = _mm512_cmpeq_epi8_mask(chunk, _mm512_set1_epi8(':')),
            .comma = _mm512_cmpeq_epi8_mask(chunk, _mm512_set1_epi8(',')),
            .digit = _mm512_cmplt_epu8_mask(_mm512_sub_epi8(chunk, _mm512_set1_epi8('0')), _mm512_set1_epi8(10)),
            .zero = _mm512_cmpeq_epi8_mask(chunk, _mm512_set1_epi8('0')),
        };
    }
}

typedef struct halves {
    __m256i low, high;
} halves;

__attribute__((target("avx2"))) static inline uint64_t
bits_of(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

__attribute__((target("avx2"))) static inline uint64_t
equal(halves chunk, char byte)
{
    __m256i wanted = _mm256_set1_epi8(byte);

    return bits_of(_mm256_cmpeq_epi8(chunk.low, wanted), _mm256_cmpeq_epi8(chunk.high, wanted));
}

/* Unsigned: there is no such comparison, but the smaller of the byte and the limit is the byte. */
__attribute__((target("avx2"))) static inline uint64_t
at_most(halves chunk, char limit)
{
    __m256i most = _mm256_set1_epi8(limit);

    return bits_of(_mm256_cmpeq_epi8(_mm256_min_epu8(chunk.low, most), chunk.low),
                   _mm256_cmpeq_epi8(_mm256_min_epu8(chunk.high, most), chunk.high));
}

__attribute__((target("avx2"))) static void
classify_avx2(const unsigned char *bytes, size_t count, hv_json_classes *ret)
{
    const __m256i case_bit = _mm256_set1_epi8(0x20), zero = _mm256_set1_epi8('0');

    for (size_t i = 0; i < count; i++) {
        const unsigned char *at = bytes + i * HV_JSON_CHUNK;
        halves chunk = {_mm256_loadu_si256((const __m256i *)(const void *)at), _mm256_loadu_si256((const __m256i *)(const void *)(at + 32))};
        halves folded = {_mm256_or_si256(chunk.low, case_bit), _mm256_or_si256(chunk.high, case_bit)};
        halves from_zero = {_mm256_sub_epi8(chunk.low, zero), _mm256_sub_epi8(chunk.high, zero)};
        ret[i] = (hv_json_classes){
            .quote = equal(chunk, '"'), .backslash = equal(chunk, '\\'), .control = at_most(chunk, 0x1f), .space = equal(chunk, ' '),
            .high = bits_of(chunk.low, chunk.high), .open = equal(folded, '{'), .close = equal(folded, '}'), .colon = equal(chunk, ':'),
            .comma = equal(chunk, ','), .digit = at_most(from_zero, 9), .zero = equal(chunk, '0'),
        };
    }
}

hv_json_classify *
hv_json_classifier(hv_json_way way)
{
    if (way == HV_JSON_AVX512)
        return __builtin_cpu_supports("avx512bw") ? classify_avx512 : NULL;
    return way == HV_JSON_AVX2 && __builtin_cpu_supports("avx2") ? classify_avx2 : NULL;
}

#else

hv_json_classify *
hv_json_classifier(hv_json_way way)
{
    (void)way;
    return NULL;
}

#endif
