/*
 * RFC 6962 section 2.1: a leaf is SHA-256(0x00 || data), a node SHA-256(0x01 || left || right), and a tree of n > 1 leaves splits
 * behind the largest power of two below n. Pairing neighbours level by level and carrying an odd last one up unchanged gives the
 * same tree: at each level all but the last subtree are complete, so the left part always is a power of two.
 */
#include "segment/header.h"

void
hv_merkle_root(unsigned char (*leaves)[HV_SHA256_SIZE], size_t count, unsigned char ret[HV_SHA256_SIZE])
{
    if (count == 0) {
        hv_sha256(NULL, 0, ret);
        return;
    }
    hv_sha256_each(0, leaves[0], HV_SHA256_SIZE, count, leaves[0]);
    for (; count > 1; count = (count + 1) / 2) {
        hv_sha256_each(1, leaves[0], 2 * HV_SHA256_SIZE, count / 2, leaves[0]);
        if (count % 2 == 1)
            memmove(leaves[count / 2], leaves[count - 1], HV_SHA256_SIZE);
    }
    memcpy(ret, leaves[0], HV_SHA256_SIZE);
}
