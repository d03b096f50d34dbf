/*
 * RFC 6962 section 2.1: a leaf is SHA-256(0x00 || data), a node SHA-256(0x01 || left || right), and a tree of n > 1 leaves splits
 * behind the largest power of two below n. Pairing neighbours level by level and carrying an odd last one up unchanged gives the
 * same tree: at each level all but the last subtree are complete, so the left part always is a power of two.
 */
#include "segment/header.h"

static void
hash_leaf(unsigned char hash[HV_SHA256_SIZE])
{
    unsigned char bytes[1 + HV_SHA256_SIZE] = {0};

    memcpy(bytes + 1, hash, HV_SHA256_SIZE);
    hv_sha256(&(hv_slice){.data = bytes, .len = sizeof bytes}, 1, hash);
}

static void
hash_node(const unsigned char *left, const unsigned char *right, unsigned char ret[HV_SHA256_SIZE])
{
    unsigned char bytes[1 + 2 * HV_SHA256_SIZE] = {1};

    memcpy(bytes + 1, left, HV_SHA256_SIZE);
    memcpy(bytes + 1 + HV_SHA256_SIZE, right, HV_SHA256_SIZE);
    hv_sha256(&(hv_slice){.data = bytes, .len = sizeof bytes}, 1, ret);
}

void
hv_merkle_root(unsigned char (*leaves)[HV_SHA256_SIZE], size_t count, unsigned char ret[HV_SHA256_SIZE])
{
    if (count == 0) {
        hv_sha256(NULL, 0, ret);
        return;
    }
    for (size_t i = 0; i < count; i++)
        hash_leaf(leaves[i]);
    for (; count > 1; count = (count + 1) / 2) {
        for (size_t i = 0; i + 1 < count; i += 2)
            hash_node(leaves[i], leaves[i + 1], leaves[i / 2]);
        if (count % 2 == 1)
            memmove(leaves[count / 2], leaves[count - 1], HV_SHA256_SIZE);
    }
    memcpy(ret, leaves[0], HV_SHA256_SIZE);
}
